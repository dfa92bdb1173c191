/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm/txn.c, netlink.c and query.c against a kernel that works, refuses, loses, lies and is
 * silent: one datagram and one ACK, roll-back of what was added and of nothing else, no keys left.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "tests/unit/fake_kernel.h"
#include "tests/unit/hex.h"
#include "xfrm/internal.h"

static struct xfrm *x;
static struct xfrm_error error;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	memset(&error, 0, sizeof(error));
	return xfrm_open(&x);
}

static int teardown(void **state)
{
	(void)state;
	xfrm_close(x);
	return fake.open_sockets;
}

static struct ip_addr ip(const char *text)
{
	struct ip_addr ip;

	assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

static struct xfrm_sa sa(uint32_t spi)
{
	struct xfrm_sa sa = {
		.id = {.dst = ip("192.0.2.1"), .spi = spi, .proto = IPPROTO_ESP},
		.src = ip("198.51.100.7"),
		.sel = {.family = AF_INET, .sport = 5061, .sport_mask = 0xffff},
		.reqid = 33203,
		.replay_window = 64,
		.auth = {.algo = XFRM_HMAC_SHA1},
		.enc = {.algo = XFRM_CBC_AES},
	};

	memset(sa.auth.bytes, 0xc7, 20);
	memset(sa.enc.bytes, 0xd9, 16);
	return sa;
}

static struct xfrm_policy guard(uint16_t port)
{
	return (struct xfrm_policy){
		.dir = XFRM_IN,
		.sel = {.family = AF_INET,
			.dst = ip("192.0.2.1"),
			.dport = port,
			.dport_mask = 0xffff},
		.priority = 100,
		.proto = IPPROTO_ESP,
		.reqid = 33203,
	};
}

static void queue_sas(uint32_t first_spi, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct xfrm_sa one = sa(first_spi + i);

		assert_int_equal(xfrm_add_sa(x, &one), 0);
	}
}

/* An SA of somebody else; @age_s before now. */
static void add_stranger(uint32_t spi, uint32_t reqid, uint64_t age_s)
{
	struct xfrm_usersa_info *info = &fake.sas[fake.sas_n++];
	struct xfrm_sa one = sa(spi);

	memset(info, 0, sizeof(*info));
	memcpy(&info->id.daddr, one.id.dst.bytes, 16);
	memcpy(&info->saddr, one.src.bytes, 16);
	info->id.spi = htonl(spi);
	info->id.proto = IPPROTO_ESP;
	info->family = AF_INET;
	info->reqid = reqid;
	info->curlft.add_time = (uint64_t)time(NULL) - age_s;
}

static bool holds_run(const uint8_t *bytes, size_t n, uint8_t value, size_t run)
{
	size_t found = 0;

	for (size_t i = 0; i < n && found < run; i++)
		found = bytes[i] == value ? found + 1 : 0;
	return found == run;
}

static void assert_no_keys(void)
{
	const uint8_t *all = (const uint8_t *)x;

	assert_false(holds_run(all, sizeof(*x), 0xc7, 4));
	assert_false(holds_run(all, sizeof(*x), 0xd9, 4));
	assert_null(memmem(all, sizeof(*x), "the kernel's own key", 20));
}

static void assert_sent(uint64_t datagrams, uint64_t messages)
{
	uint64_t got_datagrams, got_messages;

	xfrm_sent(x, &got_datagrams, &got_messages);
	assert_int_equal(got_datagrams, datagrams);
	assert_int_equal(got_messages, messages);
}

static void assert_failed(int err, size_t index, const char *object)
{
	assert_int_equal(error.error, err);
	assert_int_equal(error.index, index);
	assert_string_equal(error.object, object);
}

/* ---- opening ---- */

static void open_sets_cap_ack_and_ext_ack(void **state)
{
	(void)state;
	assert_true(fake.options & (1u << NETLINK_CAP_ACK));
	assert_true(fake.options & (1u << NETLINK_EXT_ACK));
	assert_false(fake.groups);
}

static void open_without_cap_ack_or_ext_ack_is_refused(void **state)
{
	struct xfrm *other = NULL;

	(void)state;
	fake.option_error = NETLINK_CAP_ACK;
	assert_int_equal(xfrm_open(&other), -ENOPROTOOPT);
	fake.option_error = NETLINK_EXT_ACK;
	assert_int_equal(xfrm_open(&other), -ENOPROTOOPT);
	assert_null(other);
	assert_int_equal(fake.open_sockets, 1);
}

static void open_without_xfrm_in_the_kernel_says_so(void **state)
{
	struct xfrm *other = NULL;

	(void)state;
	fake.socket_error = EPROTONOSUPPORT;
	assert_int_equal(xfrm_open(&other), -EPROTONOSUPPORT);
	assert_null(other);
	xfrm_close(NULL);
}

/* ---- success ---- */

