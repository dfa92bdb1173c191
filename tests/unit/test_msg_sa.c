/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm/msg_sa.c: each message about SAs, byte for byte, and the reading of answers.
 *
 * The expected bytes are written out from struct nlmsghdr, xfrm_usersa_info (224 bytes),
 * xfrm_usersa_id (24) and xfrm_aevent_id (48) of <linux/xfrm.h>; lengths of netlink attributes
 * count their header of 4.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/hex.h"
#include "xfrm/internal.h"

static const uint8_t DUMMY[XFRM_DUMMY_BYTES] = {[0 ... XFRM_DUMMY_BYTES - 1] = 0x5a};

/* Phone 198.51.100.7 or 2001:db8:7::7, this machine 192.0.2.1 or 2001:db8::1. */
#define UE4 "c6336407 00*12 "
#define P4  "c0000201 00*12 "
#define UE6 "20010db8 00070000 00*6 0007 "
#define P6  "20010db8 00*11 01 "

/* xfrm_selector: daddr, saddr, then dport 6100 exact, sport 5061 exact, family, prefixes, proto 0,
 * padding, ifindex, user */
#define PORTS   "17d4 ffff 13c5 ffff "
#define SEL4_UP P4 UE4 PORTS "0200 20 20 00 00*3 00*4 00*4 "
#define SEL6_UP P6 UE6 PORTS "0a00 80 80 00 00*3 00*4 00*4 "

/* xfrm_id: daddr, spi 0x1001 in network order, proto, padding */
#define ID_ESP4 P4 "00001001 32 00*3 "
#define ID_ESP6 P6 "00001001 32 00*3 "
#define ID_AH4  P4 "00001001 33 00*3 "
#define ID_AH6  P6 "00001001 33 00*3 "

/* xfrm_lifetime_cfg: soft and hard bytes, soft and hard packets: no limit; add and use expiry, soft
 * and hard: only the hard one since adding; then xfrm_lifetime_cur and xfrm_stats, all 0 */
#define LIFETIME(hard_add)                                                                         \
	"ff*32 00*8 " hard_add " 00*8 00*8 "                                                       \
	"00*32 "                                                                                   \
	"00*12 "
#define FOREVER     LIFETIME("00*8")
#define SECONDS_600 LIFETIME("5802 00*6")

/* seq 0, reqid 33203, family, mode, replay_window 0, flags 0, padding to 224 */
#define TAIL(family, mode) "00*4 b3810000 " family mode "00 00 00*7 "
#define V4                 "0200 "
#define V6                 "0a00 "
#define TRANSPORT          "00 "
#define TUNNEL             "01 "

/* XFRMA_ALG_AUTH_TRUNC (20): name, key bits, ICV bits, key */
#define SHA1 "6000 1400 'hmac(sha1)' 00*54 a0000000 60000000 11*20 "
#define MD5  "5c00 1400 'hmac(md5)' 00*55 80000000 60000000 11*16 "
/* XFRMA_ALG_CRYPT (2): name, key bits, key */
#define NULL_CIPHER "4800 0200 'ecb(cipher_null)' 00*48 00000000 "
#define AES         "5800 0200 'cbc(aes)' 00*56 80000000 22*16 "
#define DES3        "6000 0200 'cbc(des3_ede)' 00*51 c0000000 22*24 "
/* XFRMA_ALG_AEAD (18): name, key bits with the salt, ICV bits, key */
#define GCM  "6000 1200 'rfc4106(gcm(aes))' 00*47 a0000000 80000000 22*20 "
#define GMAC "6000 1200 'rfc4543(gcm(aes))' 00*47 a0000000 80000000 22*20 "

/* XFRMA_REPLAY_ESN_VAL (23): bmp_len, oseq, seq, oseq_hi, seq_hi, replay_window, bitmap */
#define REPLAY_32  "2000 1700 01000000 00*16 20000000 00*4 "
#define REPLAY_64  "2400 1700 02000000 00*16 40000000 00*8 "
#define REPLAY_128 "2c00 1700 04000000 00*16 80000000 00*16 "

/* XFRMA_ENCAP (4): UDP_ENCAP_ESPINUDP, source port 4500, destination port 23006 in network order,
 * padding, original address */
#define ENCAP "1c00 0400 0200 1194 59de 0000 00*16 "

/* NLM_F_REQUEST | NLM_F_EXCL | NLM_F_CREATE; seq and pid are stamped later */
#define NEWSA(length) length " 1000 0106 00*8 "

static struct ip_addr ip(const char *text)
{
	struct ip_addr ip;

	assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

static struct xfrm_key key(enum xfrm_algo_id algo, int fill)
{
	struct xfrm_key key = {.algo = algo};

