/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's SAD and SPD, as the daemon needs them. The only public header of xfrm/.
 *
 * XFRM requests are handled inside sendmsg(): a transaction is built in one buffer, sent as one
 * datagram with one ACK and has its answer when xfrm_commit() returns. Nothing here waits, logs,
 * keeps keys or knows of SIP. Functions that do not say otherwise return 0 or a negative errno.
 */
#ifndef XFRM_XFRM_H
#define XFRM_XFRM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>

/* ---- addresses: ip.c ---- */

#define IP_TEXT_BYTES INET6_ADDRSTRLEN

struct ip_addr {
	int family;        /* AF_INET, AF_INET6; AF_UNSPEC = any */
	uint8_t bytes[16]; /* network order; 4 or 16 in use, the rest 0 */
};

/* Literal addresses only; "[::1]" too; an IPv4-mapped IPv6 address becomes IPv4. Scope ids are
 * refused. Returns 0 or -EINVAL. */
int ip_parse(const char *text, struct ip_addr *ret);
const char *ip_format(const struct ip_addr *ip, char buf[static IP_TEXT_BYTES]);
bool ip_equal(const struct ip_addr *a, const struct ip_addr *b);
size_t ip_bytes(const struct ip_addr *ip); /* 4 or 16; 0 for AF_UNSPEC */

/* For bind(): @ip is IPv4 or IPv6. Returns how much of *@ret is the address. */
socklen_t ip_sockaddr(const struct ip_addr *ip, uint16_t port, struct sockaddr_storage *ret);

/* ---- how long things took: histogram.c ---- */

#define HISTOGRAM_BOUNDS 12

/* 25 microseconds to a second, growing. */
extern const uint64_t HISTOGRAM_BOUNDS_NS[HISTOGRAM_BOUNDS];

struct histogram {
	uint64_t count[HISTOGRAM_BOUNDS + 1]; /* up to each bound, and above the last one */
	uint64_t sum_ns;
};

uint64_t histogram_clock_ns(void); /* monotonic */
void histogram_add(struct histogram *histogram, uint64_t ns);
void histogram_add_since(struct histogram *histogram, uint64_t start_ns);

/* ---- algorithms: algo.c ---- */

enum xfrm_algo_id {
	XFRM_ALGO_NONE,
	XFRM_HMAC_MD5,    /* hmac(md5), 96 bits */
	XFRM_HMAC_SHA1,   /* hmac(sha1), 96 bits */
	XFRM_CIPHER_NULL, /* ecb(cipher_null) */
	XFRM_CBC_DES3,    /* cbc(des3_ede) */
	XFRM_CBC_AES,     /* cbc(aes), 128 bits */
	XFRM_GCM_AES,     /* rfc4106(gcm(aes)), 128 bits and salt, ICV 128 */
	XFRM_GMAC_AES,    /* rfc4543(gcm(aes)), 128 bits and salt, ICV 128 */
	XFRM_ALGO_COUNT,
};

enum xfrm_algo_kind {
	XFRM_KIND_NONE,
	XFRM_KIND_AUTH,
	XFRM_KIND_CRYPT,
	XFRM_KIND_AEAD,
};

struct xfrm_algo_info {
	enum xfrm_algo_kind kind;
	const char *name; /* the kernel's */
	size_t key_bytes; /* with the salt */
	size_t icv_bits;
};

const struct xfrm_algo_info *xfrm_algo_info(enum xfrm_algo_id id);

#define XFRM_MAX_KEY_BYTES 24

/* Secret. */
struct xfrm_key {
	enum xfrm_algo_id algo;
	uint8_t bytes[XFRM_MAX_KEY_BYTES];
};

/* ---- what the kernel holds ---- */

/* Ports in host order; a mask of 0 = any port, 0xffff = exact; a port has no bits outside its mask.
 * Address of family AF_UNSPEC = any of @family. In what is read back, @family AF_UNSPEC stands for
 * a selector that cannot be described here (subnets, interfaces): somebody else's. */
struct xfrm_sel {
	int family;
	struct ip_addr src, dst; /* hosts: full prefix length */
	uint16_t sport, sport_mask;
	uint16_t dport, dport_mask;
	uint8_t proto; /* 0 = UDP and TCP alike */
};

bool xfrm_sel_equal(const struct xfrm_sel *a, const struct xfrm_sel *b); /* ip.c */

