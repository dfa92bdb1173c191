/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm/ against a real kernel that has ESP, read back by another implementation (libnl,
 * libnl-xfrm).
 *
 * Runs as root and makes a network namespace of its own first; prints TAP. For each legal
 * combination of algorithms, protocol, mode and IP version one transaction adds an SA, a per-set
 * and a shared policy; every field of what the kernel then holds is compared. Then: roll-back,
 * strangers' objects, UPDSA, dumps, events, and the destruction of TCP connections.
 *
 * "Stranger" is whatever libnl adds here: another program with another reqid.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <linux/xfrm.h>

#include <netlink/addr.h>
#include <netlink/cache.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/xfrm/lifetime.h>
#include <netlink/xfrm/sa.h>
#include <netlink/xfrm/selector.h>
#include <netlink/xfrm/sp.h>
#include <netlink/xfrm/template.h>

#include "xfrm/xfrm.h"

#define OUR_REQID    33203
#define OTHER_REQID  77
#define OUR_PRIORITY 100
#define FIRST_SPI    0xc0de0001u

#define PHONE4 "198.51.100.7"
#define PHONE6 "2001:db8:7::7"
#define HERE4  "192.0.2.1"
#define HERE6  "2001:db8::1"

static struct xfrm *x;

/* ---- results ---- */