	memset(key.bytes, fill, sizeof(key.bytes));
	return key;
}

/* From the phone's port_uc 5061 to port_ps 6100. */
static struct xfrm_sa uplink(int family, uint8_t proto, enum xfrm_algo_id auth,
			     enum xfrm_algo_id enc)
{
	bool v4 = family == AF_INET;
	struct xfrm_sa sa = {
		.id = {.dst = ip(v4 ? "192.0.2.1" : "2001:db8::1"), .spi = 0x1001, .proto = proto},
		.src = ip(v4 ? "198.51.100.7" : "2001:db8:7::7"),
		.sel = {.family = family,
			.sport = 5061,
			.sport_mask = 0xffff,
			.dport = 6100,
			.dport_mask = 0xffff},
		.reqid = 33203,
		.replay_window = 64,
		.hard_s = 600,
		.auth = key(auth, 0x11),
		.enc = key(enc, 0x22),
	};

	sa.sel.src = sa.src;
	sa.sel.dst = sa.id.dst;
	return sa;
}

static void check_add(const struct xfrm_sa *sa, const char *expected)
{
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];

	memset(buf, 0xa5, sizeof(buf));
	assert_int_equal(msg_add_sa(buf, sizeof(buf), sa), 0);
	assert_bytes(buf, ((struct nlmsghdr *)(void *)buf)->nlmsg_len, expected);
}

static void newsa_esp_ipv4_transport_sha1_aes(void **state)
{
	struct xfrm_sa sa = uplink(AF_INET, IPPROTO_ESP, XFRM_HMAC_SHA1, XFRM_CBC_AES);

	(void)state;
	/* 16 + 224 + 96 + 88 + 36 = 460 */
	check_add(&sa, NEWSA("cc010000") SEL4_UP ID_ESP4 UE4 SECONDS_600 TAIL(V4, TRANSPORT)
			       SHA1 AES REPLAY_64);
}

static void newsa_esp_ipv6_transport_md5_null_without_limit(void **state)
{
	struct xfrm_sa sa = uplink(AF_INET6, IPPROTO_ESP, XFRM_HMAC_MD5, XFRM_CIPHER_NULL);

	(void)state;
	sa.replay_window = 32;
	sa.hard_s = 0;
	/* 16 + 224 + 92 + 72 + 32 = 436 */
	check_add(&sa, NEWSA("b4010000") SEL6_UP ID_ESP6 UE6 FOREVER TAIL(V6, TRANSPORT)
			       MD5 NULL_CIPHER REPLAY_32);
}

static void newsa_esp_ipv4_transport_md5_des3(void **state)
{
	struct xfrm_sa sa = uplink(AF_INET, IPPROTO_ESP, XFRM_HMAC_MD5, XFRM_CBC_DES3);

	(void)state;
	/* 16 + 224 + 92 + 96 + 36 = 464 */
	check_add(&sa, NEWSA("d0010000") SEL4_UP ID_ESP4 UE4 SECONDS_600 TAIL(V4, TRANSPORT)
			       MD5 DES3 REPLAY_64);
}

static void C2_newsa_esp_ipv4_transport_gcm_has_no_other_algorithm(void **state)
{
	struct xfrm_sa sa = uplink(AF_INET, IPPROTO_ESP, XFRM_ALGO_NONE, XFRM_GCM_AES);

	(void)state;
	sa.replay_window = 128;
	/* 16 + 224 + 96 + 44 = 380 */
	check_add(&sa, NEWSA("7c010000") SEL4_UP ID_ESP4 UE4 SECONDS_600 TAIL(V4, TRANSPORT)
			       GCM REPLAY_128);
}

static void newsa_esp_ipv6_tunnel_gmac(void **state)
{
	struct xfrm_sa sa = uplink(AF_INET6, IPPROTO_ESP, XFRM_ALGO_NONE, XFRM_GMAC_AES);

	(void)state;
	sa.mode = XFRM_TUNNEL;
	/* 16 + 224 + 96 + 36 = 372 */
	check_add(&sa, NEWSA("74010000") SEL6_UP ID_ESP6 UE6 SECONDS_600 TAIL(V6, TUNNEL)
			       GMAC REPLAY_64);
}

static void newsa_udp_encapsulation_carries_ports_threshold_and_interface(void **state)
{
	struct xfrm_sa sa = uplink(AF_INET, IPPROTO_ESP, XFRM_HMAC_SHA1, XFRM_CIPHER_NULL);

	(void)state;
	sa.mode = XFRM_TUNNEL;
	sa.encap = (struct xfrm_encap){
		.on = true, .sport = 4500, .dport = 23006, .mapping_threshold_s = 10};
	sa.if_id = 7;
	/* 16 + 224 + 96 + 72 + 28 + 8 + 36 + 8 = 488; XFRMA_MTIMER_THRESH 32, XFRMA_IF_ID 31 */
	check_add(&sa, NEWSA("e8010000") SEL4_UP ID_ESP4 UE4 SECONDS_600 TAIL(V4, TUNNEL)
			       SHA1 NULL_CIPHER ENCAP "0800 2000 0a000000 " REPLAY_64
						      "0800 1f00 07000000");
}

