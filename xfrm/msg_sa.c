/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages about SAs: NEWSA, UPDSA, DELSA, GETSA, GETAE, and the answers to the last two. Keys are
 * read out of an answer only where they are asked for (msg_read_keys).
 *
 * Each message is put together from small parts: identity and selector, lifetime, algorithms,
 * encapsulation, replay window. The caller owns the memory and wipes it; keys are written straight
 * into the message. A description that the kernel would misread or refuse is -EINVAL here, before
 * anything has been written.
 *
 * What is left alone on purpose: seq stays 0 (a value would be searched for), soft limits are never
 * set (a dying SA steers traffic), no SA_DIR (newer kernels want it repeated everywhere), no
 * ALIGN4 flag for AH on IPv4 (12 + 12 bytes are a multiple of 8 already), no ESN.
 */
#include "xfrm/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ENCAP_ESP_IN_UDP 2 /* UDP_ENCAP_ESPINUDP, RFC 3948 */

static bool id_is_legal(const struct xfrm_sa_id *id)
{
	return id->spi && (id->proto == IPPROTO_ESP || id->proto == IPPROTO_AH) &&
	       msg_is_family(id->dst.family);
}

static bool mode_is_legal(enum xfrm_mode mode)
{
	return mode == XFRM_TRANSPORT || mode == XFRM_TUNNEL;
}

/* ESP takes an HMAC and a cipher (possibly null), or an AEAD; AH takes an HMAC and nothing else. */
static bool keys_are_legal(const struct xfrm_sa *sa)
{
	enum xfrm_algo_kind auth = xfrm_algo_info(sa->auth.algo)->kind;
	enum xfrm_algo_kind enc = xfrm_algo_info(sa->enc.algo)->kind;

	if (sa->id.proto == IPPROTO_AH)
		return auth == XFRM_KIND_AUTH && enc == XFRM_KIND_NONE;
	return (auth == XFRM_KIND_AUTH && enc == XFRM_KIND_CRYPT) ||
	       (auth == XFRM_KIND_NONE && enc == XFRM_KIND_AEAD);
}

static bool encap_is_legal(const struct xfrm_encap *encap, uint8_t proto)
{
	return !encap->on || proto == IPPROTO_ESP;
}

static bool sa_is_legal(const struct xfrm_sa *sa)
{
	return id_is_legal(&sa->id) && sa->src.family == sa->id.dst.family &&
	       sa->sel.family == sa->id.dst.family && mode_is_legal(sa->mode) &&
	       sa->replay_window >= 32 && sa->replay_window <= XFRM_MAX_REPLAY_WINDOW &&
	       keys_are_legal(sa) && encap_is_legal(&sa->encap, sa->id.proto);
}

static void copy_name(char name[static 64], const struct xfrm_algo_info *algo)
{
	memcpy(name, algo->name, strlen(algo->name)); /* the rest is 0 already */
}

static int put_auth(struct nlmsghdr *nlh, size_t cap, const struct xfrm_algo_info *algo,
		    const uint8_t *key)
{
	struct xfrm_algo_auth *a =
		msg_reserve(nlh, cap, XFRMA_ALG_AUTH_TRUNC, sizeof(*a) + algo->key_bytes);

	if (!a)
		return -ENOSPC;
	copy_name(a->alg_name, algo);
	a->alg_key_len = (unsigned int)(algo->key_bytes * 8);
	a->alg_trunc_len = (unsigned int)algo->icv_bits;
	memcpy(a->alg_key, key, algo->key_bytes);
	return 0;
}

static int put_crypt(struct nlmsghdr *nlh, size_t cap, const struct xfrm_algo_info *algo,
		     const uint8_t *key)
{
	struct xfrm_algo *a = msg_reserve(nlh, cap, XFRMA_ALG_CRYPT, sizeof(*a) + algo->key_bytes);

	if (!a)
		return -ENOSPC;
	copy_name(a->alg_name, algo);
	a->alg_key_len = (unsigned int)(algo->key_bytes * 8);
	memcpy(a->alg_key, key, algo->key_bytes);
	return 0;
}

static int put_aead(struct nlmsghdr *nlh, size_t cap, const struct xfrm_algo_info *algo,
		    const uint8_t *key)
{
	struct xfrm_algo_aead *a =
		msg_reserve(nlh, cap, XFRMA_ALG_AEAD, sizeof(*a) + algo->key_bytes);

	if (!a)
		return -ENOSPC;
	copy_name(a->alg_name, algo);
	a->alg_key_len = (unsigned int)(algo->key_bytes * 8);
	a->alg_icv_len = (unsigned int)algo->icv_bits;
	memcpy(a->alg_key, key, algo->key_bytes);
	return 0;
}