enum xfrm_mode {
	XFRM_TRANSPORT,
	XFRM_TUNNEL,
};

/* What names an SA in the kernel: nothing else does (RFC 4301 4.1). */
struct xfrm_sa_id {
	struct ip_addr dst;
	uint32_t spi;  /* host order, not 0 */
	uint8_t proto; /* IPPROTO_ESP or IPPROTO_AH */
};

/* UDP encapsulation (RFC 3948), ESP only. Ports in host order; 0 = not known yet. */
struct xfrm_encap {
	bool on;
	uint16_t sport, dport;
	uint32_t mapping_threshold_s; /* between two MAPPING events; 0 = one for each packet */
};

#define XFRM_MAX_REPLAY_WINDOW 4096

struct xfrm_sa {
	struct xfrm_sa_id id;
	struct ip_addr src;
	struct xfrm_sel sel;
	enum xfrm_mode mode;
	uint32_t reqid;
	uint32_t if_id;         /* 0 = none */
	uint32_t replay_window; /* packets, 32..XFRM_MAX_REPLAY_WINDOW */
	uint64_t hard_s;      /* the kernel deletes it so many seconds after adding it; 0 = never */
	struct xfrm_key auth; /* HMAC; XFRM_ALGO_NONE with an AEAD */
	struct xfrm_key enc;  /* cipher or AEAD; XFRM_ALGO_NONE with AH */
	struct xfrm_encap encap;
};

/* Changes the hard limit and the encapsulation ports of a living SA; nothing else can change.
 * The kernel wants keys in the message and ignores them: random bytes are sent. */
struct xfrm_sa_change {
	struct xfrm_sa_id id;
	struct ip_addr src;
	enum xfrm_mode mode;
	uint64_t hard_s;         /* since the SA's add_time by CLOCK_REALTIME; 0 = never */
	struct xfrm_encap encap; /* current values when it has any, else off */
};

enum xfrm_dir {
	XFRM_IN,
	XFRM_OUT,
};

struct xfrm_policy {
	enum xfrm_dir dir;
	struct xfrm_sel sel;
	uint32_t priority; /* smaller = preferred */
	uint32_t if_id;
	/* template */
	uint8_t proto; /* IPPROTO_ESP or IPPROTO_AH; read back: 0 = not of the kind that we add */
	enum xfrm_mode mode;
	uint32_t reqid;
	struct ip_addr tmpl_src, tmpl_dst; /* tunnel: the outer addresses; transport: AF_UNSPEC */
	uint32_t index; /* the kernel's name for it, 0 = not known; of a new one a wish, 0 = none */
};

struct xfrm_sa_stats {
	uint64_t bytes, packets;
	uint64_t add_time, use_time; /* CLOCK_REALTIME seconds; use_time 0 = never used */
	uint64_t hard_s;             /* counted from add_time; 0 = never; not from GETAE */
	uint32_t reqid;
	struct ip_addr src;
	uint32_t replay_failed, integrity_failed; /* not from GETAE */
	struct xfrm_encap encap; /* without its threshold; not from GETAE */
};

/* ---- the request socket and its transactions: netlink.c, txn.c, msg_sa.c, msg_policy.c ---- */

struct xfrm;

/* A transaction holds at most this many messages: more could overflow the answers' buffer. */
#define XFRM_TXN_MESSAGES 64

enum xfrm_op {
	XFRM_OP_ADD_SA,
	XFRM_OP_CHANGE_SA,
	XFRM_OP_DELETE_SA,
	XFRM_OP_ADD_POLICY,
	XFRM_OP_DELETE_POLICY,
};

/* Why a transaction failed. */
struct xfrm_error {
	int error;    /* negative errno */
	size_t index; /* of the first failed message, in the order of the calls */
	enum xfrm_op op;
	char object[128];  /* e.g. "ESP SA spi 0x1001 to 192.0.2.1"; never keys */
	char kernel[128];  /* the kernel's own words, or "" */
	size_t not_undone; /* additions that may still be there because the kernel did not obey */
};

/* Sockets: requests and dumps. -EPROTONOSUPPORT: no XFRM in this kernel; -ENOPROTOOPT:
 * NETLINK_CAP_ACK or NETLINK_EXT_ACK is missing (without the first, errors would echo keys). */
int xfrm_open(struct xfrm **ret);
void xfrm_close(struct xfrm *x);

