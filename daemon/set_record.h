/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set, and the listener that it was made for, as the bytes that outlive the daemon. Never a key.
 *
 * All numbers are big-endian and of a stated size, all texts have their length before them: nothing
 * depends on a compiler or on the layout of a struct. The first byte is the version.
 */
#ifndef DAEMON_SET_RECORD_H
#define DAEMON_SET_RECORD_H

#include "proto/text.h"
#include "daemon/sa_set.h"

#define SET_RECORD_VERSION        1
#define LISTENER_RECORD_MAX_BYTES 128

/* What a record says. Texts and .listener point into its bytes. */
struct set_record {
	uint64_t id, over_id, transaction;
	enum sa_set_state state;
	bool aborted;
	struct ipsec_suite suite;
	struct ipsec_endpoint ue, pcscf;
	struct ip_addr ue_address;
	uint16_t encap_remote_port;
	uint32_t reqid;
	uint64_t deadline_ms;
	struct span listener; /* listener_record_write()'s bytes */
	struct span contact;  /* the key of the contact */
	struct span impi, impu, security_client, security_server;
};

/* How many bytes set_record_write() writes; what @set->listener is written as has @listener. */
size_t set_record_bytes(const struct sa_set *set, struct span listener);
void set_record_write(const struct sa_set *set, struct span listener, uint8_t *ret);

/* Every field is checked: numbers are in range, texts have no NUL, nothing is missing or left over.
 * Returns 0, or -EINVAL and why (static). */
int set_record_read(const void *bytes, size_t count, struct set_record *ret, const char **ret_why);

/* What the kernel holds because of @listener: its address, ports, marks and kinds of policies; not
 * what the daemon alone goes by. @ret holds LISTENER_RECORD_MAX_BYTES. Returns how many bytes it
 * takes. */
size_t listener_record_write(const struct config_listener *listener, uint8_t *ret);

/* @ret has all else as by default. Returns 0, or -EINVAL and why (static). */
int listener_record_read(const void *bytes, size_t count, struct config_listener *ret,
			 const char **ret_why);

#endif