static int put_key(struct nlmsghdr *nlh, size_t cap, const struct xfrm_key *key)
{
	const struct xfrm_algo_info *algo = xfrm_algo_info(key->algo);

	switch (algo->kind) {
	case XFRM_KIND_NONE:
		return 0;
	case XFRM_KIND_AUTH:
		return put_auth(nlh, cap, algo, key->bytes);
	case XFRM_KIND_CRYPT:
		return put_crypt(nlh, cap, algo, key->bytes);
	case XFRM_KIND_AEAD:
		return put_aead(nlh, cap, algo, key->bytes);
	}
	return -EINVAL;
}

static int put_encap(struct nlmsghdr *nlh, size_t cap, const struct xfrm_encap *encap)
{
	struct xfrm_encap_tmpl *e;

	if (!encap->on)
		return 0;
	e = msg_reserve(nlh, cap, XFRMA_ENCAP, sizeof(*e));
	if (!e)
		return -ENOSPC;
	e->encap_type = ENCAP_ESP_IN_UDP;
	e->encap_sport = htons(encap->sport);
	e->encap_dport = htons(encap->dport);
	return 0;
}

/* A kernel that does not know the attribute skips it, and then reports each packet. */
static int put_mapping_threshold(struct nlmsghdr *nlh, size_t cap, const struct xfrm_encap *encap)
{
	uint32_t s = encap->mapping_threshold_s;

	if (encap->on && s && !mnl_attr_put_u32_check(nlh, cap, XFRMA_MTIMER_THRESH, s))
		return -ENOSPC;
	return 0;
}

/* The only way to a window above 32: usersa_info's field is cut to that in silence. */
static int put_replay(struct nlmsghdr *nlh, size_t cap, uint32_t window)
{
	uint32_t words = (window + 31) / 32;
	struct xfrm_replay_state_esn *r =
		msg_reserve(nlh, cap, XFRMA_REPLAY_ESN_VAL, sizeof(*r) + words * sizeof(uint32_t));

	if (!r)
		return -ENOSPC;
	r->bmp_len = words;
	r->replay_window = window;
	return 0;
}

/* A legal key of any algorithm of the protocol will do; these are the cheapest to set up. */
static int put_dummy_keys(struct nlmsghdr *nlh, size_t cap, uint8_t proto,
			  const uint8_t dummy[static XFRM_DUMMY_BYTES])
{
	struct xfrm_key auth = {.algo = XFRM_HMAC_SHA1};
	struct xfrm_key enc = {.algo = XFRM_CIPHER_NULL};
	int err;

	memcpy(auth.bytes, dummy, XFRM_DUMMY_BYTES);
	err = put_key(nlh, cap, &auth);
	if (!err && proto == IPPROTO_ESP)
		err = put_key(nlh, cap, &enc);
	return err;
}

static void fill_info(const struct xfrm_sa_id *id, const struct ip_addr *src, enum xfrm_mode mode,
		      uint64_t hard_s, struct xfrm_usersa_info *ret)
{
	msg_address(&id->dst, &ret->id.daddr);
	ret->id.spi = htonl(id->spi);
	ret->id.proto = id->proto;
	msg_address(src, &ret->saddr);
	ret->lft = msg_lifetime(hard_s);
	ret->family = (uint16_t)id->dst.family;
	ret->mode = msg_mode(mode);
}