static void newsa_without_threshold_does_not_mention_it(void **state)
{
	struct xfrm_sa sa = uplink(AF_INET, IPPROTO_ESP, XFRM_HMAC_SHA1, XFRM_CIPHER_NULL);

	(void)state;
	sa.mode = XFRM_TUNNEL;
	sa.encap = (struct xfrm_encap){.on = true, .sport = 4500, .dport = 23006};
	/* 16 + 224 + 96 + 72 + 28 + 36 = 472 */
	check_add(&sa, NEWSA("d8010000") SEL4_UP ID_ESP4 UE4 SECONDS_600 TAIL(V4, TUNNEL)
			       SHA1 NULL_CIPHER ENCAP REPLAY_64);
}

static void newsa_ah_has_an_hmac_alone_and_no_alignment_flag(void **state)
{
	struct xfrm_sa v4 = uplink(AF_INET, IPPROTO_AH, XFRM_HMAC_MD5, XFRM_ALGO_NONE);
	struct xfrm_sa v6 = uplink(AF_INET6, IPPROTO_AH, XFRM_HMAC_SHA1, XFRM_ALGO_NONE);

	(void)state;
	v6.mode = XFRM_TUNNEL;
	/* 16 + 224 + 92 + 36 = 368; 16 + 224 + 96 + 36 = 372 */
	check_add(&v4, NEWSA("70010000") SEL4_UP ID_AH4 UE4 SECONDS_600 TAIL(V4, TRANSPORT)
			       MD5 REPLAY_64);
	check_add(&v6,
		  NEWSA("74010000") SEL6_UP ID_AH6 UE6 SECONDS_600 TAIL(V6, TUNNEL) SHA1 REPLAY_64);
}

static void newsa_selector_may_leave_peer_and_ports_open(void **state)
{
	struct xfrm_sa sa = uplink(AF_INET, IPPROTO_AH, XFRM_HMAC_MD5, XFRM_ALGO_NONE);

	(void)state;
	sa.sel.src.family = AF_UNSPEC;
	sa.sel.sport = sa.sel.sport_mask = 0;
	sa.sel.dport_mask = 0xfffc;
	sa.sel.proto = IPPROTO_UDP;
	check_add(&sa, NEWSA("70010000")
		  /* dport 6100 mask 0xfffc, sport any; prefixes 32 and 0; UDP */
		  P4
		  "00*16 "
		  "17d4 fffc 0000 0000 0200 20 00 11 00*3 00*4 00*4 " ID_AH4 UE4 SECONDS_600 TAIL(
			  V4, TRANSPORT) MD5 REPLAY_64);
}

static void replay_bitmap_is_rounded_up_to_words(void **state)
{
	static const struct {
		uint32_t window, words;
	} cases[] = {{32, 1}, {33, 2}, {64, 2}, {65, 3}, {4096, 128}};
	struct xfrm_sa sa = uplink(AF_INET, IPPROTO_AH, XFRM_HMAC_MD5, XFRM_ALGO_NONE);
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct nlattr *attr;
		struct xfrm_replay_state_esn replay;

		sa.replay_window = cases[i].window;
		assert_int_equal(msg_add_sa(buf, sizeof(buf), &sa), 0);
		attr = msg_attr((void *)buf, 224, XFRMA_REPLAY_ESN_VAL, sizeof(replay));
		assert_non_null(attr);
		memcpy(&replay, mnl_attr_get_payload(attr), sizeof(replay));
		assert_int_equal(replay.replay_window, cases[i].window);
		assert_int_equal(replay.bmp_len, cases[i].words);
		assert_int_equal(mnl_attr_get_payload_len(attr), 24 + 4 * cases[i].words);
	}
}

static void the_longest_message_fits_its_slot(void **state)
{
	struct xfrm_sa sa = uplink(AF_INET6, IPPROTO_ESP, XFRM_HMAC_SHA1, XFRM_CBC_DES3);
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];

	(void)state;
	sa.replay_window = XFRM_MAX_REPLAY_WINDOW;
	sa.if_id = 1;
	sa.encap = (struct xfrm_encap){.on = true, .mapping_threshold_s = 1};
	assert_int_equal(msg_add_sa(buf, sizeof(buf), &sa), 0);
	assert_int_equal(((struct nlmsghdr *)(void *)buf)->nlmsg_len, 1016);
}