/* Start a transaction; what was queued and not committed is wiped and forgotten. */
void xfrm_begin(struct xfrm *x);

/* Queue one message. Everything is copied; the caller may wipe its keys at once.
 * -ENOSPC: the transaction is full; -EINVAL: the description is not legal (an SPI of 0, families
 * that differ, a key kind in the wrong place, AH with a cipher or encapsulation). On failure the
 * transaction is unchanged. */
int xfrm_add_sa(struct xfrm *x, const struct xfrm_sa *sa);
int xfrm_change_sa(struct xfrm *x, const struct xfrm_sa_change *change);
int xfrm_delete_sa(struct xfrm *x, const struct xfrm_sa_id *id);
int xfrm_add_policy(struct xfrm *x, const struct xfrm_policy *policy);
int xfrm_delete_policy(struct xfrm *x, enum xfrm_dir dir, uint32_t index, uint32_t if_id);

/* Send what is queued as one datagram and read the answers; then wipe every buffer.
 * All or nothing for what adds: when any message fails, each SA and policy that this transaction
 * added is deleted again (in a second datagram). Deletions and changes are not undone; a deletion
 * of something that is gone (ENOENT, ESRCH) is a success. An empty transaction is a success.
 * Lost answers (ENOBUFS) are replaced by asking the kernel, SA by SA; what cannot be asked
 * (deletions, changes) is sent again. No answer at all is -EIO.
 * Returns 0, or the negative errno that is also in @ret_error (NULL: not wanted). */
int xfrm_commit(struct xfrm *x, struct xfrm_error *ret_error);

/* Existence, counters, reqid: asked without keys (GETAE), -ESRCH when there is none. */
int xfrm_get_sa_counters(struct xfrm *x, const struct xfrm_sa_id *id, struct xfrm_sa_stats *ret);

/* The same and lifetime and failure counts (GETSA; the kernel's answer has keys and is wiped). */
int xfrm_get_sa(struct xfrm *x, const struct xfrm_sa_id *id, struct xfrm_sa_stats *ret);

/* The keys of one SA. Secret: whoever has one wipes it. */
struct xfrm_sa_keys {
	struct xfrm_key auth, enc; /* as in struct xfrm_sa */
};

/* The keys that the SA with this name and @reqid has at this moment (GETSA; the kernel's answer is
 * wiped). -ESRCH: there is none, or it is somebody else's; -EPERM: CAP_NET_ADMIN is missing;
 * -EACCES: the kernel is locked down and gives zeros instead (kernel_lockdown(7));
 * -EOPNOTSUPP: of algorithms that have no xfrm_algo_id. */
int xfrm_get_sa_keys(struct xfrm *x, const struct xfrm_sa_id *id, uint32_t reqid,
		     struct xfrm_sa_keys *ret);

/* The policy with this direction, selector and if_id: its index, template. -ENOENT: none. The
 * kernel goes through all that have the same pair of addresses. */
int xfrm_get_policy(struct xfrm *x, enum xfrm_dir dir, const struct xfrm_sel *sel, uint32_t if_id,
		    struct xfrm_policy *ret);

/* The same by its index, which is found at once. */
int xfrm_get_policy_by_index(struct xfrm *x, enum xfrm_dir dir, uint32_t index, uint32_t if_id,
			     struct xfrm_policy *ret);

/* An index that the kernel may give to a policy of this direction: one for each eight numbers. */
uint32_t xfrm_policy_index(enum xfrm_dir dir, uint32_t number);

/* Equal in everything but @index? */
bool xfrm_policy_equal(const struct xfrm_policy *a, const struct xfrm_policy *b);

/* Datagrams and messages sent by xfrm_commit() so far, roll-backs included, questions not. */
void xfrm_sent(const struct xfrm *x, uint64_t *ret_datagrams, uint64_t *ret_messages);

#define XFRM_ERRNOS 256

/* What xfrm_commit() has met so far. */
struct xfrm_counts {
	struct histogram took;         /* transactions, their roll-backs included */
	uint64_t refused[XFRM_ERRNOS]; /* messages, by errno; [0]: one that does not fit in */
};

const struct xfrm_counts *xfrm_counts(const struct xfrm *x);

/* Close the TCP connection of this machine with this 4-tuple (host order ports), so that the peer
 * gets a RST while the SA still protects it. No such connection is a success. A listening socket on
 * the local port is never touched. -EOPNOTSUPP: a kernel without CONFIG_INET_DIAG_DESTROY. */