static void four_sas_are_one_datagram_of_four_messages_with_one_ack(void **state)
{
	(void)state;
	xfrm_begin(x);
	queue_sas(0x1001, 4);
	assert_int_equal(fake.sent_n, 0);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(fake.sent_n, 1);
	assert_int_equal(fake_count(0), 4);
	for (size_t i = 0; i < 4; i++) {
		const struct nlmsghdr *nlh = fake_message(0, i);

		assert_int_equal(nlh->nlmsg_type, XFRM_MSG_NEWSA);
		assert_int_equal(nlh->nlmsg_seq, i + 1);
		assert_int_equal(nlh->nlmsg_pid, FAKE_PORTID);
		assert_int_equal(nlh->nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL |
							   (i == 3 ? NLM_F_ACK : 0));
	}
	assert_int_equal(fake.sas_n, 4);
	assert_int_equal(error.error, 0);
	assert_sent(1, 4);
	assert_no_keys();
}

static void an_empty_transaction_succeeds_without_a_datagram(void **state)
{
	(void)state;
	xfrm_begin(x);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(fake.sent_n, 0);
	assert_sent(0, 0);
}

static void every_kind_of_message_travels_in_one_transaction(void **state)
{
	struct xfrm_sa one = sa(1), two = sa(2);
	struct xfrm_sa_change change = {.id = one.id, .src = one.src, .hard_s = 900};
	struct xfrm_policy p = guard(6100), q = guard(6101);

	(void)state;
	assert_int_equal(xfrm_add_sa(x, &one), 0);
	assert_int_equal(xfrm_add_sa(x, &two), 0);
	assert_int_equal(xfrm_change_sa(x, &change), 0);
	assert_int_equal(xfrm_delete_sa(x, &two.id), 0);
	assert_int_equal(xfrm_add_policy(x, &p), 0);
	assert_int_equal(xfrm_add_policy(x, &q), 0);
	assert_int_equal(xfrm_delete_policy(x, XFRM_IN, 5 * 8, 0), 0);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_sent(1, 7);
	assert_int_equal(fake.sas_n, 1);
	assert_int_equal(fake.sas[0].lft.hard_add_expires_seconds, 900);
	assert_int_equal(fake.policies_n, 1);
}

static void sequence_numbers_start_at_one_and_skip_zero(void **state)
{
	(void)state;
	x->req.seq = UINT32_MAX - 1;
	queue_sas(1, 3);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(fake_message(0, 0)->nlmsg_seq, UINT32_MAX);
	assert_int_equal(fake_message(0, 1)->nlmsg_seq, 1);
	assert_int_equal(fake_message(0, 2)->nlmsg_seq, 2);
}

static void begin_forgets_and_wipes_what_was_queued(void **state)
{
	(void)state;
	queue_sas(1, 2);
	assert_true(holds_run(x->txn_buf, sizeof(x->txn_buf), 0xc7, 20));
	xfrm_begin(x);
	assert_no_keys();
	queue_sas(9, 1);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(fake_count(0), 1);
	assert_true(fake_has_sa(9));
}

static void a_full_transaction_takes_no_more_and_can_be_sent(void **state)
{
	struct xfrm_sa one = sa(99), widest = sa(1);
	struct xfrm_policy p = guard(6100);

	(void)state;
	widest.replay_window = XFRM_MAX_REPLAY_WINDOW;
	widest.if_id = 1;
	widest.encap = (struct xfrm_encap){.on = true, .mapping_threshold_s = 1};
	for (uint32_t i = 0; i < XFRM_TXN_MESSAGES; i++) {
		widest.id.spi = i + 1;
		assert_int_equal(xfrm_add_sa(x, &widest), 0);
	}
	assert_int_equal(xfrm_add_sa(x, &one), -ENOSPC);
	assert_int_equal(xfrm_delete_sa(x, &one.id), -ENOSPC);
	assert_int_equal(xfrm_add_policy(x, &p), -ENOSPC);
	assert_int_equal(xfrm_delete_policy(x, XFRM_IN, 8, 0), -ENOSPC);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_sent(1, XFRM_TXN_MESSAGES);
	assert_int_equal(fake.sas_n, XFRM_TXN_MESSAGES);
	assert_no_keys();
}

static void an_illegal_description_leaves_the_transaction_unchanged(void **state)
{
	struct xfrm_sa bad = sa(0);

	(void)state;
	queue_sas(1, 1);
	assert_int_equal(xfrm_add_sa(x, &bad), -EINVAL);
	queue_sas(2, 1);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_sent(1, 2);
	assert_int_equal(fake.sas_n, 2);
}

/* ---- refusals ---- */

static void assert_rolled_back(size_t datagram, const uint32_t *spis, size_t n)
{
	assert_int_equal(fake_count(datagram), n);
	for (size_t i = 0; i < n; i++) {
		const struct nlmsghdr *nlh = fake_message(datagram, i);
		const struct xfrm_usersa_id *id = mnl_nlmsg_get_payload(nlh);

		assert_int_equal(nlh->nlmsg_type, XFRM_MSG_DELSA);
		assert_int_equal(ntohl(id->spi), spis[i]);
		assert_int_equal(!!(nlh->nlmsg_flags & NLM_F_ACK), i == n - 1);
	}
}