static void a_buffer_that_is_too_small_is_refused_and_not_overrun(void **state)
{
	struct xfrm_sa sa = uplink(AF_INET, IPPROTO_ESP, XFRM_HMAC_SHA1, XFRM_CBC_AES);
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];

	(void)state;
	sa.if_id = 1;
	sa.encap = (struct xfrm_encap){.on = true, .mapping_threshold_s = 1};
	for (size_t cap = 0; cap < 512; cap++) {
		memset(buf, 0xa5, sizeof(buf));
		/* 460 + 28 + 8 + 8 */
		assert_int_equal(msg_add_sa(buf, cap, &sa), cap < 504 ? -ENOSPC : 0);
		for (size_t i = cap; i < sizeof(buf); i++)
			assert_int_equal(buf[i], 0xa5);
	}
}

static void check_illegal(struct xfrm_sa sa)
{
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];

	memset(buf, 0xa5, sizeof(buf));
	assert_int_equal(msg_add_sa(buf, sizeof(buf), &sa), -EINVAL);
	for (size_t i = 0; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0xa5);
}

#define WITH(field, value)                                                                         \
	do {                                                                                       \
		struct xfrm_sa copy = sa;                                                          \
		copy.field = value;                                                                \
		check_illegal(copy);                                                               \
	} while (0)

static void an_illegal_description_is_refused_before_anything_is_written(void **state)
{
	struct xfrm_sa sa = uplink(AF_INET, IPPROTO_ESP, XFRM_HMAC_SHA1, XFRM_CBC_AES);

	(void)state;
	WITH(id.spi, 0);
	WITH(id.proto, IPPROTO_UDP);
	WITH(id.dst.family, AF_UNSPEC);
	WITH(src.family, AF_INET6);
	WITH(src.family, AF_UNSPEC);
	WITH(sel.family, AF_INET6);
	WITH(sel.src.family, AF_INET6);
	WITH(sel.sport_mask, 0);
	WITH(sel.dport_mask, 0xfff0);
	WITH(mode, (enum xfrm_mode)2);
	WITH(replay_window, 31);
	WITH(replay_window, XFRM_MAX_REPLAY_WINDOW + 1);
}

static void a_key_in_the_wrong_place_is_refused(void **state)
{
	struct xfrm_sa sa = uplink(AF_INET, IPPROTO_ESP, XFRM_HMAC_SHA1, XFRM_CBC_AES);

	(void)state;
	WITH(auth.algo, XFRM_ALGO_NONE);
	WITH(auth.algo, XFRM_CBC_AES);
	WITH(auth.algo, XFRM_GCM_AES);
	WITH(auth.algo, (enum xfrm_algo_id)99);
	WITH(enc.algo, XFRM_ALGO_NONE);
	WITH(enc.algo, XFRM_HMAC_SHA1);
	WITH(enc.algo, XFRM_GCM_AES);
	WITH(enc.algo, (enum xfrm_algo_id)99);
	sa.auth.algo = XFRM_ALGO_NONE;
	WITH(enc.algo, XFRM_ALGO_NONE);
	WITH(enc.algo, XFRM_CIPHER_NULL);
}

static void ah_with_a_cipher_or_encapsulation_is_refused(void **state)
{
	struct xfrm_sa sa = uplink(AF_INET, IPPROTO_AH, XFRM_HMAC_SHA1, XFRM_ALGO_NONE);

	(void)state;
	WITH(enc.algo, XFRM_CIPHER_NULL);
	WITH(enc.algo, XFRM_GMAC_AES);
	WITH(auth.algo, XFRM_ALGO_NONE);
	WITH(encap.on, true);
}

static struct xfrm_sa_change change(int family, uint8_t proto)
{
	struct xfrm_sa sa = uplink(family, proto, XFRM_HMAC_SHA1, XFRM_ALGO_NONE);

	return (struct xfrm_sa_change){.id = sa.id, .src = sa.src, .hard_s = 600};
}

static void check_change(const struct xfrm_sa_change *change, const char *expected)
{
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];

	memset(buf, 0xa5, sizeof(buf));
	assert_int_equal(msg_change_sa(buf, sizeof(buf), change, DUMMY), 0);
	assert_bytes(buf, ((struct nlmsghdr *)(void *)buf)->nlmsg_len, expected);
}

/* No selector but its family; reqid 0: the kernel ignores both */
#define SEL4_NONE         "00*40 0200 00 00 00 00*3 00*8 "
#define SEL6_NONE         "00*40 0a00 00 00 00 00*3 00*8 "
#define TAIL_CHANGE(f, m) "00*4 00*4 " f m "00 00 00*7 "
#define RANDOM_SHA1       "6000 1400 'hmac(sha1)' 00*54 a0000000 60000000 5a*20 "
#define UPDSA(length)     length " 1a00 0100 00*8 "