int xfrm_destroy_tcp(struct xfrm *x, const struct ip_addr *local, uint16_t local_port,
		     const struct ip_addr *remote, uint16_t remote_port);

/* One line of text that names the object of a message; for errors and logs. */
const char *xfrm_sa_id_format(const struct xfrm_sa_id *id, char *buf, size_t cap);

/* ---- what was dropped: stat.c, drops.c ---- */

#define XFRM_STAT "/proc/net/xfrm_stat"

/* Call @each for every counter of XFRM_STAT: @name is of letters and digits. A line that is not a
 * name and a number is passed over. Returns 0, or why the file cannot be opened; -ENOENT: a kernel
 * without CONFIG_XFRM_STATISTICS. */
int xfrm_read_stat(void (*each)(const char *name, uint64_t count, void *arg), void *arg);

/* Packets, of this whole network namespace, since it was made. */
struct xfrm_drops {
	uint64_t no_states;     /* ESP with an SPI that no SA has */
	uint64_t mismatch;      /* good ESP whose addresses or ports are not its SA's */
	uint64_t tmpl_mismatch; /* what a policy wants protected, and is not or not so */
};

/* As xfrm_read_stat(). */
int xfrm_read_drops(struct xfrm_drops *ret);

/* ---- dumps: dump.c, on a socket of their own ---- */

struct xfrm_dump_sa {
	struct xfrm_sa_id id;
	struct xfrm_sel sel;
	enum xfrm_mode mode;
	uint32_t if_id;
	bool larval; /* no SA but the kernel's note that one is wanted; ignore it */
	struct xfrm_sa_stats stats;
};

/* Call @each for every SA (no keys reach it) or inbound or outbound policy of the namespace. @each
 * returns 0 to go on, anything else to stop; that is then returned. It may use @x for requests, not
 * for dumps. The kernel's answer is wiped. */
int xfrm_dump_sas(struct xfrm *x, int (*each)(const struct xfrm_dump_sa *sa, void *arg), void *arg);
int xfrm_dump_policies(struct xfrm *x, int (*each)(const struct xfrm_policy *policy, void *arg),
		       void *arg);

/* The SAs of a dump in pieces, some tens at each call, so that a long one need not stop everything else:
 * the first call begins a dump, and so does the one after *@ret_done or a failure, or after another
 * dump. What is added between two calls may be missing in it, what is deleted may still be there. */
int xfrm_dump_sas_piece(struct xfrm *x, int (*each)(const struct xfrm_dump_sa *sa, void *arg),
			void *arg, bool *ret_done);

/* ---- events: event.c, on a socket of their own ---- */

enum xfrm_event_kind {
	XFRM_EVENT_EXPIRED,        /* the SA @sa reached its hard limit and is gone */
	XFRM_EVENT_MAPPING,        /* ESP in UDP of @sa now comes from @new_port */
	XFRM_EVENT_POLICY_DELETED, /* @policy was deleted (by us as well) */
	XFRM_EVENT_POLICY_CHANGED, /* to @policy; its index is what it was */
	XFRM_EVENT_POLICIES_FLUSHED,
	XFRM_EVENT_LOST, /* ENOBUFS: events were lost, compare with the kernel */
};

struct xfrm_event {
	enum xfrm_event_kind kind;
	struct xfrm_sa_id sa;
	uint32_t reqid; /* of the SA or the policy's template */
	struct ip_addr new_addr;
	uint16_t new_port; /* host order */
	struct xfrm_policy policy;
};

struct xfrm_events;

/* Joins EXPIRE, POLICY and MAPPING (no keys in any of them); never SA and ACQUIRE (the
 * first carries everybody's keys, the second makes the kernel invent SAs). @rcvbuf_bytes: forced
 * when privileged. */
int xfrm_events_open(size_t rcvbuf_bytes, struct xfrm_events **ret);
void xfrm_events_close(struct xfrm_events *e);
int xfrm_events_fd(const struct xfrm_events *e); /* non-blocking, for the loop */

/* Read what is there and call @each; at most @max datagrams, so that a storm cannot starve the
 * loop. Messages that are not the kernel's are dropped. Returns 0, or -errno of a broken socket. */
int xfrm_events_read(struct xfrm_events *e, size_t max,
		     void (*each)(const struct xfrm_event *event, void *arg), void *arg);

#endif