static void the_second_of_four_exists_and_the_other_three_are_deleted_in_one_datagram(void **state)
{
	static const uint32_t undone[] = {0x1004, 0x1003, 0x1001};

	(void)state;
	add_stranger(0x1002, 1, 5);
	queue_sas(0x1001, 4);
	assert_int_equal(xfrm_commit(x, &error), -EEXIST);
	assert_failed(-EEXIST, 1, "ESP SA spi 0x00001002 to 192.0.2.1");
	assert_int_equal(error.op, XFRM_OP_ADD_SA);
	assert_int_equal(error.not_undone, 0);
	assert_string_equal(error.kernel, "");
	assert_int_equal(fake.sent_n, 2);
	assert_rolled_back(1, undone, 3);
	assert_int_equal(fake.sas_n, 1);
	assert_true(fake_has_sa(0x1002));
	assert_sent(2, 7);
	assert_no_keys();
}

static void the_last_one_fails_and_the_others_are_deleted(void **state)
{
	static const uint32_t undone[] = {3, 2, 1};

	(void)state;
	fake.refuse_nth = 4;
	fake.refuse_error = ENOSYS;
	fake.refuse_text = "Requested CRYPT algorithm not found";
	queue_sas(1, 4);
	assert_int_equal(xfrm_commit(x, &error), -ENOSYS);
	assert_failed(-ENOSYS, 3, "ESP SA spi 0x00000004 to 192.0.2.1");
	assert_string_equal(error.kernel, "Requested CRYPT algorithm not found");
	assert_rolled_back(1, undone, 3);
	assert_int_equal(fake.sas_n, 0);
}

/* A set with policies of its own, each message of which is refused in turn. */
static void whichever_message_is_refused_nothing_is_left(void **state)
{
	static const int ERRORS[] = {EPERM, EEXIST, ENOMEM, ENOBUFS, EINVAL};
	const size_t count = 8;

	(void)state;
	for (size_t i = 0; i < count * sizeof(ERRORS) / sizeof(ERRORS[0]); i++) {
		const int err = ERRORS[i / count];

		fake.messages = 0;
		fake.refuse_nth = (int)(i % count) + 1;
		fake.refuse_error = err;
		queue_sas(1, 4);
		for (uint16_t port = 6100; port < 6104; port++) {
			struct xfrm_policy p = guard(port);

			assert_int_equal(xfrm_add_policy(x, &p), 0);
		}
		assert_int_equal(xfrm_commit(x, &error), -err);
		assert_int_equal(error.index, i % count);
		assert_int_equal(error.not_undone, 0);
		assert_int_equal(fake.sas_n + fake.policies_n, 0);
		assert_no_keys();
		fake.sent_n = fake.queue_head = fake.queue_tail = 0;
	}
}

static void each_one_fails_and_no_second_datagram_is_sent(void **state)
{
	(void)state;
	fake.refuse_type = XFRM_MSG_NEWSA;
	fake.refuse_error = EPROTONOSUPPORT;
	queue_sas(1, 4);
	assert_int_equal(xfrm_commit(x, &error), -EPROTONOSUPPORT);
	assert_int_equal(error.index, 0);
	assert_int_equal(fake.sent_n, 1);
}

static void transactions_are_timed_and_refusals_counted_by_errno(void **state)
{
	const struct xfrm_counts *counts = xfrm_counts(x);
	uint64_t timed = 0;

	(void)state;
	queue_sas(1, 2);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(xfrm_commit(x, &error), 0); /* empty: none */
	add_stranger(4, 1, 5);
	queue_sas(3, 3);
	assert_int_equal(xfrm_commit(x, &error), -EEXIST);
	fake.send_error = ENOMEM;
	queue_sas(6, 1);
	assert_int_equal(xfrm_commit(x, &error), -ENOMEM);
	for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
		timed += counts->took.count[i];
	assert_int_equal(timed, 3);
	for (int i = 0; i < XFRM_ERRNOS; i++)
		assert_int_equal(counts->refused[i], i == EEXIST || i == ENOMEM);
}

static void the_first_of_two_errors_is_told(void **state)
{
	(void)state;
	add_stranger(2, 1, 5);
	add_stranger(4, 1, 5);
	queue_sas(1, 4);
	assert_int_equal(xfrm_commit(x, &error), -EEXIST);
	assert_int_equal(error.index, 1);
	assert_int_equal(fake.sas_n, 2);
}

static void a_refused_policy_takes_sas_and_policies_back(void **state)
{
	struct xfrm_policy p = guard(6100), q = guard(6101);

	(void)state;
	queue_sas(1, 1);
	assert_int_equal(xfrm_add_policy(x, &p), 0);
	assert_int_equal(xfrm_commit(x, &error), 0);
	queue_sas(2, 1);
	assert_int_equal(xfrm_add_policy(x, &q), 0);
	assert_int_equal(xfrm_add_policy(x, &p), 0);
	assert_int_equal(xfrm_commit(x, &error), -EEXIST);
	assert_failed(-EEXIST, 2, "policy in 192.0.2.1 port 6100");
	assert_int_equal(error.op, XFRM_OP_ADD_POLICY);
	assert_int_equal(fake.sas_n, 1);
	assert_true(fake_has_sa(1));
	assert_int_equal(fake.policies_n, 1);
	assert_int_equal(ntohs(fake.policies[0].info.sel.dport), 6100);
}