static void updsa_esp_sends_random_keys(void **state)
{
	struct xfrm_sa_change c = change(AF_INET, IPPROTO_ESP);

	(void)state;
	/* 16 + 224 + 96 + 72 = 408 */
	check_change(&c, UPDSA("98010000") SEL4_NONE ID_ESP4 UE4 SECONDS_600 TAIL_CHANGE(
				 V4, TRANSPORT) RANDOM_SHA1 NULL_CIPHER);
}

static void updsa_ah_sends_no_cipher(void **state)
{
	struct xfrm_sa_change c = change(AF_INET6, IPPROTO_AH);

	(void)state;
	c.mode = XFRM_TUNNEL;
	c.hard_s = 0;
	/* 16 + 224 + 96 = 336 */
	check_change(&c, UPDSA("50010000") SEL6_NONE ID_AH6 UE6 FOREVER TAIL_CHANGE(V6, TUNNEL)
				 RANDOM_SHA1);
}

static void updsa_repeats_the_encapsulation(void **state)
{
	struct xfrm_sa_change c = change(AF_INET, IPPROTO_ESP);

	(void)state;
	c.mode = XFRM_TUNNEL;
	c.encap = (struct xfrm_encap){
		.on = true, .sport = 4500, .dport = 23006, .mapping_threshold_s = 10};
	/* 16 + 224 + 96 + 72 + 28 = 436 */
	check_change(&c, UPDSA("b4010000") SEL4_NONE ID_ESP4 UE4 SECONDS_600 TAIL_CHANGE(V4, TUNNEL)
				 RANDOM_SHA1 NULL_CIPHER ENCAP);
}

static void updsa_of_an_illegal_description_is_refused(void **state)
{
	struct xfrm_sa_change c = change(AF_INET, IPPROTO_AH);
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];

	(void)state;
	c.encap.on = true;
	assert_int_equal(msg_change_sa(buf, sizeof(buf), &c, DUMMY), -EINVAL);
	c = change(AF_INET, IPPROTO_ESP);
	c.src.family = AF_INET6;
	assert_int_equal(msg_change_sa(buf, sizeof(buf), &c, DUMMY), -EINVAL);
	c = change(AF_INET, IPPROTO_ESP);
	c.id.spi = 0;
	assert_int_equal(msg_change_sa(buf, sizeof(buf), &c, DUMMY), -EINVAL);
}

typedef int builder(void *buf, size_t cap, const struct xfrm_sa_id *id);

static void check_id(builder *build, int family, uint8_t proto, const char *expected)
{
	struct xfrm_sa sa = uplink(family, proto, XFRM_HMAC_SHA1, XFRM_ALGO_NONE);
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];
	struct nlmsghdr *nlh = (void *)buf;

	memset(buf, 0xa5, sizeof(buf));
	assert_int_equal(build(buf, sizeof(buf), &sa.id), 0);
	assert_bytes(buf, nlh->nlmsg_len, expected);
	assert_int_equal(build(buf, nlh->nlmsg_len - 1, &sa.id), -ENOSPC);
	sa.id.spi = 0;
	assert_int_equal(build(buf, sizeof(buf), &sa.id), -EINVAL);
}

static void delsa_names_destination_spi_family_and_protocol(void **state)
{
	(void)state;
	check_id(msg_delete_sa, AF_INET, IPPROTO_ESP,
		 "28000000 1100 0100 00*8 " P4 "00001001 0200 32 00");
	check_id(msg_delete_sa, AF_INET6, IPPROTO_AH,
		 "28000000 1100 0100 00*8 " P6 "00001001 0a00 33 00");
}

static void getsa_names_the_same(void **state)
{
	(void)state;
	check_id(msg_get_sa, AF_INET, IPPROTO_ESP,
		 "28000000 1200 0100 00*8 " P4 "00001001 0200 32 00");
}

static void getae_asks_without_flags(void **state)
{
	(void)state;
	/* xfrm_usersa_id, saddr, flags, reqid */
	check_id(msg_get_counters, AF_INET, IPPROTO_ESP,
		 "40000000 1f00 0100 00*8 " P4 "00001001 0200 32 00 "
		 "00*16 00*4 00*4");
	check_id(msg_get_counters, AF_INET6, IPPROTO_AH,
		 "40000000 1f00 0100 00*8 " P6 "00001001 0a00 33 00 "
		 "00*16 00*4 00*4");
}