int msg_add_sa(void *buf, size_t cap, const struct xfrm_sa *sa)
{
	struct xfrm_usersa_info info = {0};
	struct nlmsghdr *nlh;
	int err;

	if (!sa_is_legal(sa) || msg_selector(&sa->sel, &info.sel))
		return -EINVAL;
	fill_info(&sa->id, &sa->src, sa->mode, sa->hard_s, &info);
	info.reqid = sa->reqid;
	nlh = msg_start(buf, cap, XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	if (!nlh)
		return -ENOSPC;
	err = put_key(nlh, cap, &sa->auth);
	if (!err)
		err = put_key(nlh, cap, &sa->enc);
	if (!err)
		err = put_encap(nlh, cap, &sa->encap);
	if (!err)
		err = put_mapping_threshold(nlh, cap, &sa->encap);
	if (!err)
		err = put_replay(nlh, cap, sa->replay_window);
	if (!err)
		err = msg_put_if_id(nlh, cap, sa->if_id);
	return err;
}

static bool change_is_legal(const struct xfrm_sa_change *change)
{
	return id_is_legal(&change->id) && change->src.family == change->id.dst.family &&
	       mode_is_legal(change->mode) && encap_is_legal(&change->encap, change->id.proto);
}

int msg_change_sa(void *buf, size_t cap, const struct xfrm_sa_change *change,
		  const uint8_t dummy[static XFRM_DUMMY_BYTES])
{
	struct xfrm_usersa_info info = {0};
	struct nlmsghdr *nlh;
	int err;

	if (!change_is_legal(change))
		return -EINVAL;
	fill_info(&change->id, &change->src, change->mode, change->hard_s, &info);
	info.sel.family = info.family;
	nlh = msg_start(buf, cap, XFRM_MSG_UPDSA, 0, &info, sizeof(info));
	if (!nlh)
		return -ENOSPC;
	err = put_dummy_keys(nlh, cap, change->id.proto, dummy);
	if (!err)
		err = put_encap(nlh, cap, &change->encap);
	return err;
}

static struct xfrm_usersa_id kernel_id(const struct xfrm_sa_id *id)
{
	struct xfrm_usersa_id ret = {0};

	msg_address(&id->dst, &ret.daddr);
	ret.spi = htonl(id->spi);
	ret.family = (uint16_t)id->dst.family;
	ret.proto = id->proto;
	return ret;
}

static int id_message(void *buf, size_t cap, uint16_t type, const struct xfrm_sa_id *id)
{
	struct xfrm_usersa_id body = kernel_id(id);

	if (!id_is_legal(id))
		return -EINVAL;
	return msg_start(buf, cap, type, 0, &body, sizeof(body)) ? 0 : -ENOSPC;
}

int msg_delete_sa(void *buf, size_t cap, const struct xfrm_sa_id *id)
{
	return id_message(buf, cap, XFRM_MSG_DELSA, id);
}

int msg_get_sa(void *buf, size_t cap, const struct xfrm_sa_id *id)
{
	return id_message(buf, cap, XFRM_MSG_GETSA, id);
}

int msg_get_counters(void *buf, size_t cap, const struct xfrm_sa_id *id)
{
	struct xfrm_aevent_id body = {.sa_id = kernel_id(id)};

	if (!id_is_legal(id))
		return -EINVAL;
	return msg_start(buf, cap, XFRM_MSG_GETAE, 0, &body, sizeof(body)) ? 0 : -ENOSPC;
}

static void read_lifetime(const struct xfrm_lifetime_cur *cur, struct xfrm_sa_stats *stats)
{
	stats->bytes = cur->bytes;
	stats->packets = cur->packets;
	stats->add_time = cur->add_time;
	stats->use_time = cur->use_time;
}

static struct xfrm_encap read_encap(const struct nlmsghdr *nlh)
{
	const struct xfrm_encap_tmpl *e;
	const struct nlattr *attr =
		msg_attr(nlh, sizeof(struct xfrm_usersa_info), XFRMA_ENCAP, sizeof(*e));

	if (!attr)
		return (struct xfrm_encap){.on = false};
	e = mnl_attr_get_payload(attr);
	return (struct xfrm_encap){.on = true,
				   .sport = ntohs(e->encap_sport),
				   .dport = ntohs(e->encap_dport)};
}

int msg_read_sa(const struct nlmsghdr *nlh, struct xfrm_dump_sa *ret)
{
	struct xfrm_usersa_info info;
	uint64_t hard_s;

	if (nlh->nlmsg_type != XFRM_MSG_NEWSA || msg_body(nlh, &info, sizeof(info)) ||
	    !msg_is_family(info.family))
		return -EBADMSG;
	hard_s = info.lft.hard_add_expires_seconds;
	*ret = (struct xfrm_dump_sa){
		.id = {.dst = msg_read_address(&info.id.daddr, info.family),
		       .spi = ntohl(info.id.spi),
		       .proto = info.id.proto},
		.sel = msg_read_selector(&info.sel),
		.mode = info.mode == XFRM_MODE_TRANSPORT ? XFRM_TRANSPORT : XFRM_TUNNEL,
		.if_id = msg_if_id(nlh, sizeof(info)),
		.larval = info.id.spi == 0,
		.stats = {.hard_s = hard_s == XFRM_INF ? 0 : hard_s,
			  .reqid = info.reqid,
			  .src = msg_read_address(&info.saddr, info.family),
			  .replay_failed = info.stats.replay,
			  .integrity_failed = info.stats.integrity_failed,
			  .encap = read_encap(nlh)},
	};
	read_lifetime(&info.curlft, &ret->stats);
	return 0;
}

static enum xfrm_algo_id find_algo(enum xfrm_algo_kind kind, const struct xfrm_algo_auth *head)
{
	for (int id = XFRM_ALGO_NONE + 1; id < XFRM_ALGO_COUNT; id++) {
		const struct xfrm_algo_info *info = xfrm_algo_info((enum xfrm_algo_id)id);

		if (info->kind == kind && !strncmp(head->alg_name, info->name,
						   sizeof(head->alg_name)) &&
		    head->alg_key_len == info->key_bytes * 8 &&
		    head->alg_trunc_len == info->icv_bits)
			return (enum xfrm_algo_id)id;
	}
	return XFRM_ALGO_NONE;
}

/* A missing attribute is XFRM_ALGO_NONE. The attributes of all kinds begin alike: name, bits of the
 * key, and, except for ciphers, bits of the ICV. */
static int read_key(const struct nlmsghdr *nlh, uint16_t type, enum xfrm_algo_kind kind,
		    struct xfrm_key *ret)
{
	const size_t head_bytes = kind == XFRM_KIND_CRYPT ? sizeof(struct xfrm_algo)
							  : sizeof(struct xfrm_algo_auth);
	const struct nlattr *attr = msg_attr(nlh, sizeof(struct xfrm_usersa_info), type,
					     head_bytes);
	struct xfrm_algo_auth head = {0};
	size_t key_bytes;

	if (!attr)
		return 0;
	memcpy(&head, mnl_attr_get_payload(attr), head_bytes);
	ret->algo = find_algo(kind, &head);
	key_bytes = xfrm_algo_info(ret->algo)->key_bytes;
	if (ret->algo == XFRM_ALGO_NONE)
		return -EOPNOTSUPP;
	if (mnl_attr_get_payload_len(attr) < head_bytes + key_bytes)
		return -EBADMSG;
	memcpy(ret->bytes, (const uint8_t *)mnl_attr_get_payload(attr) + head_bytes, key_bytes);
	return 0;
}

int msg_read_keys(const struct nlmsghdr *nlh, struct xfrm_sa_keys *ret)
{
	struct xfrm_sa_keys keys = {0};
	int err = read_key(nlh, XFRMA_ALG_AUTH_TRUNC, XFRM_KIND_AUTH, &keys.auth);

	if (!err)
		err = read_key(nlh, XFRMA_ALG_CRYPT, XFRM_KIND_CRYPT, &keys.enc);
	if (!err && keys.enc.algo == XFRM_ALGO_NONE)
		err = read_key(nlh, XFRMA_ALG_AEAD, XFRM_KIND_AEAD, &keys.enc);
	if (!err && keys.auth.algo == XFRM_ALGO_NONE && keys.enc.algo == XFRM_ALGO_NONE)
		err = -EBADMSG;
	if (!err)
		*ret = keys;
	explicit_bzero(&keys, sizeof(keys));
	return err;
}

int msg_read_counters(const struct nlmsghdr *nlh, struct xfrm_sa_stats *ret)
{
	struct xfrm_lifetime_cur cur;
	struct xfrm_aevent_id id;
	const struct nlattr *attr;

	if (nlh->nlmsg_type != XFRM_MSG_NEWAE || msg_body(nlh, &id, sizeof(id)) ||
	    !msg_is_family(id.sa_id.family))
		return -EBADMSG;
	attr = msg_attr(nlh, sizeof(id), XFRMA_LTIME_VAL, sizeof(cur));
	if (!attr)
		return -EBADMSG;
	memcpy(&cur, mnl_attr_get_payload(attr), sizeof(cur));
	*ret = (struct xfrm_sa_stats){
		.reqid = id.reqid,
		.src = msg_read_address(&id.saddr, id.sa_id.family),
	};
	read_lifetime(&cur, ret);
	return 0;
}

struct xfrm_sa_id msg_read_sa_id(const struct xfrm_usersa_id *id)
{
	return (struct xfrm_sa_id){
		.dst = msg_read_address(&id->daddr, id->family),
		.spi = ntohl(id->spi),
		.proto = id->proto,
	};
}

const char *xfrm_sa_id_format(const struct xfrm_sa_id *id, char *buf, size_t cap)
{
	char dst[IP_TEXT_BYTES];

	snprintf(buf, cap, "%s SA spi 0x%08x to %s", id->proto == IPPROTO_AH ? "AH" : "ESP",
		 id->spi, ip_format(&id->dst, dst));
	return buf;
}