static void deleting_what_is_gone_is_a_success(void **state)
{
	struct xfrm_sa one = sa(1);

	(void)state;
	assert_int_equal(xfrm_delete_sa(x, &one.id), 0);
	assert_int_equal(xfrm_delete_policy(x, XFRM_OUT, 9, 0), 0);
	queue_sas(5, 1);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(fake.sas_n, 1);
	assert_int_equal(xfrm_delete_sa(x, &one.id), 0);
	assert_int_equal(xfrm_commit(x, &error), 0);
}

static void changing_what_is_gone_fails(void **state)
{
	struct xfrm_sa one = sa(7);
	struct xfrm_sa_change change = {.id = one.id, .src = one.src};

	(void)state;
	assert_int_equal(xfrm_change_sa(x, &change), 0);
	assert_int_equal(xfrm_commit(x, &error), -ESRCH);
	assert_failed(-ESRCH, 0, "ESP SA spi 0x00000007 to 192.0.2.1");
	assert_int_equal(error.op, XFRM_OP_CHANGE_SA);
}

static void a_refused_deletion_is_an_error_and_undoes_additions(void **state)
{
	struct xfrm_sa one = sa(1);

	(void)state;
	queue_sas(1, 1);
	assert_int_equal(xfrm_commit(x, &error), 0);
	queue_sas(2, 1);
	assert_int_equal(xfrm_delete_sa(x, &one.id), 0);
	fake.refuse_nth = 3;
	fake.refuse_error = EPERM;
	assert_int_equal(xfrm_commit(x, &error), -EPERM);
	assert_int_equal(error.op, XFRM_OP_DELETE_SA);
	assert_int_equal(error.index, 1);
	assert_false(fake_has_sa(2));
	assert_true(fake_has_sa(1));
}

static void what_cannot_be_undone_is_counted(void **state)
{
	(void)state;
	add_stranger(3, 1, 5);
	queue_sas(1, 3);
	fake.refuse_type = XFRM_MSG_DELSA;
	fake.refuse_error = EPERM;
	assert_int_equal(xfrm_commit(x, &error), -EEXIST);
	assert_int_equal(error.not_undone, 2);
}

static void a_datagram_that_is_not_sent_changes_nothing(void **state)
{
	(void)state;
	queue_sas(1, 4);
	fake.send_error = EMSGSIZE;
	assert_int_equal(xfrm_commit(x, &error), -EMSGSIZE);
	assert_int_equal(error.index, 0);
	assert_int_equal(error.not_undone, 0);
	assert_sent(0, 0);
	assert_no_keys();
	fake.send_error = 0;
	queue_sas(1, 4);
	assert_int_equal(xfrm_commit(x, NULL), 0);
	assert_int_equal(fake_count(0), 4);
}

/* ---- no answers, lost answers ---- */

static void a_silent_kernel_is_an_error_not_a_wait(void **state)
{
	(void)state;
	fake.silent = true;
	queue_sas(1, 4);
	assert_int_equal(xfrm_commit(x, &error), -EIO);
	assert_failed(-EIO, 0, "ESP SA spi 0x00000001 to 192.0.2.1");
	assert_int_equal(error.not_undone, 4);
	assert_no_keys();
}

static int answers_to_drop;

static void drop_first(struct fake_answer *answer)
{
	if (answers_to_drop > 0) {
		answers_to_drop--;
		answer->bytes = 0;
	}
}

static void a_missing_ack_is_an_error_and_what_was_added_is_found_and_deleted(void **state)
{
	(void)state;
	add_stranger(2, 1, 5);
	answers_to_drop = 2; /* the EEXIST and the ACK */
	fake.alter = drop_first;
	queue_sas(1, 3);
	assert_int_equal(xfrm_commit(x, &error), -EEXIST);
	assert_int_equal(error.index, 1);
	assert_int_equal(fake.sas_n, 1);
	assert_true(fake_has_sa(2));
	answers_to_drop = 1;
	queue_sas(5, 2);
	assert_int_equal(xfrm_commit(x, &error), -EIO);
	assert_int_equal(error.index, 1);
	assert_int_equal(error.not_undone, 0);
	assert_int_equal(fake.sas_n, 1);
}

/* The receive buffer overflows for the first datagram only. */
static void lose_first_datagram(struct fake_answer *answer)
{
	(void)answer;
	if (fake.sent_n > 1)
		fake.keep_answers = -1;
}

static void commit_losing_all_but(int kept)
{
	fake.keep_answers = kept;
	fake.alter = lose_first_datagram;
}