/* What the kernel answers to GETSA: counters, failures, keys. */
#define ANSWER_SA(length, sel, id)                                                                 \
	length " 1000 0000 01000000 02000000 " sel id UE4 "ff*32 00*8 5802 00*6 00*8 00*8 "        \
	       "e803 00*6 "                                                                        \
	       "0a00 00*6 "                                                                        \
	       "00e1f505 00*4 "                                                                    \
	       "01e1f505 00*4 "                                                                    \
	       "00*4 02000000 03000000 " TAIL(V4, TRANSPORT) SHA1

static int read_sa(const char *text, struct xfrm_dump_sa *ret)
{
	_Alignas(8) uint8_t buf[2048];

	hex(text, buf);
	return msg_read_sa((void *)buf, ret);
}

static void an_sa_is_read_back(void **state)
{
	struct xfrm_dump_sa sa;
	struct ip_addr ue = ip("198.51.100.7"), p = ip("192.0.2.1");

	(void)state;
	assert_int_equal(read_sa(ANSWER_SA("50010000", SEL4_UP, ID_ESP4), &sa), 0);
	assert_int_equal(sa.id.spi, 0x1001);
	assert_int_equal(sa.id.proto, IPPROTO_ESP);
	assert_true(ip_equal(&sa.id.dst, &p));
	assert_int_equal(sa.sel.family, AF_INET);
	assert_int_equal(sa.sel.sport, 5061);
	assert_int_equal(sa.sel.dport, 6100);
	assert_true(ip_equal(&sa.sel.src, &ue));
	assert_int_equal(sa.mode, XFRM_TRANSPORT);
	assert_false(sa.larval);
	assert_int_equal(sa.stats.bytes, 1000);
	assert_int_equal(sa.stats.packets, 10);
	assert_int_equal(sa.stats.add_time, 100000000);
	assert_int_equal(sa.stats.use_time, 100000001);
	assert_int_equal(sa.stats.hard_s, 600);
	assert_int_equal(sa.stats.reqid, 33203);
	assert_true(ip_equal(&sa.stats.src, &ue));
	assert_int_equal(sa.stats.replay_failed, 2);
	assert_int_equal(sa.stats.integrity_failed, 3);
}

static void the_ports_of_an_encapsulated_sa_are_read_back(void **state)
{
	struct xfrm_dump_sa sa;

	(void)state;
	assert_int_equal(read_sa(ANSWER_SA("50010000", SEL4_UP, ID_ESP4), &sa), 0);
	assert_false(sa.stats.encap.on);
	assert_int_equal(read_sa(ANSWER_SA("6c010000", SEL4_UP, ID_ESP4) ENCAP, &sa), 0);
	assert_true(sa.stats.encap.on);
	assert_int_equal(sa.stats.encap.sport, 4500);
	assert_int_equal(sa.stats.encap.dport, 23006);
}

static void a_larval_sa_is_marked(void **state)
{
	struct xfrm_dump_sa sa;

	(void)state;
	assert_int_equal(read_sa(ANSWER_SA("50010000", SEL4_UP, P4 "00000000 32 00*3 "), &sa), 0);
	assert_true(sa.larval);
}

static void a_selector_of_another_form_is_marked_not_mistaken(void **state)
{
	static const char *const others[] = {
		P4 UE4 PORTS "0200 18 20 00 00*3 00*4 00*4 ", /* a /24 */
		P4 UE4 PORTS "0200 20 18 00 00*3 00*4 00*4 ",
		P4 UE4 PORTS "0200 20 20 00 00*3 02000000 00*4 ", /* an interface */
		P4 UE4 PORTS "0200 20 20 00 00*3 00*4 e8030000 ", /* a user */
		P4 UE4 PORTS "0000 00 00 00 00*3 00*4 00*4 ",     /* no family */
	};
	_Alignas(8) uint8_t buf[sizeof(struct xfrm_selector)];

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(hex(others[i], buf), sizeof(buf));
		assert_int_equal(msg_read_selector((void *)buf).family, AF_UNSPEC);
	}
	assert_int_equal(hex(SEL6_UP, buf), sizeof(buf));
	assert_int_equal(msg_read_selector((void *)buf).family, AF_INET6);
}

static void a_short_or_strange_answer_about_an_sa_is_refused(void **state)
{
	_Alignas(8) uint8_t buf[2048];
	struct nlmsghdr *nlh = (void *)buf;
	struct xfrm_dump_sa sa;

	(void)state;
	hex(ANSWER_SA("50010000", SEL4_UP, ID_ESP4), buf);
	for (uint32_t n = 16; n < 16 + 224; n++) {
		nlh->nlmsg_len = n;
		assert_int_equal(msg_read_sa(nlh, &sa), -EBADMSG);
	}
	nlh->nlmsg_len = 16 + 224;
	assert_int_equal(msg_read_sa(nlh, &sa), 0);
	nlh->nlmsg_type = XFRM_MSG_NEWPOLICY;
	assert_int_equal(msg_read_sa(nlh, &sa), -EBADMSG);
	assert_int_equal(read_sa("f0000000 1000 0000 00*8 00*224", &sa), -EBADMSG);
}

