/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SAs and policies of the phone in the kernel. Programmed with libnl-xfrm so that nothing is shared
 * with the code of the P-CSCF's side: when the two agree, they agree on the standard.
 *
 * What is installed is remembered in the plan, and taken out one by one; nothing is ever flushed,
 * and no SA or policy of anybody else is touched. Policies that two sets need are counted.
 *
 * libnl-xfrm keeps copies of keys that it never wipes, so the algorithms are written into the
 * message by hand, and the message is wiped. Lifetimes are not set: the phone removes its SAs
 * itself, and a phone that was killed leaves them (see "reqid" in the manual).
 */
#include "tests/ue/sa_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/netlink.h>
#include <linux/udp.h>
#include <linux/xfrm.h>
#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/xfrm/sa.h>
#include <netlink/xfrm/selector.h>
#include <netlink/xfrm/sp.h>
#include <netlink/xfrm/template.h>
#include <openssl/crypto.h>

#define REPLAY_WINDOW 64 /* RFC 4303 3.4.3 */
#define PRIORITY      1000

static const char *kernel_words(struct nlmsgerr *err)
{
	struct nlmsghdr *head = (struct nlmsghdr *)((char *)err - NLMSG_HDRLEN);
	struct nlattr *attrs = (struct nlattr *)(err + 1);
	int left = (int)head->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*err));
	struct nlattr *text;

	if (!(head->nlmsg_flags & NLM_F_ACK_TLVS) || left <= 0)
		return NULL;
	text = nla_find(attrs, left, NLMSGERR_ATTR_MSG);
	return text ? nla_data(text) : NULL;
}

/* libnl folds many errors into one; keep the true one. */
static int on_error(struct sockaddr_nl *peer, struct nlmsgerr *err, void *arg)
{
	struct sa_kernel *kernel = arg;
	const char *words = kernel_words(err);

	(void)peer;
	kernel->error = err->error;
	snprintf(kernel->why, sizeof(kernel->why), "%s%s%s", strerror(-err->error),
		 words ? ": " : "", words ? words : "");
	return NL_STOP;
}

static int result(struct sa_kernel *kernel, int nl_error)
{
	if (nl_error >= 0)
		return 0;
	if (kernel->error == 0) {
		snprintf(kernel->why, sizeof(kernel->why), "%s", nl_geterror(nl_error));
		return -EIO;
	}
	return kernel->error;
}

/* Takes over @msg, and wipes it: it may hold keys. */
static int request(struct sa_kernel *kernel, struct nl_msg *msg)
{
	struct nlmsghdr *head = nlmsg_hdr(msg);
	int r;

	kernel->error = 0;
	r = nl_send_auto(kernel->socket, msg);
	OPENSSL_cleanse(nlmsg_data(head), (size_t)nlmsg_datalen(head));
	nlmsg_free(msg);
	if (r >= 0)
		r = nl_wait_for_ack(kernel->socket);
	return result(kernel, r);
}

static const char *advice(int error)
{
	if (error == -EPERM)
		return " (CAP_NET_ADMIN is needed: run as root or use setcap)";
	if (error == -EPROTONOSUPPORT)
		return " (this kernel has no ESP, or no AH)";
	return "";
}

static void say_what(struct sa_kernel *kernel, int error, const char *what)
{
	char why[sizeof(kernel->why)];

	memcpy(why, kernel->why, sizeof(why));
	snprintf(kernel->why, sizeof(kernel->why), "%s: %.160s%s", what, why, advice(error));
}

static struct nl_addr *address(const struct ip *ip)
{
	return nl_addr_build(ip->family, ip->octets, ip_bytes(ip));
}

static struct nl_addr *no_address(int family)
{
	const struct ip none = {.family = family};

	return address(&none);
}

static struct xfrmnl_sel *selector(const struct sa_selector *s)
{
	struct xfrmnl_sel *sel = xfrmnl_sel_alloc();
	struct nl_addr *src = address(&s->src), *dst = address(&s->dst);
	unsigned int prefix = s->src.family == AF_INET6 ? 128 : 32;

	if (!sel || !src || !dst) {
		if (sel)
			xfrmnl_sel_put(sel);
		sel = NULL;
		goto out;
	}
	xfrmnl_sel_set_family(sel, (unsigned int)s->src.family);
	xfrmnl_sel_set_saddr(sel, src);
	xfrmnl_sel_set_daddr(sel, dst);
	xfrmnl_sel_set_prefixlen_s(sel, prefix);
	xfrmnl_sel_set_prefixlen_d(sel, prefix);
	xfrmnl_sel_set_sport(sel, s->sport);
	xfrmnl_sel_set_sportmask(sel, s->sport ? 0xffff : 0);
	xfrmnl_sel_set_dport(sel, s->dport);
	xfrmnl_sel_set_dportmask(sel, s->dport ? 0xffff : 0);
out:
	nl_addr_put(src);
	nl_addr_put(dst);
	return sel;
}