static void after_enobufs_what_was_added_is_asked_for_and_found(void **state)
{
	struct xfrm_policy p = guard(6100);

	(void)state;
	commit_losing_all_but(0);
	queue_sas(1, 3);
	assert_int_equal(xfrm_add_policy(x, &p), 0);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(fake.sas_n, 3);
	assert_int_equal(fake.policies_n, 1);
	assert_int_equal(fake.sent_n, 5);
	assert_int_equal(fake_message(1, 0)->nlmsg_type, XFRM_MSG_GETAE);
	assert_int_equal(fake_message(4, 0)->nlmsg_type, XFRM_MSG_GETPOLICY);
	assert_sent(1, 4);
	assert_no_keys();
}

static void after_enobufs_a_strangers_sa_is_recognised_and_kept(void **state)
{
	(void)state;
	add_stranger(2, 1, 0);      /* of this second, but with another owner's reqid */
	add_stranger(3, 33203, 60); /* older than this transaction */
	add_stranger(4, 33203, 0);  /* of another phone */
	memcpy(&fake.sas[2].saddr, "\xc6\x33\x64\x08", 4);
	commit_losing_all_but(0);
	queue_sas(1, 5);
	assert_int_equal(xfrm_commit(x, &error), -EEXIST);
	assert_int_equal(error.index, 1);
	assert_int_equal(error.not_undone, 0);
	assert_int_equal(fake.sas_n, 3);
	assert_true(fake_has_sa(2) && fake_has_sa(3) && fake_has_sa(4));
}

static void after_enobufs_the_answers_that_arrived_still_count(void **state)
{
	(void)state;
	add_stranger(2, 33203, 0); /* could be taken for ours, but for the error that arrived */
	add_stranger(3, 1, 0);
	commit_losing_all_but(1);
	queue_sas(1, 4);
	assert_int_equal(xfrm_commit(x, &error), -EEXIST);
	assert_int_equal(error.index, 1);
	assert_int_equal(fake.sas_n, 2);
	assert_true(fake_has_sa(2) && fake_has_sa(3));
}

static void after_enobufs_a_missing_sa_fails_the_transaction(void **state)
{
	(void)state;
	fake.refuse_nth = 2;
	fake.refuse_error = ENOMEM;
	commit_losing_all_but(0);
	queue_sas(1, 3);
	assert_int_equal(xfrm_commit(x, &error), -ENOBUFS);
	assert_int_equal(error.index, 1);
	assert_int_equal(fake.sas_n, 0);
}

static void after_enobufs_a_strangers_policy_is_recognised_and_kept(void **state)
{
	struct xfrm_policy p = guard(6100), q = guard(6101);

	(void)state;
	fake.now_s = 1000;
	assert_int_equal(xfrm_add_policy(x, &p), 0);
	assert_int_equal(xfrm_commit(x, &error), 0);
	fake.now_s = 0;
	fake.queue_head = fake.queue_tail = fake.sent_n = 0;
	commit_losing_all_but(0);
	assert_int_equal(xfrm_add_policy(x, &q), 0);
	assert_int_equal(xfrm_add_policy(x, &p), 0);
	assert_int_equal(xfrm_commit(x, &error), -EEXIST);
	assert_failed(-EEXIST, 1, "policy in 192.0.2.1 port 6100");
	assert_int_equal(fake.policies_n, 1);
	assert_int_equal(ntohs(fake.policies[0].info.sel.dport), 6100);
}

static void after_enobufs_changes_and_deletions_are_sent_again(void **state)
{
	struct xfrm_sa one = sa(1), two = sa(2);
	struct xfrm_sa_change change = {.id = one.id, .src = one.src, .hard_s = 900};

	(void)state;
	queue_sas(1, 2);
	assert_int_equal(xfrm_commit(x, &error), 0);
	fake.queue_head = fake.queue_tail = fake.sent_n = 0;
	commit_losing_all_but(0);
	assert_int_equal(xfrm_change_sa(x, &change), 0);
	assert_int_equal(xfrm_delete_sa(x, &two.id), 0);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(fake.sent_n, 3);
	assert_int_equal(fake_message(1, 0)->nlmsg_type, XFRM_MSG_UPDSA);
	assert_int_equal(fake_message(2, 0)->nlmsg_type, XFRM_MSG_DELSA);
	assert_true(fake_message(1, 0)->nlmsg_flags & NLM_F_ACK);
	assert_int_equal(fake.sas_n, 1);
	assert_no_keys();
}

static void lose_second_datagram(struct fake_answer *answer)
{
	(void)answer;
	fake.keep_answers = fake.sent_n == 2 ? 0 : -1;
}

static void a_roll_back_with_lost_answers_is_sent_again_one_by_one(void **state)
{
	(void)state;
	add_stranger(3, 1, 5);
	fake.alter = lose_second_datagram;
	queue_sas(1, 3);
	assert_int_equal(xfrm_commit(x, &error), -EEXIST);
	assert_int_equal(error.not_undone, 0);
	assert_int_equal(fake.sent_n, 4);
	assert_int_equal(fake.sas_n, 1);
	assert_true(fake_has_sa(3));
}

/* ---- lies and garbage ---- */