/* An answer to GETSA with these attributes; the body tells nothing of keys. */
static int read_keys(const char *attributes, struct xfrm_sa_keys *ret)
{
	_Alignas(8) uint8_t buf[2048];
	struct nlmsghdr *nlh = (void *)buf;

	memset(buf, 0, sizeof(buf));
	nlh->nlmsg_len = (uint32_t)(16 + 224 + hex(attributes, buf + 16 + 224));
	nlh->nlmsg_type = XFRM_MSG_NEWSA;
	return msg_read_keys(nlh, ret);
}

static void assert_keys(const char *attributes, enum xfrm_algo_id auth, enum xfrm_algo_id enc)
{
	const struct xfrm_key wanted[] = {key(auth, 0x11), key(enc, 0x22)};
	struct xfrm_sa_keys keys;

	memset(&keys, 0xa5, sizeof(keys));
	assert_int_equal(read_keys(attributes, &keys), 0);
	assert_int_equal(keys.auth.algo, auth);
	assert_int_equal(keys.enc.algo, enc);
	assert_memory_equal(keys.auth.bytes, wanted[0].bytes, xfrm_algo_info(auth)->key_bytes);
	assert_memory_equal(keys.enc.bytes, wanted[1].bytes, xfrm_algo_info(enc)->key_bytes);
}

static void the_keys_of_each_suite_are_read_back(void **state)
{
	(void)state;
	assert_keys(SHA1 AES, XFRM_HMAC_SHA1, XFRM_CBC_AES);
	assert_keys(MD5 NULL_CIPHER, XFRM_HMAC_MD5, XFRM_CIPHER_NULL);
	assert_keys(SHA1 DES3, XFRM_HMAC_SHA1, XFRM_CBC_DES3);
	assert_keys(GCM, XFRM_ALGO_NONE, XFRM_GCM_AES);
	assert_keys(REPLAY_64 GMAC ENCAP, XFRM_ALGO_NONE, XFRM_GMAC_AES);
	assert_keys(MD5, XFRM_HMAC_MD5, XFRM_ALGO_NONE); /* AH */
}

static void keys_of_algorithms_that_are_not_ours_are_refused(void **state)
{
	static const char *const OTHERS[] = {
		"6000 1400 'hmac(sha1)' 00*54 a0000000 80000000 11*20 " AES, /* 128 bits of ICV */
		"6000 1400 'hmac(rmd)x' 00*54 a0000000 60000000 11*20 " AES,
		SHA1 "6000 0200 'cbc(aes)' 00*56 c0000000 22*24 ", /* AES-192 */
		"6000 1200 'rfc4106(gcm(aes))' 00*47 a0000000 40000000 22*20 ",
	};
	struct xfrm_sa_keys keys = {.auth.algo = XFRM_HMAC_MD5};

	(void)state;
	for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++)
		assert_int_equal(read_keys(OTHERS[i], &keys), -EOPNOTSUPP);
	assert_int_equal(keys.auth.algo, XFRM_HMAC_MD5);
}

static void keys_that_are_not_there_are_not_read(void **state)
{
	struct xfrm_sa_keys keys = {.auth.algo = XFRM_HMAC_MD5};

	(void)state;
	assert_int_equal(read_keys("", &keys), -EBADMSG);
	assert_int_equal(read_keys(REPLAY_64, &keys), -EBADMSG);
	/* 20 bytes are said to be there, 16 are */
	assert_int_equal(read_keys("5c00 1400 'hmac(sha1)' 00*54 a0000000 60000000 11*16 ", &keys),
			 -EBADMSG);
	assert_int_equal(read_keys("4400 1400 'hmac(sha1)' 00*54 ", &keys), -EBADMSG);
	assert_int_equal(keys.auth.algo, XFRM_HMAC_MD5);
}

/* XFRMA_LTIME_VAL (9) behind an attribute that does not matter (XFRMA_REPLAY_VAL, 10) */
#define ANSWER_AE(length)                                                                          \
	length " 1e00 0000 01000000 02000000 " P4 "00001001 0200 32 00 " UE4 "00*4 b3810000 "      \
	       "1000 0a00 00*12 "                                                                  \
	       "2400 0900 e803 00*6 0a00 00*6 00e1f505 00*4 01e1f505 00*4 "