/* An unset limit is 0 in libnl, and 0 means "expired" for octets and packets. */
static struct xfrmnl_ltime_cfg *no_limits(void)
{
	struct xfrmnl_ltime_cfg *cfg = xfrmnl_ltime_cfg_alloc();

	if (!cfg)
		return NULL;
	xfrmnl_ltime_cfg_set_soft_bytelimit(cfg, XFRM_INF);
	xfrmnl_ltime_cfg_set_hard_bytelimit(cfg, XFRM_INF);
	xfrmnl_ltime_cfg_set_soft_packetlimit(cfg, XFRM_INF);
	xfrmnl_ltime_cfg_set_hard_packetlimit(cfg, XFRM_INF);
	return cfg;
}

static unsigned int ip_proto(const struct ipsec_suite *suite)
{
	return suite->prot == IPSEC_PROT_AH ? IPPROTO_AH : IPPROTO_ESP;
}

static unsigned int xfrm_mode(const struct ipsec_suite *suite)
{
	return suite->mod == IPSEC_MOD_TRANS ? XFRM_MODE_TRANSPORT : XFRM_MODE_TUNNEL;
}

static int put_alg(struct nl_msg *msg, int type, const struct ue_key *key)
{
	char buf[sizeof(struct xfrm_algo) + UE_KEY_BYTES] = {0};
	struct xfrm_algo *alg = (struct xfrm_algo *)buf;
	int r;

	snprintf(alg->alg_name, sizeof(alg->alg_name), "%s", key->algorithm);
	alg->alg_key_len = (unsigned int)(8 * key->key_bytes);
	memcpy(alg->alg_key, key->key, key->key_bytes);
	r = nla_put(msg, type, (int)(sizeof(*alg) + key->key_bytes), alg);
	OPENSSL_cleanse(buf, sizeof(buf));
	return r;
}

/* xfrm_algo_auth and xfrm_algo_aead have one layout: name, key length, ICV length, key. */
static int put_alg_icv(struct nl_msg *msg, int type, const struct ue_key *key,
		       unsigned int icv_bits)
{
	char buf[sizeof(struct xfrm_algo_aead) + UE_KEY_BYTES] = {0};
	struct xfrm_algo_aead *alg = (struct xfrm_algo_aead *)buf;
	int r;

	_Static_assert(sizeof(struct xfrm_algo_aead) == sizeof(struct xfrm_algo_auth), "layout");
	snprintf(alg->alg_name, sizeof(alg->alg_name), "%s", key->algorithm);
	alg->alg_key_len = (unsigned int)(8 * key->key_bytes);
	alg->alg_icv_len = icv_bits;
	memcpy(alg->alg_key, key->key, key->key_bytes);
	r = nla_put(msg, type, (int)(sizeof(*alg) + key->key_bytes), alg);
	OPENSSL_cleanse(buf, sizeof(buf));
	return r;
}

static int put_algs(struct nl_msg *msg, const struct ue_keys *keys)
{
	int r = 0;

	if (keys->aead.algorithm)
		r = put_alg_icv(msg, XFRMA_ALG_AEAD, &keys->aead, keys->icv_bits);
	if (r == 0 && keys->auth.algorithm)
		r = put_alg_icv(msg, XFRMA_ALG_AUTH_TRUNC, &keys->auth, keys->icv_bits);
	if (r == 0 && keys->enc.algorithm)
		r = put_alg(msg, XFRMA_ALG_CRYPT, &keys->enc);
	return r;
}

/* Windows above 32 need the ESN attribute, without the ESN flag. */
static int put_window(struct nl_msg *msg)
{
	char buf[sizeof(struct xfrm_replay_state_esn) + REPLAY_WINDOW / 8] = {0};
	struct xfrm_replay_state_esn *esn = (struct xfrm_replay_state_esn *)buf;

	esn->bmp_len = REPLAY_WINDOW / 32;
	esn->replay_window = REPLAY_WINDOW;
	return nla_put(msg, XFRMA_REPLAY_ESN_VAL, sizeof(buf), buf);
}