static void shift_seq(struct fake_answer *answer)
{
	((struct nlmsghdr *)(void *)answer->data)->nlmsg_seq += 1000;
}

static void answers_with_a_wrong_sequence_number_are_no_answers(void **state)
{
	(void)state;
	fake.alter = shift_seq;
	queue_sas(1, 2);
	assert_int_equal(xfrm_commit(x, &error), -EIO);
}

static void forge_sender(struct fake_answer *answer)
{
	answer->sender = 12345;
}

static void answers_of_another_process_are_dropped(void **state)
{
	(void)state;
	fake.alter = forge_sender;
	queue_sas(1, 2);
	assert_int_equal(xfrm_commit(x, &error), -EIO);
}

static void a_forged_error_before_the_true_ack_changes_nothing(void **state)
{
	(void)state;
	fake_push_verdict(1, -EPERM, NULL);
	fake.queue[0].sender = 12345;
	queue_sas(1, 2);
	assert_int_equal(xfrm_commit(x, &error), 0);
}

static void a_late_answer_to_an_older_transaction_is_skipped(void **state)
{
	(void)state;
	x->req.seq = 100;
	fake_push_verdict(99, -EPERM, NULL);
	queue_sas(1, 2);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(fake.sas_n, 2);
}

static void truncate_first(struct fake_answer *answer)
{
	answer->truncated = fake.sent_n == 1;
}

static void a_truncated_answer_counts_as_lost(void **state)
{
	(void)state;
	fake.alter = truncate_first;
	queue_sas(1, 2);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(fake.sas_n, 2);
	assert_int_equal(fake.sent_n, 3);
}

static void short_and_garbled_messages_are_passed_over(void **state)
{
	static const char *const garbage[] = {
		"00*3",
		"00*16",
		"0f000000 0200 0000 01000000 00*4",                /* length below the header */
		"ffffffff 0200 0000 01000000 00*4 ffffffff 00*16", /* length beyond the datagram */
		"10000000 0200 0000 01000000 00*4",                /* an error without its number */
		"24000000 0200 0000 01000000 00*4 01000000 00*16", /* a positive errno */
		"24000000 0200 0000 01000000 00*4 00000080 00*16", /* no errno at all */
		"24000000 0300 0000 01000000 00*4 00*20",          /* DONE */
		"24000000 1000 0000 01000000 00*4 00*20",          /* NEWSA */
	};
	uint8_t buf[256];

	(void)state;
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
		fake_push(buf, hex(garbage[i], buf));
	queue_sas(1, 2);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(fake.sent_n, 1);
}

static void a_broken_socket_is_an_error_and_what_was_added_is_deleted(void **state)
{
	(void)state;
	fake_push_error(ECONNREFUSED);
	queue_sas(1, 1);
	assert_int_equal(xfrm_commit(x, &error), -EIO);
	assert_int_equal(fake.sas_n, 0);
}

/* ---- the kernel's words ---- */

static void words_without_an_end_are_not_copied(void **state)
{
	/* error -EINVAL, capped header; NLMSGERR_ATTR_MSG (1) of 4 bytes without NUL */
	static const char answer[] = "2c000000 0200 0003 01000000 00*4 eaffffff 00*16 "
				     "0800 0100 'abcd'";
	uint8_t buf[256];

	(void)state;
	fake_push(buf, hex(answer, buf));
	queue_sas(1, 1);
	assert_int_equal(xfrm_commit(x, &error), -EINVAL);
	assert_string_equal(error.kernel, "");
}

static void words_are_found_behind_a_request_that_is_repeated_whole(void **state)
{
	/* not capped: the request of 16 + 8 bytes stands in between */
	static const char answer[] = "34000000 0200 0002 01000000 00*4 eaffffff "
				     "18000000 1000 0000 00*8 00*8 0800 0100 'abc' 00";
	uint8_t buf[256];

	(void)state;
	fake_push(buf, hex(answer, buf));
	queue_sas(1, 1);
	assert_int_equal(xfrm_commit(x, &error), -EINVAL);
	assert_string_equal(error.kernel, "abc");
}

static void an_attribute_that_reaches_beyond_the_message_is_not_read(void **state)
{
	static const char *const answers[] = {
		"2c000000 0200 0003 01000000 00*4 eaffffff 00*16 ff00 0100 'abc' 00",
		"2c000000 0200 0002 01000000 00*4 eaffffff f0ffffff 00*12 0800 0100 'abc' 00",
	};
	uint8_t buf[256];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		x->req.seq = 0;
		fake.queue_head = fake.queue_tail;
		fake.sas_n = 0;
		fake_push(buf, hex(answers[i], buf));
		queue_sas(1, 1);
		assert_int_equal(xfrm_commit(x, &error), -EINVAL);
		assert_string_equal(error.kernel, "");
	}
}