static void counters_are_read_back(void **state)
{
	_Alignas(8) uint8_t buf[512];
	struct ip_addr ue = ip("198.51.100.7");
	struct xfrm_sa_stats stats;

	(void)state;
	hex(ANSWER_AE("74000000"), buf);
	assert_int_equal(msg_read_counters((void *)buf, &stats), 0);
	assert_int_equal(stats.bytes, 1000);
	assert_int_equal(stats.packets, 10);
	assert_int_equal(stats.add_time, 100000000);
	assert_int_equal(stats.use_time, 100000001);
	assert_int_equal(stats.reqid, 33203);
	assert_true(ip_equal(&stats.src, &ue));
}

static void counters_cut_anywhere_are_refused(void **state)
{
	_Alignas(8) uint8_t buf[512];
	struct nlmsghdr *nlh = (void *)buf;
	struct xfrm_sa_stats stats;

	(void)state;
	hex(ANSWER_AE("74000000"), buf);
	for (uint32_t n = 16; n < 0x74; n++) {
		nlh->nlmsg_len = n;
		assert_int_equal(msg_read_counters(nlh, &stats), -EBADMSG);
	}
	hex(ANSWER_AE("74000000"), buf);
	buf[16 + 48] = 0xff; /* the first attribute reaches beyond the message */
	assert_int_equal(msg_read_counters(nlh, &stats), -EBADMSG);
}

static void an_sa_is_named_in_one_line(void **state)
{
	struct xfrm_sa_id id = {.dst = ip("192.0.2.1"), .spi = 0x1001, .proto = IPPROTO_ESP};
	char buf[128];

	(void)state;
	assert_string_equal(xfrm_sa_id_format(&id, buf, sizeof(buf)),
			    "ESP SA spi 0x00001001 to 192.0.2.1");
	id = (struct xfrm_sa_id){.dst = ip("2001:db8::1"), .spi = UINT32_MAX, .proto = IPPROTO_AH};
	assert_string_equal(xfrm_sa_id_format(&id, buf, sizeof(buf)),
			    "AH SA spi 0xffffffff to 2001:db8::1");
	assert_string_equal(xfrm_sa_id_format(&id, buf, 6), "AH SA");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(newsa_esp_ipv4_transport_sha1_aes),
		cmocka_unit_test(newsa_esp_ipv6_transport_md5_null_without_limit),
		cmocka_unit_test(newsa_esp_ipv4_transport_md5_des3),
		cmocka_unit_test(C2_newsa_esp_ipv4_transport_gcm_has_no_other_algorithm),
		cmocka_unit_test(newsa_esp_ipv6_tunnel_gmac),
		cmocka_unit_test(newsa_udp_encapsulation_carries_ports_threshold_and_interface),
		cmocka_unit_test(newsa_without_threshold_does_not_mention_it),
		cmocka_unit_test(newsa_ah_has_an_hmac_alone_and_no_alignment_flag),
		cmocka_unit_test(newsa_selector_may_leave_peer_and_ports_open),
		cmocka_unit_test(replay_bitmap_is_rounded_up_to_words),
		cmocka_unit_test(the_longest_message_fits_its_slot),
		cmocka_unit_test(a_buffer_that_is_too_small_is_refused_and_not_overrun),
		cmocka_unit_test(an_illegal_description_is_refused_before_anything_is_written),
		cmocka_unit_test(a_key_in_the_wrong_place_is_refused),
		cmocka_unit_test(ah_with_a_cipher_or_encapsulation_is_refused),
		cmocka_unit_test(updsa_esp_sends_random_keys),
		cmocka_unit_test(updsa_ah_sends_no_cipher),
		cmocka_unit_test(updsa_repeats_the_encapsulation),
		cmocka_unit_test(updsa_of_an_illegal_description_is_refused),
		cmocka_unit_test(delsa_names_destination_spi_family_and_protocol),
		cmocka_unit_test(getsa_names_the_same),
		cmocka_unit_test(getae_asks_without_flags),
		cmocka_unit_test(an_sa_is_read_back),
		cmocka_unit_test(the_ports_of_an_encapsulated_sa_are_read_back),
		cmocka_unit_test(a_larval_sa_is_marked),
		cmocka_unit_test(a_selector_of_another_form_is_marked_not_mistaken),
		cmocka_unit_test(a_short_or_strange_answer_about_an_sa_is_refused),
		cmocka_unit_test(the_keys_of_each_suite_are_read_back),
		cmocka_unit_test(keys_of_algorithms_that_are_not_ours_are_refused),
		cmocka_unit_test(keys_that_are_not_there_are_not_read),
		cmocka_unit_test(counters_are_read_back),
		cmocka_unit_test(counters_cut_anywhere_are_refused),
		cmocka_unit_test(an_sa_is_named_in_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