static int set_addresses(struct xfrmnl_sa *sa, const struct sa_plan *plan,
			 const struct sa_entry *entry)
{
	struct nl_addr *src = address(entry->out ? &plan->local : &plan->remote);
	struct nl_addr *dst = address(entry->out ? &plan->remote : &plan->local);
	struct nl_addr *none = no_address(plan->local.family);
	int r = -ENOMEM;

	if (!src || !dst || !none)
		goto out;
	xfrmnl_sa_set_family(sa, (unsigned int)plan->local.family);
	xfrmnl_sa_set_saddr(sa, src);
	r = xfrmnl_sa_set_daddr(sa, dst) < 0 ? -EINVAL : 0;
	if (r == 0 && plan->encap_port &&
	    xfrmnl_sa_set_encap_tmpl(sa, UDP_ENCAP_ESPINUDP, plan->encap_port, plan->encap_port,
				     none) < 0)
		r = -ENOMEM;
out:
	nl_addr_put(src);
	nl_addr_put(dst);
	nl_addr_put(none);
	return r;
}

/* An SA object with all but its algorithms; NULL when memory is out. */
static struct xfrmnl_sa *sa_object(const struct sa_kernel *kernel, const struct sa_plan *plan,
				   const struct sa_entry *entry)
{
	struct xfrmnl_sa *sa = xfrmnl_sa_alloc();
	struct xfrmnl_sel *sel = selector(&entry->selector);
	struct xfrmnl_ltime_cfg *limits = no_limits();
	bool ok = sa && sel && limits && set_addresses(sa, plan, entry) == 0;

	if (ok) {
		xfrmnl_sa_set_spi(sa, entry->spi);
		xfrmnl_sa_set_proto(sa, ip_proto(&plan->suite));
		xfrmnl_sa_set_mode(sa, xfrm_mode(&plan->suite));
		xfrmnl_sa_set_reqid(sa, kernel->reqid);
		xfrmnl_sa_set_sel(sa, sel);
		xfrmnl_sa_set_lifetime_cfg(sa, limits);
	} else if (sa) {
		xfrmnl_sa_put(sa);
	}
	if (sel)
		xfrmnl_sel_put(sel);
	if (limits)
		xfrmnl_ltime_cfg_put(limits);
	return ok ? sa : NULL;
}

static int no_memory(struct sa_kernel *kernel)
{
	snprintf(kernel->why, sizeof(kernel->why), "%s", strerror(ENOMEM));
	return -ENOMEM;
}

static int add_sa(struct sa_kernel *kernel, const struct sa_plan *plan, struct sa_entry *entry,
		  const struct ue_keys *keys)
{
	struct xfrmnl_sa *sa = sa_object(kernel, plan, entry);
	struct nl_msg *msg = NULL;
	char what[64];
	int r = -ENOMEM;

	if (sa && xfrmnl_sa_build_add_request(sa, NLM_F_CREATE | NLM_F_EXCL, &msg) == 0)
		r = put_algs(msg, keys) < 0 || put_window(msg) < 0 ? -ENOMEM : 0;
	if (r == 0) {
		r = request(kernel, msg);
	} else {
		if (msg)
			OPENSSL_cleanse(nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len);
		nlmsg_free(msg);
		no_memory(kernel);
	}
	if (sa)
		xfrmnl_sa_put(sa);
	entry->installed = r == 0;
	snprintf(what, sizeof(what), "SA %s spi=%u", entry->out ? "out" : "in", entry->spi);
	if (r < 0)
		say_what(kernel, r, what);
	return r;
}

static void remove_sa(struct sa_kernel *kernel, const struct sa_plan *plan, struct sa_entry *entry)
{
	struct xfrmnl_sa *sa = sa_object(kernel, plan, entry);
	struct nl_msg *msg;

	if (sa && xfrmnl_sa_build_delete_request(sa, 0, &msg) == 0)
		request(kernel, msg);
	if (sa)
		xfrmnl_sa_put(sa);
	entry->installed = false;
}

static int set_template_addresses(struct xfrmnl_user_tmpl *tmpl, const struct sa_plan *plan,
				  bool out)
{
	bool tunnel = plan->suite.mod != IPSEC_MOD_TRANS;
	int family = plan->local.family;
	struct nl_addr *local = tunnel ? address(&plan->local) : no_address(family);
	struct nl_addr *remote = tunnel ? address(&plan->remote) : no_address(family);

	if (local && remote) {
		xfrmnl_user_tmpl_set_saddr(tmpl, out ? local : remote);
		xfrmnl_user_tmpl_set_daddr(tmpl, out ? remote : local);
	}
	nl_addr_put(local);
	nl_addr_put(remote);
	return local && remote ? 0 : -ENOMEM;
}