static void long_words_are_cut(void **state)
{
	char words[300];

	(void)state;
	memset(words, 'w', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	fake.refuse_nth = 1;
	fake.refuse_error = EINVAL;
	fake.refuse_text = words;
	queue_sas(1, 1);
	assert_int_equal(xfrm_commit(x, &error), -EINVAL);
	assert_int_equal(strlen(error.kernel), sizeof(error.kernel) - 1);
}

/* ---- questions ---- */

static void counters_are_asked_without_keys(void **state)
{
	struct xfrm_sa one = sa(1);
	struct xfrm_sa_stats stats;

	(void)state;
	queue_sas(1, 1);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(xfrm_get_sa_counters(x, &one.id, &stats), 0);
	assert_int_equal(stats.reqid, 33203);
	assert_true(ip_equal(&stats.src, &one.src));
	assert_int_equal(fake_message(1, 0)->nlmsg_type, XFRM_MSG_GETAE);
	assert_int_equal(fake_message(1, 0)->nlmsg_flags, NLM_F_REQUEST);
}

static void a_question_about_nothing_is_answered_so(void **state)
{
	struct xfrm_sa one = sa(1);
	struct xfrm_policy p = guard(6100), found;
	struct xfrm_sa_stats stats;

	(void)state;
	assert_int_equal(xfrm_get_sa_counters(x, &one.id, &stats), -ESRCH);
	assert_int_equal(xfrm_get_sa(x, &one.id, &stats), -ESRCH);
	assert_int_equal(xfrm_get_policy(x, p.dir, &p.sel, 0, &found), -ENOENT);
	one.id.spi = 0;
	assert_int_equal(xfrm_get_sa_counters(x, &one.id, &stats), -EINVAL);
	assert_int_equal(xfrm_get_sa(x, &one.id, &stats), -EINVAL);
}

static void a_question_does_not_disturb_what_is_queued(void **state)
{
	struct xfrm_sa one = sa(77);
	struct xfrm_sa_stats stats;

	(void)state;
	queue_sas(1, 2);
	assert_int_equal(xfrm_get_sa_counters(x, &one.id, &stats), -ESRCH);
	queue_sas(3, 2);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(fake.sas_n, 4);
	assert_sent(1, 4);
}

static void the_answer_with_keys_is_wiped(void **state)
{
	struct xfrm_sa one = sa(1);
	struct xfrm_sa_stats stats;

	(void)state;
	one.hard_s = 600;
	assert_int_equal(xfrm_add_sa(x, &one), 0);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(xfrm_get_sa(x, &one.id, &stats), 0);
	assert_int_equal(stats.hard_s, 600);
	assert_no_keys();
}

static void an_answer_with_keys_that_cannot_be_read_is_wiped_too(void **state)
{
	struct xfrm_sa one = sa(1);
	struct xfrm_sa_stats stats;

	(void)state;
	queue_sas(1, 1);
	assert_int_equal(xfrm_commit(x, &error), 0);
	fake.sas[0].family = 77;
	assert_int_equal(xfrm_get_sa(x, &one.id, &stats), -EBADMSG);
	assert_no_keys();
}

static void keys_are_those_that_the_kernel_has(void **state)
{
	struct xfrm_sa one = sa(1);
	struct xfrm_sa_keys keys;

	(void)state;
	queue_sas(1, 2);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(xfrm_get_sa_keys(x, &one.id, 33203, &keys), 0);
	assert_int_equal(keys.auth.algo, XFRM_HMAC_SHA1);
	assert_memory_equal(keys.auth.bytes, one.auth.bytes, 20);
	assert_int_equal(keys.enc.algo, XFRM_CBC_AES);
	assert_memory_equal(keys.enc.bytes, one.enc.bytes, 16);
	assert_int_equal(fake_message(1, 0)->nlmsg_type, XFRM_MSG_GETSA);
	assert_no_keys();
}

static void keys_of_others_are_not_given(void **state)
{
	struct xfrm_sa one = sa(1);
	struct xfrm_sa_keys keys = {.auth.algo = XFRM_HMAC_MD5};

	(void)state;
	queue_sas(1, 1);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(xfrm_get_sa_keys(x, &one.id, 33204, &keys), -ESRCH);
	one.id.spi = 2;
	assert_int_equal(xfrm_get_sa_keys(x, &one.id, 33203, &keys), -ESRCH);
	one.id.spi = 0;
	assert_int_equal(xfrm_get_sa_keys(x, &one.id, 33203, &keys), -EINVAL);
	assert_int_equal(keys.auth.algo, XFRM_HMAC_MD5);
	assert_no_keys();
}

static void zeros_of_a_kernel_that_is_locked_down_are_no_keys(void **state)
{
	struct xfrm_sa one = sa(1);
	struct xfrm_sa_keys keys = {.auth.algo = XFRM_HMAC_MD5};

	(void)state;
	queue_sas(1, 1);
	assert_int_equal(xfrm_commit(x, &error), 0);
	fake.locked_down = true;
	assert_int_equal(xfrm_get_sa_keys(x, &one.id, 33203, &keys), -EACCES);
	assert_int_equal(keys.auth.algo, XFRM_HMAC_MD5);
}

static void a_kernel_that_refuses_its_keys_is_heard(void **state)
{
	struct xfrm_sa one = sa(1);
	struct xfrm_sa_keys keys;

	(void)state;
	queue_sas(1, 1);
	assert_int_equal(xfrm_commit(x, &error), 0);
	fake.refuse_type = XFRM_MSG_GETSA;
	fake.refuse_error = EPERM;
	assert_int_equal(xfrm_get_sa_keys(x, &one.id, 33203, &keys), -EPERM);
}

static void a_policy_is_found_by_selector_with_its_index(void **state)
{
	struct xfrm_policy p = guard(6100), found;

	(void)state;
	assert_int_equal(xfrm_add_policy(x, &p), 0);
	assert_int_equal(xfrm_commit(x, &error), 0);
	assert_int_equal(xfrm_get_policy(x, p.dir, &p.sel, 0, &found), 0);
	assert_true(xfrm_policy_equal(&p, &found));
	assert_int_equal(found.index, fake.policies[0].info.index);
}

static void a_question_without_an_answer_is_an_error(void **state)
{
	struct xfrm_sa one = sa(1);
	struct xfrm_sa_stats stats;

	(void)state;
	fake.silent = true;
	assert_int_equal(xfrm_get_sa_counters(x, &one.id, &stats), -EIO);
	fake.silent = false;
	fake_push_error(ENOBUFS);
	fake.alter = shift_seq;
	assert_int_equal(xfrm_get_sa_counters(x, &one.id, &stats), -ENOBUFS);
	fake.alter = NULL;
	fake_push_error(EBADF);
	assert_int_equal(xfrm_get_sa_counters(x, &one.id, &stats), -EBADF);
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(open_sets_cap_ack_and_ext_ack),
		unit(open_without_cap_ack_or_ext_ack_is_refused),
		unit(open_without_xfrm_in_the_kernel_says_so),
		unit(four_sas_are_one_datagram_of_four_messages_with_one_ack),
		unit(an_empty_transaction_succeeds_without_a_datagram),
		unit(every_kind_of_message_travels_in_one_transaction),
		unit(sequence_numbers_start_at_one_and_skip_zero),
		unit(begin_forgets_and_wipes_what_was_queued),
		unit(a_full_transaction_takes_no_more_and_can_be_sent),
		unit(an_illegal_description_leaves_the_transaction_unchanged),
		unit(the_second_of_four_exists_and_the_other_three_are_deleted_in_one_datagram),
		unit(the_last_one_fails_and_the_others_are_deleted),
		unit(whichever_message_is_refused_nothing_is_left),
		unit(each_one_fails_and_no_second_datagram_is_sent),
		unit(transactions_are_timed_and_refusals_counted_by_errno),
		unit(the_first_of_two_errors_is_told),
		unit(a_refused_policy_takes_sas_and_policies_back),
		unit(deleting_what_is_gone_is_a_success),
		unit(changing_what_is_gone_fails),
		unit(a_refused_deletion_is_an_error_and_undoes_additions),
		unit(what_cannot_be_undone_is_counted),
		unit(a_datagram_that_is_not_sent_changes_nothing),
		unit(a_silent_kernel_is_an_error_not_a_wait),
		unit(a_missing_ack_is_an_error_and_what_was_added_is_found_and_deleted),
		unit(after_enobufs_what_was_added_is_asked_for_and_found),
		unit(after_enobufs_a_strangers_sa_is_recognised_and_kept),
		unit(after_enobufs_the_answers_that_arrived_still_count),
		unit(after_enobufs_a_missing_sa_fails_the_transaction),
		unit(after_enobufs_a_strangers_policy_is_recognised_and_kept),
		unit(after_enobufs_changes_and_deletions_are_sent_again),
		unit(a_roll_back_with_lost_answers_is_sent_again_one_by_one),
		unit(answers_with_a_wrong_sequence_number_are_no_answers),
		unit(answers_of_another_process_are_dropped),
		unit(a_forged_error_before_the_true_ack_changes_nothing),
		unit(a_late_answer_to_an_older_transaction_is_skipped),
		unit(a_truncated_answer_counts_as_lost),
		unit(short_and_garbled_messages_are_passed_over),
		unit(a_broken_socket_is_an_error_and_what_was_added_is_deleted),
		unit(words_without_an_end_are_not_copied),
		unit(words_are_found_behind_a_request_that_is_repeated_whole),
		unit(an_attribute_that_reaches_beyond_the_message_is_not_read),
		unit(long_words_are_cut),
		unit(counters_are_asked_without_keys),
		unit(a_question_about_nothing_is_answered_so),
		unit(a_question_does_not_disturb_what_is_queued),
		unit(the_answer_with_keys_is_wiped),
		unit(an_answer_with_keys_that_cannot_be_read_is_wiped_too),
		unit(keys_are_those_that_the_kernel_has),
		unit(keys_of_others_are_not_given),
		unit(zeros_of_a_kernel_that_is_locked_down_are_no_keys),
		unit(a_kernel_that_refuses_its_keys_is_heard),
		unit(a_policy_is_found_by_selector_with_its_index),
		unit(a_question_without_an_answer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