static unsigned int lines, failures;
static bool wrong;

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	va_list args;

	wrong = true;
	printf("# ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

__attribute__((format(printf, 1, 2))) static void result(const char *format, ...)
{
	va_list args;

	failures += wrong;
	printf("%s %u - ", wrong ? "not ok" : "ok", ++lines);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	wrong = false;
}

#define want_number(got, want)                                                                     \
	do {                                                                                       \
		unsigned long long got_ = (unsigned long long)(got);                               \
		unsigned long long want_ = (unsigned long long)(want);                             \
		if (got_ != want_)                                                                 \
			note("line %d: %s is %#llx, not %#llx", __LINE__, #got, got_, want_);      \
	} while (0)

#define want_bytes(got, want, n)                                                                   \
	do {                                                                                       \
		if (memcmp(got, want, n) != 0)                                                     \
			note("line %d: %s differs", __LINE__, #got);                               \
	} while (0)

#define want_text(got, want)                                                                       \
	do {                                                                                       \
		if (strcmp(got, want) != 0)                                                        \
			note("line %d: %s is '%s', not '%s'", __LINE__, #got, got, want);          \
	} while (0)

#define want(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			note("line %d: not so: %s", __LINE__, #condition);                         \
	} while (0)

/* ---- counting datagrams: every sendmsg() of this process passes here ---- */

static unsigned int datagrams;
static size_t datagram_bytes;

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	datagrams++;
	datagram_bytes = msg->msg_iovlen ? msg->msg_iov[0].iov_len : 0;
	return syscall(SYS_sendmsg, fd, msg, flags);
}

/* ---- what is asked for ---- */

static struct ip_addr ip(const char *text)
{
	struct ip_addr ip = {.family = AF_UNSPEC};

	if (ip_parse(text, &ip))
		note("bad address %s", text);
	return ip;
}

static struct xfrm_key key(enum xfrm_algo_id algo, uint8_t first)
{
	struct xfrm_key key = {.algo = algo};

	for (size_t i = 0; i < xfrm_algo_info(algo)->key_bytes; i++)
		key.bytes[i] = (uint8_t)(first + 7 * i);
	return key;
}

struct shape {
	const char *name;
	enum xfrm_mode mode;
	bool encap;
};

static const struct shape shapes[] = {
	{"transport", XFRM_TRANSPORT, false},
	{"tunnel", XFRM_TUNNEL, false},
	{"tunnel in UDP", XFRM_TUNNEL, true},
};

struct suite {
	uint8_t proto;
	enum xfrm_algo_id auth, enc;
};

static const struct suite suites[] = {
	{IPPROTO_ESP, XFRM_HMAC_MD5, XFRM_CIPHER_NULL},
	{IPPROTO_ESP, XFRM_HMAC_MD5, XFRM_CBC_DES3},
	{IPPROTO_ESP, XFRM_HMAC_MD5, XFRM_CBC_AES},
	{IPPROTO_ESP, XFRM_HMAC_SHA1, XFRM_CIPHER_NULL},
	{IPPROTO_ESP, XFRM_HMAC_SHA1, XFRM_CBC_DES3},
	{IPPROTO_ESP, XFRM_HMAC_SHA1, XFRM_CBC_AES},
	{IPPROTO_ESP, XFRM_ALGO_NONE, XFRM_GCM_AES},
	{IPPROTO_ESP, XFRM_ALGO_NONE, XFRM_GMAC_AES},
	{IPPROTO_AH, XFRM_HMAC_MD5, XFRM_ALGO_NONE},
	{IPPROTO_AH, XFRM_HMAC_SHA1, XFRM_ALGO_NONE},
};

static const char *suite_name(const struct suite *suite, char *buf, size_t cap)
{
	snprintf(buf, cap, "%s %s%s%s", suite->proto == IPPROTO_ESP ? "ESP" : "AH",
		 xfrm_algo_info(suite->auth)->name, suite->auth && suite->enc ? " " : "",
		 xfrm_algo_info(suite->enc)->name);
	return buf;
}

static struct xfrm_sel flow(int family)
{
	return (struct xfrm_sel){
		.family = family,
		.src = ip(family == AF_INET ? PHONE4 : PHONE6),
		.dst = ip(family == AF_INET ? HERE4 : HERE6),
		.sport = 5061,
		.sport_mask = 0xffff,
		.dport = 6100,
		.dport_mask = 0xffff,
	};
}

static struct xfrm_sa make_sa(const struct suite *suite, const struct shape *shape, int family)
{
	struct xfrm_sel sel = flow(family);
	struct xfrm_sa sa = {
		.id = {.dst = sel.dst, .spi = FIRST_SPI, .proto = suite->proto},
		.src = sel.src,
		.sel = sel,
		.mode = shape->mode,
		.reqid = OUR_REQID,
		.replay_window = 128,
		.hard_s = 3600,
		.auth = key(suite->auth, 0x11),
		.enc = key(suite->enc, 0x82),
	};

	if (shape->encap)
		sa.encap = (struct xfrm_encap){
			.on = true, .sport = 4500, .dport = 23006, .mapping_threshold_s = 10};
	return sa;
}

static struct xfrm_sa plain_sa(uint32_t spi)
{
	struct xfrm_sa sa = make_sa(&suites[5], &shapes[0], AF_INET);

	sa.id.spi = spi;
	return sa;
}

static struct xfrm_policy make_per_set(const struct xfrm_sa *sa)
{
	struct xfrm_policy p = {
		.dir = XFRM_IN,
		.sel = sa->sel,
		.priority = 50,
		.proto = sa->id.proto,
		.mode = sa->mode,
		.reqid = OUR_REQID,
	};

	if (sa->mode == XFRM_TUNNEL) {
		p.tmpl_src = sa->src;
		p.tmpl_dst = sa->id.dst;
	}
	return p;
}

/* The ports 6100 to 6103 of this machine, towards anybody. */
static struct xfrm_policy make_shared(int family, uint8_t proto)
{
	return (struct xfrm_policy){
		.dir = XFRM_OUT,
		.sel = {.family = family,
			.src = ip(family == AF_INET ? HERE4 : HERE6),
			.sport = 6100,
			.sport_mask = 0xfffc},
		.priority = OUR_PRIORITY,
		.proto = proto,
		.reqid = OUR_REQID,
	};
}

/* ---- reading back through libnl ---- */

/* One for each question: what an error leaves in the queue of a socket cannot disturb the next. */
static struct nl_sock *open_reader(void)
{
	struct nl_sock *reader = nl_socket_alloc();

	if (!reader || nl_connect(reader, NETLINK_XFRM) < 0) {
		printf("Bail out! libnl has no socket\n");
		exit(1);
	}
	return reader;
}

static void compare_address(struct nl_addr *got, const struct ip_addr *expected, const char *what)
{
	if (!got || nl_addr_get_len(got) != ip_bytes(expected) ||
	    memcmp(nl_addr_get_binary_addr(got), expected->bytes, ip_bytes(expected)) != 0)
		note("%s is another address", what);
}

static void compare_host(struct nl_addr *got, const struct ip_addr *expected, int bits,
			 const char *what)
{
	want_number(bits, ip_bytes(expected) * 8);
	if (expected->family != AF_UNSPEC)
		compare_address(got, expected, what);
}

static void compare_selector(struct xfrmnl_sel *sel, const struct xfrm_sel *expected)
{
	compare_host(xfrmnl_sel_get_saddr(sel), &expected->src, xfrmnl_sel_get_prefixlen_s(sel),
		     "selector source");
	compare_host(xfrmnl_sel_get_daddr(sel), &expected->dst, xfrmnl_sel_get_prefixlen_d(sel),
		     "selector destination");
	want_number(xfrmnl_sel_get_family(sel), expected->family);
	want_number(xfrmnl_sel_get_sport(sel), expected->sport);
	want_number(xfrmnl_sel_get_sportmask(sel), expected->sport_mask);
	want_number(xfrmnl_sel_get_dport(sel), expected->dport);
	want_number(xfrmnl_sel_get_dportmask(sel), expected->dport_mask);
	want_number(xfrmnl_sel_get_proto(sel), expected->proto);
	want_number(xfrmnl_sel_get_ifindex(sel), 0);
	want_number(xfrmnl_sel_get_userid(sel), 0);
}

static void compare_lifetime(struct xfrmnl_ltime_cfg *lft, uint64_t hard_s)
{
	want_number(xfrmnl_ltime_cfg_get_soft_bytelimit(lft), XFRM_INF);
	want_number(xfrmnl_ltime_cfg_get_hard_bytelimit(lft), XFRM_INF);
	want_number(xfrmnl_ltime_cfg_get_soft_packetlimit(lft), XFRM_INF);
	want_number(xfrmnl_ltime_cfg_get_hard_packetlimit(lft), XFRM_INF);
	want_number(xfrmnl_ltime_cfg_get_soft_addexpires(lft), 0);
	want_number(xfrmnl_ltime_cfg_get_hard_addexpires(lft), hard_s);
	want_number(xfrmnl_ltime_cfg_get_soft_useexpires(lft), 0);
	want_number(xfrmnl_ltime_cfg_get_hard_useexpires(lft), 0);
}

/* libnl-xfrm copies a key without knowing the room: the kernel's limit is 512 bytes. */
struct read_key {
	char name[64];
	unsigned int key_bits, icv_bits;
	char key[1024];
};

static void compare_key(const struct read_key *got, int missing, const struct xfrm_key *expected)
{
	const struct xfrm_algo_info *algo = xfrm_algo_info(expected->algo);

	want_number(missing < 0, 0);
	if (missing < 0)
		return;
	want_text(got->name, algo->name);
	want_number(got->key_bits, algo->key_bytes * 8);
	want_number(got->icv_bits, algo->icv_bits);
	want_bytes(got->key, expected->bytes, algo->key_bytes);
}

static void compare_keys(struct xfrmnl_sa *sa, const struct xfrm_sa *expected)
{
	struct read_key auth = {0}, crypt = {0}, aead = {0};
	int no_auth =
		xfrmnl_sa_get_auth_params(sa, auth.name, &auth.key_bits, &auth.icv_bits, auth.key);
	int no_crypt = xfrmnl_sa_get_crypto_params(sa, crypt.name, &crypt.key_bits, crypt.key);
	int no_aead =
		xfrmnl_sa_get_aead_params(sa, aead.name, &aead.key_bits, &aead.icv_bits, aead.key);
	enum xfrm_algo_kind kind = xfrm_algo_info(expected->enc.algo)->kind;

	if (expected->auth.algo != XFRM_ALGO_NONE)
		compare_key(&auth, no_auth, &expected->auth);
	else
		want(no_auth < 0);
	if (kind == XFRM_KIND_CRYPT)
		compare_key(&crypt, no_crypt, &expected->enc);
	else
		want(no_crypt < 0);
	if (kind == XFRM_KIND_AEAD)
		compare_key(&aead, no_aead, &expected->enc);
	else
		want(no_aead < 0);
}

static void compare_encap(struct xfrmnl_sa *sa, const struct xfrm_encap *expected)
{
	unsigned int type = 0, sport = 0, dport = 0;
	struct nl_addr *oa = NULL;
	int none = xfrmnl_sa_get_encap_tmpl(sa, &type, &sport, &dport, &oa);

	want_number(none < 0, !expected->on);
	if (none < 0 || !expected->on)
		return;
	want_number(type, UDP_ENCAP_ESPINUDP);
	want_number(sport, expected->sport);
	want_number(dport, expected->dport);
}

static void compare_replay(struct xfrmnl_sa *sa, uint32_t window)
{
	unsigned int words = 0, oseq = 1, seq = 1, oseq_hi = 1, seq_hi = 1, got = 0;
	unsigned int bitmap[128] = {0};

	want_number(xfrmnl_sa_get_replay_window(sa), 0);
	want_number(xfrmnl_sa_get_flags(sa), 0);
	if (xfrmnl_sa_get_replay_state_esn(sa, &oseq, &seq, &oseq_hi, &seq_hi, &got, &words,
					   bitmap) < 0)
		note("no replay window");
	want_number(got, window);
	want_number(words, (window + 31) / 32);
	want_number(oseq | seq | oseq_hi | seq_hi, 0);
}

static struct xfrmnl_sa *read_sa(const struct xfrm_sa_id *id)
{
	struct nl_addr *dst = nl_addr_build(id->dst.family, id->dst.bytes, ip_bytes(&id->dst));
	struct nl_sock *reader = open_reader();
	struct xfrmnl_sa *sa = NULL;
	int err = xfrmnl_sa_get_kernel(reader, dst, id->spi, id->proto, 0, 0, &sa);

	nl_socket_free(reader);
	nl_addr_put(dst);
	return err < 0 ? NULL : sa;
}

static bool sa_exists(const struct xfrm_sa_id *id)
{
	struct xfrmnl_sa *sa = read_sa(id);

	if (!sa)
		return false;
	xfrmnl_sa_put(sa);
	return true;
}

static void compare_sa(const struct xfrm_sa *expected)
{
	struct xfrmnl_sa *sa = read_sa(&expected->id);

	if (!sa) {
		note("the kernel has no such SA");
		return;
	}
	compare_address(xfrmnl_sa_get_daddr(sa), &expected->id.dst, "destination");
	compare_address(xfrmnl_sa_get_saddr(sa), &expected->src, "source");
	want_number((unsigned int)xfrmnl_sa_get_spi(sa), expected->id.spi);
	want_number(xfrmnl_sa_get_proto(sa), expected->id.proto);
	want_number(xfrmnl_sa_get_family(sa), expected->id.dst.family);
	want_number(xfrmnl_sa_get_mode(sa),
		    expected->mode == XFRM_TUNNEL ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT);
	want_number(xfrmnl_sa_get_reqid(sa), expected->reqid);
	want_number(xfrmnl_sa_get_seq(sa), 0);
	compare_selector(xfrmnl_sa_get_sel(sa), &expected->sel);
	compare_lifetime(xfrmnl_sa_get_lifetime_cfg(sa), expected->hard_s);
	compare_keys(sa, expected);
	compare_encap(sa, &expected->encap);
	compare_replay(sa, expected->replay_window);
	xfrmnl_sa_put(sa);
}

static struct xfrmnl_sp *read_policy(uint32_t index, enum xfrm_dir dir)
{
	unsigned int number = dir == XFRM_OUT ? XFRM_POLICY_OUT : XFRM_POLICY_IN;
	struct nl_sock *reader = open_reader();
	struct xfrmnl_sp *sp = NULL;
	int err = xfrmnl_sp_get_kernel(reader, index, number, 0, 0, &sp);

	nl_socket_free(reader);
	return err < 0 ? NULL : sp;
}

static void compare_template(struct xfrmnl_user_tmpl *t, const struct xfrm_policy *expected)
{
	static const uint8_t none[16];
	bool tunnel = expected->mode == XFRM_TUNNEL;
	struct nl_addr *src = xfrmnl_user_tmpl_get_saddr(t), *dst = xfrmnl_user_tmpl_get_daddr(t);

	if (tunnel) {
		compare_address(src, &expected->tmpl_src, "template source");
		compare_address(dst, &expected->tmpl_dst, "template destination");
	} else {
		want_bytes(nl_addr_get_binary_addr(src), none, nl_addr_get_len(src));
		want_bytes(nl_addr_get_binary_addr(dst), none, nl_addr_get_len(dst));
	}
	want_number(xfrmnl_user_tmpl_get_spi(t), 0);
	want_number(xfrmnl_user_tmpl_get_proto(t), expected->proto);
	want_number(xfrmnl_user_tmpl_get_family(t), expected->sel.family);
	want_number(xfrmnl_user_tmpl_get_reqid(t), expected->reqid);
	want_number(xfrmnl_user_tmpl_get_mode(t), tunnel ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT);
	want_number(xfrmnl_user_tmpl_get_share(t), XFRM_SHARE_ANY);
	want_number(xfrmnl_user_tmpl_get_optional(t), 0);
	want_number((uint32_t)xfrmnl_user_tmpl_get_aalgos(t), UINT32_MAX);
	want_number((uint32_t)xfrmnl_user_tmpl_get_ealgos(t), UINT32_MAX);
	want_number((uint32_t)xfrmnl_user_tmpl_get_calgos(t), UINT32_MAX);
}

/* The index comes from our own look-up; the comparison through libnl shows that it is right. */
static void compare_policy(const struct xfrm_policy *expected)
{
	struct xfrm_policy found = {0};
	struct xfrmnl_sp *sp;

	want_number(-xfrm_get_policy(x, expected->dir, &expected->sel, expected->if_id, &found), 0);
	want(xfrm_policy_equal(expected, &found));
	sp = read_policy(found.index, expected->dir);
	if (!sp) {
		note("the kernel has no policy with index %u", found.index);
		return;
	}
	compare_selector(xfrmnl_sp_get_sel(sp), &expected->sel);
	compare_lifetime(xfrmnl_sp_get_lifetime_cfg(sp), 0);
	want_number(xfrmnl_sp_get_priority(sp), expected->priority);
	want_number(xfrmnl_sp_get_dir(sp),
		    expected->dir == XFRM_OUT ? XFRM_POLICY_OUT : XFRM_POLICY_IN);
	want_number(xfrmnl_sp_get_action(sp), XFRM_POLICY_ALLOW);
	want_number(xfrmnl_sp_get_flags(sp), 0);
	want_number(xfrmnl_sp_get_share(sp), XFRM_SHARE_ANY);
	want_number(xfrmnl_sp_get_nusertemplates(sp), 1);
	if (xfrmnl_sp_get_nusertemplates(sp) == 1)
		compare_template(xfrmnl_sp_usertemplate_n(sp, 0), expected);
	xfrmnl_sp_put(sp);
}

static int count(int (*fill)(struct nl_sock *reader, struct nl_cache **ret))
{
	struct nl_sock *reader = open_reader();
	struct nl_cache *cache;
	int n = -1;

	if (fill(reader, &cache) >= 0) {
		n = nl_cache_nitems(cache);
		nl_cache_free(cache);
	}
	nl_socket_free(reader);
	return n;
}

static int count_sas(void)
{
	return count(xfrmnl_sa_alloc_cache);
}

static int count_policies(void)
{
	return count(xfrmnl_sp_alloc_cache);
}

/* A 32-bit attribute of the kernel's answer, for what libnl-xfrm does not know. */
struct wanted_attr {
	int header_bytes, type;
	uint32_t value;
};

static int on_message(struct nl_msg *msg, void *arg)
{
	struct wanted_attr *wanted = arg;
	struct nlattr *attr = nlmsg_find_attr(nlmsg_hdr(msg), wanted->header_bytes, wanted->type);

	if (attr)
		wanted->value = nla_get_u32(attr);
	return NL_OK;
}

static uint32_t read_sa_attr(const struct xfrm_sa_id *id, int type)
{
	struct wanted_attr wanted = {sizeof(struct xfrm_usersa_info), type, 0};
	struct xfrm_usersa_id body = {
		.spi = htonl(id->spi), .family = (uint16_t)id->dst.family, .proto = id->proto};
	struct nl_msg *msg = nlmsg_alloc_simple(XFRM_MSG_GETSA, 0);
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	struct nl_sock *reader = open_reader();

	memcpy(&body.daddr, id->dst.bytes, ip_bytes(&id->dst));
	nlmsg_append(msg, &body, sizeof(body), NLMSG_ALIGNTO);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_message, &wanted);
	if (nl_send_auto(reader, msg) >= 0)
		nl_recvmsgs(reader, cb);
	nl_socket_free(reader);
	nl_cb_put(cb);
	nlmsg_free(msg);
	return wanted.value;
}

/* ---- strangers ---- */

static void stranger_flushes(int type)
{
	struct xfrm_usersa_flush body = {.proto = 0};
	struct nl_msg *msg = nlmsg_alloc_simple(type, 0);
	struct nl_sock *reader = open_reader();

	if (type == XFRM_MSG_FLUSHSA)
		nlmsg_append(msg, &body, sizeof(body), NLMSG_ALIGNTO);
	if (nl_send_sync(reader, msg) < 0)
		note("flush failed");
	nl_socket_free(reader);
}

static void stranger_adds_sa(const struct xfrm_sa_id *id)
{
	struct ip_addr from = ip("203.0.113.50");
	struct nl_addr *dst = nl_addr_build(id->dst.family, id->dst.bytes, ip_bytes(&id->dst));
	struct nl_addr *src = nl_addr_build(AF_INET, from.bytes, 4);
	struct xfrmnl_sa *sa = xfrmnl_sa_alloc();
	struct nl_sock *reader = open_reader();

	xfrmnl_sa_set_daddr(sa, dst);
	xfrmnl_sa_set_saddr(sa, src);
	xfrmnl_sa_set_spi(sa, id->spi);
	xfrmnl_sa_set_proto(sa, id->proto);
	xfrmnl_sa_set_family(sa, AF_INET);
	xfrmnl_sa_set_reqid(sa, OTHER_REQID);
	xfrmnl_sa_set_mode(sa, XFRM_MODE_TRANSPORT);
	xfrmnl_sa_set_auth_params(sa, "hmac(sha1)", 160, 96, "stranger's own key 1");
	xfrmnl_sa_set_crypto_params(sa, "cbc(aes)", 128, "stranger's key 2");
	if (xfrmnl_sa_add(reader, sa, NLM_F_CREATE | NLM_F_EXCL) < 0)
		note("the stranger's SA could not be added");
	nl_socket_free(reader);
	xfrmnl_sa_put(sa);
	nl_addr_put(src);
	nl_addr_put(dst);
}

static unsigned int reqid_of(const struct xfrm_sa_id *id)
{
	struct xfrmnl_sa *sa = read_sa(id);
	unsigned int reqid = sa ? (unsigned int)xfrmnl_sa_get_reqid(sa) : 0;

	if (sa)
		xfrmnl_sa_put(sa);
	return reqid;
}

static void start_clean(void)
{
	stranger_flushes(XFRM_MSG_FLUSHSA);
	stranger_flushes(XFRM_MSG_FLUSHPOLICY);
	xfrm_begin(x);
}

static void commit(void)
{
	struct xfrm_error error = {0};

	if (xfrm_commit(x, &error))
		note("commit: %s: %s (%s)", error.object, strerror(-error.error), error.kernel);
}

/* ---- every combination ---- */

static void delete_policy(const struct xfrm_policy *policy)
{
	struct xfrm_policy found = {0};

	want_number(-xfrm_get_policy(x, policy->dir, &policy->sel, policy->if_id, &found), 0);
	want_number(-xfrm_delete_policy(x, policy->dir, found.index, policy->if_id), 0);
}

static void try_combination(const struct suite *suite, const struct shape *shape, int family)
{
	struct xfrm_sa sa = make_sa(suite, shape, family);
	struct xfrm_policy per_set = make_per_set(&sa);
	struct xfrm_policy shared = make_shared(family, suite->proto);
	char name[160], what[96];

	snprintf(name, sizeof(name), "%s, %s, IPv%d", suite_name(suite, what, sizeof(what)),
		 shape->name, family == AF_INET ? 4 : 6);
	xfrm_begin(x);
	want_number(-xfrm_add_sa(x, &sa), 0);
	want_number(-xfrm_add_policy(x, &per_set), 0);
	want_number(-xfrm_add_policy(x, &shared), 0);
	commit();
	compare_sa(&sa);
	if (shape->encap)
		want_number(read_sa_attr(&sa.id, XFRMA_MTIMER_THRESH), 10);
	result("%s: the SA reads back as asked for", name);
	compare_policy(&per_set);
	compare_policy(&shared);
	result("%s: per-set and shared policy read back as asked for", name);
	want_number(-xfrm_delete_sa(x, &sa.id), 0);
	delete_policy(&per_set);
	delete_policy(&shared);
	commit();
	want_number(count_sas(), 0);
	want_number(count_policies(), 0);
	result("%s: nothing is left when they are deleted", name);
}

static void try_combinations(void)
{
	for (size_t s = 0; s < sizeof(suites) / sizeof(suites[0]); s++)
		for (size_t m = 0; m < sizeof(shapes) / sizeof(shapes[0]); m++) {
			if (suites[s].proto == IPPROTO_AH && shapes[m].encap)
				continue;
			try_combination(&suites[s], &shapes[m], AF_INET);
			try_combination(&suites[s], &shapes[m], AF_INET6);
		}
}

/* ---- further fields ---- */

static void an_sa_without_limit_and_an_interface_id(void)
{
	struct xfrm_sa sa = plain_sa(FIRST_SPI);

	sa.hard_s = 0;
	sa.if_id = 7;
	sa.replay_window = XFRM_MAX_REPLAY_WINDOW;
	want_number(-xfrm_add_sa(x, &sa), 0);
	commit();
	compare_sa(&sa);
	want_number(read_sa_attr(&sa.id, XFRMA_IF_ID), 7);
	result("no hard limit, interface id and the widest replay window read back as asked for");
}

static void open_selectors(void)
{
	struct xfrm_sa sa = plain_sa(FIRST_SPI);

	sa.sel.src = (struct ip_addr){.family = AF_UNSPEC};
	sa.sel.sport = sa.sel.sport_mask = 0;
	sa.sel.dport_mask = 0xfffc;
	sa.sel.proto = IPPROTO_UDP;
	want_number(-xfrm_add_sa(x, &sa), 0);
	commit();
	compare_sa(&sa);
	result("a selector with any source, a port block and UDP alone reads back as asked for");
}

/* ---- transactions ---- */

static void four_sas_in_one_datagram(void)
{
	unsigned int before = datagrams;
	uint64_t d0, m0, d1, m1;

	xfrm_sent(x, &d0, &m0);
	for (uint32_t i = 0; i < 4; i++) {
		struct xfrm_sa sa = plain_sa(FIRST_SPI + i);

		want_number(-xfrm_add_sa(x, &sa), 0);
	}
	commit();
	xfrm_sent(x, &d1, &m1);
	want_number(datagrams - before, 1);
	want_number(datagram_bytes, 4 * 468);
	want_number(d1 - d0, 1);
	want_number(m1 - m0, 4);
	want_number(count_sas(), 4);
	result("four SAs cost one datagram of four messages");
}

static void roll_back_keeps_the_strangers_sa(void)
{
	struct xfrm_policy shared = make_shared(AF_INET, IPPROTO_ESP);
	struct xfrm_sa sas[4];
	struct xfrm_error error = {0};

	for (uint32_t i = 0; i < 4; i++)
		sas[i] = plain_sa(FIRST_SPI + i);
	stranger_adds_sa(&sas[1].id);
	for (uint32_t i = 0; i < 4; i++)
		want_number(-xfrm_add_sa(x, &sas[i]), 0);
	want_number(-xfrm_add_policy(x, &shared), 0);
	want_number(-xfrm_commit(x, &error), EEXIST);
	want_number(error.index, 1);
	want_number(error.op, XFRM_OP_ADD_SA);
	want_number(error.not_undone, 0);
	want_text(error.object, "ESP SA spi 0xc0de0002 to 192.0.2.1");
	want(!sa_exists(&sas[0].id) && !sa_exists(&sas[2].id) && !sa_exists(&sas[3].id));
	want_number(count_policies(), 0);
	result("a refused SA takes the others and the policy back");
	want_number(count_sas(), 1);
	want_number(reqid_of(&sas[1].id), OTHER_REQID);
	result("the stranger's SA that was in the way is still there");
}

static void roll_back_after_a_refused_policy(void)
{
	struct xfrm_policy shared = make_shared(AF_INET, IPPROTO_ESP), other = shared;
	struct xfrm_sa sa = plain_sa(FIRST_SPI);
	struct xfrm_error error = {0};

	other.priority = 7;
	want_number(-xfrm_add_policy(x, &shared), 0);
	commit();
	want_number(-xfrm_add_sa(x, &sa), 0);
	want_number(-xfrm_add_policy(x, &other), 0);
	want_number(-xfrm_commit(x, &error), EEXIST);
	want_text(error.object, "policy out 192.0.2.1 port 6100/0xfffc");
	want_number(count_sas(), 0);
	compare_policy(&shared);
	result("a selector is taken whatever the priority, and the first policy stays as it was");
}

static void deleting_twice_is_a_success(void)
{
	struct xfrm_sa sa = plain_sa(FIRST_SPI);

	want_number(-xfrm_delete_sa(x, &sa.id), 0);
	want_number(-xfrm_delete_policy(x, XFRM_IN, 8, 0), 0);
	want_number(-xfrm_delete_policy(x, XFRM_OUT, 9, 0), 0);
	commit();
	result("deleting what is not there is a success");
}

static void delete_by_index_takes_ours_alone(void)
{
	struct xfrm_policy ours = make_shared(AF_INET, IPPROTO_ESP), strangers = ours;
	struct xfrm_policy found = {0};

	/* the same selector and direction: only the interface id tells them apart */
	strangers.if_id = 9;
	strangers.reqid = OTHER_REQID;
	want_number(-xfrm_add_policy(x, &strangers), 0);
	want_number(-xfrm_add_policy(x, &ours), 0);
	commit();
	want_number(-xfrm_get_policy(x, XFRM_OUT, &ours.sel, 0, &found), 0);
	want(xfrm_policy_equal(&found, &ours));
	want_number(-xfrm_delete_policy(x, XFRM_OUT, found.index, 0), 0);
	commit();
	want_number(xfrm_get_policy(x, XFRM_OUT, &ours.sel, 0, &found), -ENOENT);
	want_number(-xfrm_get_policy(x, XFRM_OUT, &ours.sel, 9, &found), 0);
	want(xfrm_policy_equal(&found, &strangers));
	want_number(count_policies(), 1);
	result("deleting by index takes our policy and leaves one of the same selector");
}

/* ---- changes ---- */

static void try_change(const struct suite *suite, const struct shape *shape)
{
	struct xfrm_sa sa = make_sa(suite, shape, AF_INET);
	struct xfrm_sa_change change = {.id = sa.id, .src = sa.src, .mode = sa.mode};
	char what[96];

	want_number(-xfrm_add_sa(x, &sa), 0);
	commit();
	sa.hard_s = change.hard_s = 7200;
	if (shape->encap) {
		sa.encap.dport = 31337;
		change.encap = sa.encap;
	}
	want_number(-xfrm_change_sa(x, &change), 0);
	commit();
	compare_sa(&sa);
	if (shape->encap)
		want_number(read_sa_attr(&sa.id, XFRMA_MTIMER_THRESH), 10);
	result("%s, %s: UPDSA changes limit%s and keeps keys and all else",
	       suite_name(suite, what, sizeof(what)), shape->name, shape->encap ? ", port" : "");
	want_number(-xfrm_delete_sa(x, &sa.id), 0);
	commit();
}

static void try_changes(void)
{
	for (size_t s = 0; s < sizeof(suites) / sizeof(suites[0]); s++)
		for (size_t m = 0; m < sizeof(shapes) / sizeof(shapes[0]); m++)
			if (suites[s].proto == IPPROTO_ESP || !shapes[m].encap)
				try_change(&suites[s], &shapes[m]);
}

static void change_of_nothing_makes_nothing(void)
{
	struct xfrm_sa sa = plain_sa(FIRST_SPI);
	struct xfrm_sa_change change = {.id = sa.id, .src = sa.src, .hard_s = 60};
	struct xfrm_error error = {0};

	want_number(-xfrm_change_sa(x, &change), 0);
	want_number(-xfrm_commit(x, &error), ESRCH);
	want_number(count_sas(), 0);
	result("UPDSA of an SA that is gone is an error and makes none");
}

static void change_without_encapsulation_is_refused(void)
{
	struct xfrm_sa sa = make_sa(&suites[5], &shapes[2], AF_INET);
	struct xfrm_sa_change change = {.id = sa.id, .src = sa.src, .mode = sa.mode, .hard_s = 60};
	struct xfrm_error error = {0};

	want_number(-xfrm_add_sa(x, &sa), 0);
	commit();
	want_number(-xfrm_change_sa(x, &change), 0);
	want_number(-xfrm_commit(x, &error), EINVAL);
	compare_sa(&sa);
	result("UPDSA that forgets the encapsulation is refused and changes nothing");
}

/* ---- questions and dumps ---- */

static void questions_agree_with_libnl(void)
{
	struct xfrm_sa sa = plain_sa(FIRST_SPI);
	unsigned long long bytes, packets, add_time, use_time;
	struct xfrm_sa_stats counters = {0}, all = {0};
	struct xfrmnl_sa *read;

	want_number(-xfrm_add_sa(x, &sa), 0);
	commit();
	want_number(-xfrm_get_sa_counters(x, &sa.id, &counters), 0);
	want_number(-xfrm_get_sa(x, &sa.id, &all), 0);
	read = read_sa(&sa.id);
	if (read) {
		xfrmnl_sa_get_curlifetime(read, &bytes, &packets, &add_time, &use_time);
		want_number(counters.add_time, add_time);
		want_number(counters.use_time, use_time);
		want_number(counters.bytes, bytes);
		want_number(counters.packets, packets);
		xfrmnl_sa_put(read);
	}
	want_number(all.add_time, counters.add_time);
	want_number(counters.reqid, OUR_REQID);
	want(ip_equal(&counters.src, &sa.src) && ip_equal(&all.src, &sa.src));
	want_number(all.hard_s, 3600);
	sa.id.spi++;
	want_number(-xfrm_get_sa_counters(x, &sa.id, &counters), ESRCH);
	want_number(-xfrm_get_sa(x, &sa.id, &all), ESRCH);
	result("counters, owner, source and limit of an SA are told, and that there is none");
}

static unsigned int dumped, dumped_ours;

static int count_sa(const struct xfrm_dump_sa *sa, void *arg)
{
	(void)arg;
	dumped++;
	dumped_ours += sa->stats.reqid == OUR_REQID && sa->id.proto == IPPROTO_ESP &&
		       sa->sel.family == AF_INET && sa->sel.dport == 6100 && !sa->larval &&
		       sa->stats.hard_s == 3600 && sa->mode == XFRM_TRANSPORT;
	return 0;
}

static int stop_at_once(const struct xfrm_dump_sa *sa, void *arg)
{
	(void)sa;
	(void)arg;
	return 42;
}

static int count_policy(const struct xfrm_policy *policy, void *arg)
{
	const struct xfrm_policy *ours = arg;

	dumped++;
	dumped_ours += xfrm_policy_equal(policy, ours);
	return 0;
}

static void dumps_show_every_sa_once(void)
{
	struct xfrm_sa_id strangers = plain_sa(7).id;

	for (uint32_t i = 0; i < 300; i++) {
		struct xfrm_sa sa = plain_sa(FIRST_SPI + i);

		want_number(-xfrm_add_sa(x, &sa), 0);
		if (i % 50 == 49)
			commit();
	}
	stranger_adds_sa(&strangers);
	dumped = dumped_ours = 0;
	want_number(xfrm_dump_sas(x, stop_at_once, NULL), 42);
	want_number(-xfrm_dump_sas(x, count_sa, NULL), 0);
	want_number(dumped, 301);
	want_number(dumped_ours, 300);
	want_number(count_sas(), 301);
	result("a dump of 301 SAs shows each once, also after one that was stopped");
}

static void dumps_show_policies(void)
{
	struct xfrm_policy shared = make_shared(AF_INET6, IPPROTO_ESP);
	struct xfrm_policy other = make_shared(AF_INET, IPPROTO_AH);

	want_number(-xfrm_add_policy(x, &shared), 0);
	want_number(-xfrm_add_policy(x, &other), 0);
	commit();
	dumped = dumped_ours = 0;
	want_number(-xfrm_dump_policies(x, count_policy, &shared), 0);
	want_number(dumped, 2);
	want_number(dumped_ours, 1);
	result("a dump of policies shows ours among others");
}

/* ---- events ---- */

static struct xfrm_events *events;
static struct xfrm_event last;
static unsigned int seen;

static void keep_event(const struct xfrm_event *event, void *arg)
{
	const enum xfrm_event_kind *kind = arg;

	if (event->kind != *kind)
		return;
	last = *event;
	seen++;
}

/* Waits up to @wait_ms for an event of the kind. */
static bool wait_event(enum xfrm_event_kind kind, int wait_ms)
{
	struct pollfd p = {.fd = xfrm_events_fd(events), .events = POLLIN};

	seen = 0;
	while (!seen && poll(&p, 1, wait_ms) > 0)
		want_number(-xfrm_events_read(events, 64, keep_event, &kind), 0);
	return seen > 0;
}

static void an_expired_sa_is_told(void)
{
	struct xfrm_sa sa = plain_sa(FIRST_SPI);

	sa.hard_s = 2;
	want_number(-xfrm_add_sa(x, &sa), 0);
	commit();
	want(wait_event(XFRM_EVENT_EXPIRED, 20000));
	want_number(last.sa.spi, FIRST_SPI);
	want_number(last.sa.proto, IPPROTO_ESP);
	want(ip_equal(&last.sa.dst, &sa.id.dst));
	want_number(last.reqid, OUR_REQID);
	want_number(count_sas(), 0);
	result("the hard limit deletes an SA and is told");
}

static void a_deleted_policy_is_told(void)
{
	struct xfrm_policy shared = make_shared(AF_INET, IPPROTO_ESP);

	want_number(-xfrm_add_policy(x, &shared), 0);
	commit();
	delete_policy(&shared);
	commit();
	want(wait_event(XFRM_EVENT_POLICY_DELETED, 5000));
	want(xfrm_policy_equal(&last.policy, &shared));
	want(last.policy.index != 0);
	want_number(last.reqid, OUR_REQID);
	result("a deleted policy is told with all its fields");
}

static void flushed_policies_are_told(void)
{
	struct xfrm_policy shared = make_shared(AF_INET, IPPROTO_ESP);

	want_number(-xfrm_add_policy(x, &shared), 0);
	commit();
	while (wait_event(XFRM_EVENT_POLICIES_FLUSHED, 0))
		;
	stranger_flushes(XFRM_MSG_FLUSHPOLICY);
	want(wait_event(XFRM_EVENT_POLICIES_FLUSHED, 5000));
	result("a flush of the policies is told");
}

/* ---- a mapping, with a packet that the kernel itself encrypts ---- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		note("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void bring_loopback_up(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		note("lo: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static struct sockaddr_in endpoint(const char *address, uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};

	memcpy(&sin.sin_addr, ip(address).bytes, 4);
	return sin;
}

static int open_socket(int type, const char *address, uint16_t port)
{
	struct sockaddr_in sin = endpoint(address, port);
	struct timeval limit = {.tv_sec = 10};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1;

	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	}
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		note("socket %s:%u: %s", address, port, strerror(errno));
	return fd;
}

static void send_to(int fd, const void *data, size_t n, const char *address, uint16_t port)
{
	struct sockaddr_in sin = endpoint(address, port);

	if (sendto(fd, data, n, 0, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		note("sendto %s:%u: %s", address, port, strerror(errno));
}

/* The loopback exempts itself from IPsec by default. */
static void add_loopback_encap(const char *dst)
{
	struct xfrm_sa sa = make_sa(&suites[3], &shapes[2], AF_INET);

	sa.src = sa.sel.src = ip("127.0.0.1");
	sa.id.dst = sa.sel.dst = ip(dst);
	sa.sel.sport = sa.sel.sport_mask = sa.sel.dport = sa.sel.dport_mask = 0;
	sa.encap = (struct xfrm_encap){.on = true, .sport = 4500, .dport = 4500};
	want_number(-xfrm_add_sa(x, &sa), 0);
}

/* The kernel encrypts what goes to 127.0.0.2; the ESP is picked up there and sent to 127.0.0.3 from
 * another port, as a NAT would. */
static void a_moved_mapping_is_told(void)
{
	struct xfrm_policy out = {
		.dir = XFRM_OUT,
		.sel = {.family = AF_INET,
			.src = ip("127.0.0.1"),
			.dst = ip("127.0.0.2"),
			.dport = 9,
			.dport_mask = 0xffff,
			.proto = IPPROTO_UDP},
		.proto = IPPROTO_ESP,
		.mode = XFRM_TUNNEL,
		.reqid = OUR_REQID,
		.tmpl_src = ip("127.0.0.1"),
		.tmpl_dst = ip("127.0.0.2"),
	};
	int type = UDP_ENCAP_ESPINUDP, client, catcher, natted, server;
	struct ip_addr nat = ip("127.0.0.1"), here = ip("127.0.0.3");
	uint8_t esp[2048];
	ssize_t n;

	write_file("/proc/sys/net/ipv4/conf/lo/disable_xfrm", "0");
	add_loopback_encap("127.0.0.2");
	add_loopback_encap("127.0.0.3");
	want_number(-xfrm_add_policy(x, &out), 0);
	commit();
	client = open_socket(SOCK_DGRAM, "127.0.0.1", 9999);
	catcher = open_socket(SOCK_DGRAM, "127.0.0.2", 4500);
	natted = open_socket(SOCK_DGRAM, "127.0.0.1", 23006);
	server = open_socket(SOCK_DGRAM, "127.0.0.3", 4500);
	if (setsockopt(server, IPPROTO_UDP, UDP_ENCAP, &type, sizeof(type)) < 0)
		note("UDP_ENCAP: %s", strerror(errno));
	send_to(client, "hello", 5, "127.0.0.2", 9);
	n = recv(catcher, esp, sizeof(esp), 0);
	want(n > 8);
	if (n > 8)
		send_to(natted, esp, (size_t)n, "127.0.0.3", 4500);
	want(wait_event(XFRM_EVENT_MAPPING, 10000));
	want_number(last.sa.spi, FIRST_SPI);
	want_number(last.sa.proto, IPPROTO_ESP);
	want(ip_equal(&last.sa.dst, &here) && ip_equal(&last.new_addr, &nat));
	want_number(last.new_port, 23006);
	want_number(last.reqid, OUR_REQID);
	result("a packet from another port is told as a mapping, with address and port");
	close(client);
	close(catcher);
	close(natted);
	close(server);
}

/* ---- TCP ---- */

static int connect_to(uint16_t from, uint16_t to)
{
	struct sockaddr_in sin = endpoint("127.0.0.1", to);
	int fd = open_socket(SOCK_STREAM, "127.0.0.1", from);

	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		note("connect: %s", strerror(errno));
	return fd;
}

static void destroying_a_connection_resets_the_peer_and_spares_the_listener(void)
{
	int listener = open_socket(SOCK_STREAM, "127.0.0.1", 6100), phone, accepted;
	struct ip_addr lo = ip("127.0.0.1");
	char byte;

	if (listen(listener, 5) < 0)
		note("listen: %s", strerror(errno));
	phone = connect_to(5061, 6100);
	accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	want_number(-xfrm_destroy_tcp(x, &lo, 6100, &lo, 5061), 0);
	want(recv(phone, &byte, 1, 0) < 0 && errno == ECONNRESET);
	want(recv(accepted, &byte, 1, 0) < 0 && errno == ECONNABORTED);
	result("a destroyed connection is reset at both ends");
	want_number(-xfrm_destroy_tcp(x, &lo, 6100, &lo, 5061), 0);
	want_number(-xfrm_destroy_tcp(x, &lo, 6100, &lo, 5999), 0);
	want_number(-xfrm_destroy_tcp(x, &lo, 6200, &lo, 5061), 0);
	close(accepted);
	close(phone);
	phone = connect_to(5062, 6100);
	accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	want(accepted >= 0 && send(phone, "x", 1, 0) == 1 && recv(accepted, &byte, 1, 0) == 1);
	result("destroying what is not connected is a success and the listener lives on");
	close(accepted);
	close(phone);
	close(listener);
}

/* ---- */

static void (*const tests[])(void) = {
	try_combinations,
	an_sa_without_limit_and_an_interface_id,
	open_selectors,
	four_sas_in_one_datagram,
	roll_back_keeps_the_strangers_sa,
	roll_back_after_a_refused_policy,
	deleting_twice_is_a_success,
	delete_by_index_takes_ours_alone,
	try_changes,
	change_of_nothing_makes_nothing,
	change_without_encapsulation_is_refused,
	questions_agree_with_libnl,
	dumps_show_every_sa_once,
	dumps_show_policies,
	an_expired_sa_is_told,
	a_deleted_policy_is_told,
	flushed_policies_are_told,
	a_moved_mapping_is_told,
	destroying_a_connection_resets_the_peer_and_spares_the_listener,
};

static int prepare(void)
{
	int err;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	bring_loopback_up();
	err = xfrm_open(&x);
	return err ? err : xfrm_events_open(4 << 20, &events);
}

int main(void)
{
	int err = prepare();

	if (err) {
		printf("Bail out! %s\n", strerror(-err));
		return 1;
	}
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		start_clean();
		tests[i]();
	}
	printf("1..%u\n", lines);
	xfrm_events_close(events);
	xfrm_close(x);
	return failures != 0;
}
