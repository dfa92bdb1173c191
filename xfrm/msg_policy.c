/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages about policies: NEWPOLICY, DELPOLICY, GETPOLICY, and reading a policy back.
 *
 * A policy of ours has one template, level required, open to every algorithm: the SAs decide those.
 * The kernel knows a policy by direction, selector and if_id, whatever its priority, and gives it
 * an index, by which it is deleted without taking a stranger's: the one that was wished for (0: no
 * matter which), or another if that is taken. What is read back and has another form than ours is
 * marked (proto 0, or the selector's family AF_UNSPEC) and so equals nothing of ours.
 *
 * Deliberately absent: forwarding and socket policies, the second policy table, marks, blocking.
 */
#include "xfrm/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool template_is_legal(const struct xfrm_policy *p)
{
	if (p->proto != IPPROTO_ESP && p->proto != IPPROTO_AH)
		return false;
	if (p->mode == XFRM_TUNNEL)
		return msg_is_family(p->tmpl_src.family) &&
		       p->tmpl_src.family == p->tmpl_dst.family;
	return p->mode == XFRM_TRANSPORT && p->tmpl_src.family == AF_UNSPEC &&
	       p->tmpl_dst.family == AF_UNSPEC;
}

static bool dir_is_legal(enum xfrm_dir dir)
{
	return dir == XFRM_IN || dir == XFRM_OUT;
}

static uint8_t kernel_dir(enum xfrm_dir dir)
{
	return dir == XFRM_OUT ? XFRM_POLICY_OUT : XFRM_POLICY_IN;
}

/* All bits set: else the kernel tests the SA's algorithm by its number, and an AEAD has none. */
static int put_template(struct nlmsghdr *nlh, size_t cap, const struct xfrm_policy *p)
{
	int family = p->mode == XFRM_TUNNEL ? p->tmpl_dst.family : p->sel.family;
	struct xfrm_user_tmpl t = {
		.id.proto = p->proto,
		.family = (uint16_t)family,
		.reqid = p->reqid,
		.mode = msg_mode(p->mode),
		.share = XFRM_SHARE_ANY,
		.aalgos = UINT32_MAX,
		.ealgos = UINT32_MAX,
		.calgos = UINT32_MAX,
	};

	msg_address(&p->tmpl_dst, &t.id.daddr);
	msg_address(&p->tmpl_src, &t.saddr);
	return mnl_attr_put_check(nlh, cap, XFRMA_TMPL, sizeof(t), &t) ? 0 : -ENOSPC;
}

int msg_add_policy(void *buf, size_t cap, const struct xfrm_policy *policy)
{
	struct xfrm_userpolicy_info info = {0};
	struct nlmsghdr *nlh;
	int err;

	if (!dir_is_legal(policy->dir) || !template_is_legal(policy) ||
	    msg_selector(&policy->sel, &info.sel))
		return -EINVAL;
	info.lft = msg_lifetime(0);
	info.priority = policy->priority;
	info.index = policy->index;
	info.dir = kernel_dir(policy->dir);
	info.action = XFRM_POLICY_ALLOW;
	info.share = XFRM_SHARE_ANY;
	nlh = msg_start(buf, cap, XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL, &info,
			sizeof(info));
	if (!nlh)
		return -ENOSPC;
	err = put_template(nlh, cap, policy);
	return err ? err : msg_put_if_id(nlh, cap, policy->if_id);
}

static int policy_id_message(void *buf, size_t cap, uint16_t type,
			     const struct xfrm_userpolicy_id *id, uint32_t if_id)
{
	struct nlmsghdr *nlh = msg_start(buf, cap, type, 0, id, sizeof(*id));

	return nlh ? msg_put_if_id(nlh, cap, if_id) : -ENOSPC;
}

/* The kernel reads the direction out of it, too. */
uint32_t xfrm_policy_index(enum xfrm_dir dir, uint32_t number)
{
	return (number & ~7u ? number & ~7u : 8) | kernel_dir(dir);
}

static int by_index(void *buf, size_t cap, uint16_t type, enum xfrm_dir dir, uint32_t index,
		    uint32_t if_id)
{
	struct xfrm_userpolicy_id id = {.index = index};

	if (!dir_is_legal(dir) || !index)
		return -EINVAL;
	id.dir = kernel_dir(dir);
	return policy_id_message(buf, cap, type, &id, if_id);
}

int msg_delete_policy(void *buf, size_t cap, enum xfrm_dir dir, uint32_t index, uint32_t if_id)
{
	return by_index(buf, cap, XFRM_MSG_DELPOLICY, dir, index, if_id);
}

int msg_get_policy_by_index(void *buf, size_t cap, enum xfrm_dir dir, uint32_t index,
			    uint32_t if_id)
{
	return by_index(buf, cap, XFRM_MSG_GETPOLICY, dir, index, if_id);
}

static int by_selector(void *buf, size_t cap, uint16_t type, enum xfrm_dir dir,
		       const struct xfrm_sel *sel, uint32_t if_id)
{
	struct xfrm_userpolicy_id id = {0};

	if (!dir_is_legal(dir) || msg_selector(sel, &id.sel))
		return -EINVAL;
	id.dir = kernel_dir(dir);
	return policy_id_message(buf, cap, type, &id, if_id);
}

int msg_delete_policy_sel(void *buf, size_t cap, const struct xfrm_policy *policy)
{
	return by_selector(buf, cap, XFRM_MSG_DELPOLICY, policy->dir, &policy->sel, policy->if_id);
}

int msg_get_policy(void *buf, size_t cap, enum xfrm_dir dir, const struct xfrm_sel *sel,
		   uint32_t if_id)
{
	return by_selector(buf, cap, XFRM_MSG_GETPOLICY, dir, sel, if_id);
}

static bool is_main_table(const struct nlmsghdr *nlh, size_t body_bytes)
{
	struct xfrm_userpolicy_type type;
	const struct nlattr *attr = msg_attr(nlh, body_bytes, XFRMA_POLICY_TYPE, sizeof(type));

	if (!attr)
		return true;
	memcpy(&type, mnl_attr_get_payload(attr), sizeof(type));
	return type.type == XFRM_POLICY_TYPE_MAIN;
}

/* What never varies in what we add. */
static bool has_our_form(const struct xfrm_userpolicy_info *info, const struct xfrm_user_tmpl *t)
{
	return (t->id.proto == IPPROTO_ESP || t->id.proto == IPPROTO_AH) && !t->id.spi &&
	       info->action == XFRM_POLICY_ALLOW && !info->flags && !t->optional &&
	       t->aalgos == UINT32_MAX && t->ealgos == UINT32_MAX && t->calgos == UINT32_MAX &&
	       (t->mode == XFRM_MODE_TRANSPORT || t->mode == XFRM_MODE_TUNNEL);
}

/* Transport templates carry no addresses: all zero is "none", as in the kernel. */
static struct ip_addr read_template_address(const xfrm_address_t *address, int family)
{
	static const xfrm_address_t none;

	if (!memcmp(address->a6, none.a6, sizeof(none.a6)))
		family = AF_UNSPEC;
	return msg_read_address(address, family);
}

static void read_template(const struct nlmsghdr *nlh, const struct xfrm_userpolicy_info *info,
			  size_t body_bytes, struct xfrm_policy *p)
{
	const struct nlattr *attr = msg_attr(nlh, body_bytes, XFRMA_TMPL, 0);
	struct xfrm_user_tmpl t;

	if (!attr || mnl_attr_get_payload_len(attr) != sizeof(t) ||
	    msg_attr(nlh, body_bytes, XFRMA_MARK, 0))
		return;
	memcpy(&t, mnl_attr_get_payload(attr), sizeof(t));
	if (!has_our_form(info, &t))
		return;
	p->proto = t.id.proto;
	p->mode = t.mode == XFRM_MODE_TUNNEL ? XFRM_TUNNEL : XFRM_TRANSPORT;
	p->reqid = t.reqid;
	p->tmpl_src = read_template_address(&t.saddr, t.family);
	p->tmpl_dst = read_template_address(&t.id.daddr, t.family);
}

int msg_read_policy(const struct nlmsghdr *nlh, const struct xfrm_userpolicy_info *info,
		    size_t body_bytes, struct xfrm_policy *ret)
{
	if (info->dir != XFRM_POLICY_IN && info->dir != XFRM_POLICY_OUT)
		return -EOPNOTSUPP;
	if (!is_main_table(nlh, body_bytes))
		return -EOPNOTSUPP;
	*ret = (struct xfrm_policy){
		.dir = info->dir == XFRM_POLICY_OUT ? XFRM_OUT : XFRM_IN,
		.sel = msg_read_selector(&info->sel),
		.priority = info->priority,
		.if_id = msg_if_id(nlh, body_bytes),
		.index = info->index,
	};
	read_template(nlh, info, body_bytes, ret);
	return 0;
}

bool xfrm_policy_equal(const struct xfrm_policy *a, const struct xfrm_policy *b)
{
	return a->dir == b->dir && xfrm_sel_equal(&a->sel, &b->sel) && a->priority == b->priority &&
	       a->if_id == b->if_id && a->proto == b->proto && a->mode == b->mode &&
	       a->reqid == b->reqid && ip_equal(&a->tmpl_src, &b->tmpl_src) &&
	       ip_equal(&a->tmpl_dst, &b->tmpl_dst);
}

/* " 192.0.2.1 port 6100/0xfffc" */
static void format_end(const struct ip_addr *ip, uint16_t port, uint16_t mask, char *buf,
		       size_t cap)
{
	char text[IP_TEXT_BYTES];

	ip_format(ip, text);
	if (mask == 0)
		snprintf(buf, cap, " %s", text);
	else if (mask == UINT16_MAX)
		snprintf(buf, cap, " %s port %u", text, port);
	else
		snprintf(buf, cap, " %s port %u/0x%04x", text, port, mask);
}

/* This machine's end first; the other one only where the policy names it. */
const char *msg_policy_format(const struct xfrm_policy *policy, char *buf, size_t cap)
{
	const struct xfrm_sel *s = &policy->sel;
	bool in = policy->dir == XFRM_IN;
	char src[72], dst[72];
	bool peer = in ? s->src.family || s->sport_mask : s->dst.family || s->dport_mask;

	format_end(&s->src, s->sport, s->sport_mask, src, sizeof(src));
	format_end(&s->dst, s->dport, s->dport_mask, dst, sizeof(dst));
	if (policy->index)
		snprintf(buf, cap, "policy %s index %u", in ? "in" : "out", policy->index);
	else
		snprintf(buf, cap, "policy %s%s%s%s", in ? "in" : "out", in ? dst : src,
			 peer ? (in ? " from" : " to") : "", peer ? (in ? src : dst) : "");
	return buf;
}