/* Required, any algorithm, our reqid; no SPI: the SAs' selectors choose. */
static struct xfrmnl_user_tmpl *template(const struct sa_kernel *kernel,
					 const struct sa_plan *plan, bool out)
{
	struct xfrmnl_user_tmpl *tmpl = xfrmnl_user_tmpl_alloc();

	if (!tmpl)
		return NULL;
	if (set_template_addresses(tmpl, plan, out) < 0) {
		xfrmnl_user_tmpl_free(tmpl);
		return NULL;
	}
	xfrmnl_user_tmpl_set_family(tmpl, (unsigned int)plan->local.family);
	xfrmnl_user_tmpl_set_proto(tmpl, ip_proto(&plan->suite));
	xfrmnl_user_tmpl_set_mode(tmpl, xfrm_mode(&plan->suite));
	xfrmnl_user_tmpl_set_reqid(tmpl, kernel->reqid);
	xfrmnl_user_tmpl_set_aalgos(tmpl, ~0U);
	xfrmnl_user_tmpl_set_ealgos(tmpl, ~0U);
	xfrmnl_user_tmpl_set_calgos(tmpl, ~0U);
	return tmpl;
}

/* The object owns its template. NULL when memory is out. */
static struct xfrmnl_sp *sp_object(const struct sa_kernel *kernel, const struct sa_plan *plan,
				   const struct sa_rule *rule)
{
	struct xfrmnl_sp *sp = xfrmnl_sp_alloc();
	struct xfrmnl_sel *sel = selector(&rule->selector);
	struct xfrmnl_ltime_cfg *limits = no_limits();
	struct xfrmnl_user_tmpl *tmpl = template(kernel, plan, rule->out);
	bool ok = sp && sel && limits && tmpl;

	if (ok) {
		xfrmnl_sp_set_sel(sp, sel);
		xfrmnl_sp_set_dir(sp, rule->out ? XFRM_POLICY_OUT : XFRM_POLICY_IN);
		xfrmnl_sp_set_action(sp, XFRM_POLICY_ALLOW);
		xfrmnl_sp_set_priority(sp, PRIORITY);
		xfrmnl_sp_set_lifetime_cfg(sp, limits);
		xfrmnl_sp_add_usertemplate(sp, tmpl);
	} else {
		if (tmpl)
			xfrmnl_user_tmpl_free(tmpl);
		if (sp)
			xfrmnl_sp_put(sp);
	}
	if (sel)
		xfrmnl_sel_put(sel);
	if (limits)
		xfrmnl_ltime_cfg_put(limits);
	return ok ? sp : NULL;
}

static struct sa_policy *find_policy(struct sa_kernel *kernel, const struct sa_rule *rule)
{
	for (int i = 0; i < SA_KERNEL_POLICIES; i++) {
		struct sa_policy *p = &kernel->policies[i];

		if (p->users > 0 && p->rule.out == rule->out &&
		    sa_selector_equal(&p->rule.selector, &rule->selector))
			return p;
	}
	return NULL;
}

static struct sa_policy *free_policy(struct sa_kernel *kernel)
{
	for (int i = 0; i < SA_KERNEL_POLICIES; i++)
		if (kernel->policies[i].users == 0)
			return &kernel->policies[i];
	return NULL;
}

static int send_policy(struct sa_kernel *kernel, const struct sa_plan *plan,
		       const struct sa_rule *rule)
{
	struct xfrmnl_sp *sp = sp_object(kernel, plan, rule);
	struct nl_msg *msg;
	int r;

	if (sp && xfrmnl_sp_build_add_request(sp, NLM_F_CREATE | NLM_F_EXCL, &msg) == 0)
		r = request(kernel, msg);
	else
		r = no_memory(kernel);
	if (sp)
		xfrmnl_sp_put(sp);
	return r;
}

static int add_rule(struct sa_kernel *kernel, const struct sa_plan *plan, struct sa_rule *rule)
{
	struct sa_policy *policy = find_policy(kernel, rule);
	char what[64];
	int r;

	if (policy) {
		policy->users++;
		rule->installed = true;
		return 0;
	}
	policy = free_policy(kernel);
	r = policy ? send_policy(kernel, plan, rule) : no_memory(kernel);
	if (r == 0) {
		*policy = (struct sa_policy){*rule, 1};
		rule->installed = true;
		return 0;
	}
	snprintf(what, sizeof(what), "policy %s port %u to %u", rule->out ? "out" : "in",
		 rule->selector.sport, rule->selector.dport);
	say_what(kernel, r, what);
	return r;
}

