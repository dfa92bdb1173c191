/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the user wants: command line and configuration file.
 */
#ifndef UE_OPTIONS_H
#define UE_OPTIONS_H

#include <stdio.h>

#include "proto/ipsec3gpp.h"
#include "tests/ue/aka.h"
#include "tests/ue/ip.h"
#include "tests/ue/net.h"

#define OPTIONS_MAX_OFFERS 16
#define OPTIONS_WORD_BYTES 256

/* Wrong on purpose, to test P-CSCFs with. */
enum ue_fault {
	FAULT_NONE,
	FAULT_NO_SEC_AGREE,   /* first REGISTER without any of sec-agree */
	FAULT_NO_VERIFY,      /* second REGISTER without Security-Verify */
	FAULT_WRONG_VERIFY,   /* with a number changed in it */
	FAULT_NO_CLIENT,      /* without Security-Client */
	FAULT_WRONG_CLIENT,   /* with another Security-Client than the first */
	FAULT_WRONG_RES,      /* with a wrong response */
	FAULT_WRONG_IMPI,     /* with another private identity */
	FAULT_WRONG_PORT,     /* from another source port than port_uc, under ESP */
	FAULT_WRONG_KEY,      /* under ESP with other keys */
	FAULT_CLEAR_ANSWER,   /* in clear, to the protected port */
	FAULT_SYNC_FAILURE,   /* answers the first challenge with AUTS */
	FAULT_MAC_FAILURE,    /* takes the challenge for a forgery */
	FAULT_SAME_PORT,      /* re-registers with the port_uc in use */
};

struct ue_options {
	/* the network */
	struct ip pcscf, local, public_address, via_address; /* family 0 = not given */
	uint16_t pcscf_port, clear_port, encap_port;
	uint16_t port_uc, port_us; /* 0: random */
	/* who we are */
	char impi[OPTIONS_WORD_BYTES], impu[OPTIONS_WORD_BYTES], realm[OPTIONS_WORD_BYTES];
	struct aka_card card; /* secret; its opc is filled by options_check() */
	uint8_t op[MILENAGE_BYTES];
	uint8_t amf[MILENAGE_AMF_BYTES]; /* the one to expect in AUTN */
	bool has_k, has_op, has_opc, has_amf;
	/* the agreement */
	struct ipsec_suite offers[OPTIONS_MAX_OFFERS];
	size_t offer_count;
	enum ipsec_prot prot;
	enum ipsec_mod mod;
	enum ipsec_dialect dialect;
	bool no_port2;
	uint32_t reqid; /* 0: random */
	/* SIP */
	enum net_kind transport, clear_transport; /* NET_UDP, NET_TCP */
	char access_network[OPTIONS_WORD_BYTES];
	uint32_t expires_s;
	uint32_t reregister_after_s; /* 0: as TS 24.229 says */
	uint32_t t1_ms, timeout_s;   /* timeout 0: 64 * T1 */
	uint32_t old_set_s;
	uint32_t ring_s;
	/* running */
	bool interactive, trace, once, help, version;
	uint32_t duration_s;
	bool has_duration;
	enum ue_fault fault;
};

void options_init(struct ue_options *ret);

/* Read the command line, and files it names, into @o; @error takes what is wrong, in words.
 * Returns 0, or -EINVAL with @error. */
int options_read(struct ue_options *o, int argc, char **argv, char *error, size_t error_cap);

/* Is it complete and consistent? Fills what follows from the rest: realm, impu, local, OPc.
 * Returns 0, or -EINVAL with @error. */
int options_check(struct ue_options *o, char *error, size_t error_cap);

void options_wipe(struct ue_options *o);
void options_help(FILE *out);

const char *fault_name(enum ue_fault fault);

/* By its name, or "none". Returns 0 or -EINVAL. */
int fault_set(struct ue_options *o, const char *name);

#endif