static void remove_rule(struct sa_kernel *kernel, const struct sa_plan *plan, struct sa_rule *rule)
{
	struct sa_policy *policy = find_policy(kernel, rule);
	struct xfrmnl_sp *sp;
	struct nl_msg *msg;

	rule->installed = false;
	if (!policy || --policy->users > 0)
		return;
	sp = sp_object(kernel, plan, rule);
	if (sp && xfrmnl_sp_build_delete_request(sp, 0, &msg) == 0)
		request(kernel, msg);
	if (sp)
		xfrmnl_sp_put(sp);
}

void sa_kernel_remove(struct sa_kernel *kernel, struct sa_plan *plan)
{
	/* the SAs first: then nothing of the set can pass, in clear or otherwise */
	for (size_t i = 0; i < plan->sa_count; i++)
		if (plan->sas[i].installed)
			remove_sa(kernel, plan, &plan->sas[i]);
	for (size_t i = 0; i < plan->rule_count; i++)
		if (plan->rules[i].installed)
			remove_rule(kernel, plan, &plan->rules[i]);
}

int sa_kernel_install(struct sa_kernel *kernel, struct sa_plan *plan, const struct ue_keys *keys)
{
	char why[sizeof(kernel->why)];
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->sa_count; i++)
		r = add_sa(kernel, plan, &plan->sas[i], keys);
	for (size_t i = 0; r == 0 && i < plan->rule_count; i++)
		r = add_rule(kernel, plan, &plan->rules[i]);
	if (r < 0) {
		memcpy(why, kernel->why, sizeof(why));
		sa_kernel_remove(kernel, plan);
		memcpy(kernel->why, why, sizeof(why));
	}
	return r;
}

int sa_kernel_count(struct sa_kernel *kernel, const struct sa_plan *plan, size_t index,
		    uint64_t *ret_bytes, uint64_t *ret_packets)
{
	const struct sa_entry *entry = &plan->sas[index];
	struct nl_addr *dst = address(entry->out ? &plan->remote : &plan->local);
	unsigned long long bytes = 0, packets = 0, added = 0, used = 0;
	struct xfrmnl_sa *sa = NULL;
	int r = -ENOMEM;

	kernel->error = 0;
	if (dst)
		r = result(kernel, xfrmnl_sa_get_kernel(kernel->socket, dst, entry->spi,
							ip_proto(&plan->suite), 0, 0, &sa));
	if (r == 0 && xfrmnl_sa_get_curlifetime(sa, &bytes, &packets, &added, &used) < 0)
		r = -EIO;
	if (r == 0) {
		*ret_bytes = bytes;
		*ret_packets = packets;
	}
	if (sa)
		xfrmnl_sa_put(sa);
	nl_addr_put(dst);
	return r;
}

/* Ask for an SA that cannot exist: the kernel looks at the privilege first. */
static int check_privilege(struct sa_kernel *kernel)
{
	struct nl_addr *none = no_address(AF_INET);
	struct xfrmnl_sa *sa = NULL;
	int r = -ENOMEM;

	kernel->error = 0;
	if (none)
		r = result(kernel, xfrmnl_sa_get_kernel(kernel->socket, none, 1, IPPROTO_ESP, 0, 0,
							&sa));
	if (sa)
		xfrmnl_sa_put(sa);
	nl_addr_put(none);
	if (r != -EPERM)
		return 0;
	say_what(kernel, r, "XFRM");
	return r;
}

int sa_kernel_open(struct sa_kernel *ret, uint32_t reqid)
{
	const int one = 1;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->reqid = reqid;
	ret->socket = nl_socket_alloc();
	if (!ret->socket)
		return no_memory(ret);
	nl_socket_modify_err_cb(ret->socket, NL_CB_CUSTOM, on_error, ret);
	r = nl_connect(ret->socket, NETLINK_XFRM);
	if (r < 0) {
		snprintf(ret->why, sizeof(ret->why), "no XFRM netlink socket: %s", nl_geterror(r));
		sa_kernel_close(ret);
		return -EPROTONOSUPPORT;
	}
	/* without the first an error would echo the request, keys and all */
	setsockopt(nl_socket_get_fd(ret->socket), SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(nl_socket_get_fd(ret->socket), SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	r = check_privilege(ret);
	if (r < 0)
		sa_kernel_close(ret);
	return r;
}

void sa_kernel_close(struct sa_kernel *kernel)
{
	nl_socket_free(kernel->socket);
	kernel->socket = NULL;
}
