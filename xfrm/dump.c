/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of all SAs and policies of the namespace.
 *
 * Each dump sends one request and reads until NLMSG_DONE; the kernel prepares the next piece while
 * the last one is being read, so that reading never waits. The socket is its own, because a running
 * dump would mix with the answers of requests, and because a dump that was stopped in the middle
 * goes on: then the socket is closed and the next dump opens a new one. A dump of SAs can be taken a
 * piece at a time, and waits in the kernel between the calls.
 *
 * SAs come with their keys. They are not looked at, and the buffer is wiped after each piece.
 *
 * Deliberately absent: filters (the kernel has none by reqid), caching, a picture of one moment: an
 * SA that is added during the dump may be missing in it.
 */
#include "xfrm/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One kind of dump, and whom to tell. */
struct dump {
	uint16_t type;
	int (*read)(const struct nlmsghdr *nlh, const struct dump *dump);
	int (*each_sa)(const struct xfrm_dump_sa *sa, void *arg);
	int (*each_policy)(const struct xfrm_policy *policy, void *arg);
	void *arg;
};

static int read_sa(const struct nlmsghdr *nlh, const struct dump *dump)
{
	struct xfrm_dump_sa sa;
	int err = msg_read_sa(nlh, &sa);

	return err ? err : dump->each_sa(&sa, dump->arg);
}

static int read_policy(const struct nlmsghdr *nlh, const struct dump *dump)
{
	struct xfrm_userpolicy_info info;
	struct xfrm_policy policy;
	int err;

	if (nlh->nlmsg_type != XFRM_MSG_NEWPOLICY || msg_body(nlh, &info, sizeof(info)))
		return -EBADMSG;
	err = msg_read_policy(nlh, &info, sizeof(info), &policy);
	if (err == -EOPNOTSUPP)
		return 0;
	return err ? err : dump->each_policy(&policy, dump->arg);
}

/* A dump may fail at its end: the error is in NLMSG_DONE. */
static int read_done(const struct nlmsghdr *nlh)
{
	int err = 0;

	if (msg_body(nlh, &err, sizeof(err)))
		return -EBADMSG;
	return err < 0 ? err : 0;
}

static int read_error(const struct nlmsghdr *nlh)
{
	char words[2];
	int err = netlink_verdict(nlh, words, sizeof(words));

	return err ? err : -EBADMSG;
}

/* One piece. @ret_done: the dump is complete. */
static int read_piece(const struct dump *dump, uint32_t seq, const void *buf, size_t bytes,
		      bool *ret_done)
{
	const struct nlmsghdr *nlh;
	size_t offset = 0;

	while ((nlh = msg_walk(buf, bytes, &offset))) {
		int err = 0;

		if (nlh->nlmsg_seq != seq)
			continue;
		if (nlh->nlmsg_type == NLMSG_DONE) {
			*ret_done = true;
			return read_done(nlh);
		}
		if (nlh->nlmsg_type == NLMSG_ERROR)
			return read_error(nlh);
		/* Objects came or went in a way that may have hidden others. */
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		err = dump->read(nlh, dump);
		if (err)
			return err;
	}
	return 0;
}

static int send_request(struct netlink_port *port, uint16_t type, uint32_t *ret_seq)
{
	_Alignas(8) uint8_t buf[sizeof(struct nlmsghdr)];
	struct nlmsghdr *nlh = msg_start(buf, sizeof(buf), type, NLM_F_DUMP, "", 0);
	int err;

	netlink_stamp(port, nlh);
	err = netlink_send(port, nlh, nlh->nlmsg_len);
	if (!err)
		*ret_seq = nlh->nlmsg_seq;
	return err;
}

/* Receives one piece into @buf and wipes it. The queue must not run dry before the end. */
static int next_piece(struct xfrm *x, const struct dump *dump, uint32_t seq, void *buf,
		      bool *ret_done)
{
	size_t bytes = 0;
	int err = netlink_recv(&x->dump, buf, XFRM_ANSWER_BYTES, &bytes);

	if (!err)
		err = read_piece(dump, seq, buf, bytes, ret_done);
	explicit_bzero(buf, bytes);
	return err == -EAGAIN ? -EIO : err;
}

/* On a socket where no other dump is under way. */
static int begin(struct xfrm *x, const struct dump *dump, uint32_t *ret_seq)
{
	int err = 0;

	if (x->dump_seq)
		netlink_close(&x->dump);
	x->dump_seq = 0;
	if (x->dump.fd < 0)
		err = netlink_open(NETLINK_XFRM, &x->dump);
	return err ? err : send_request(&x->dump, dump->type, ret_seq);
}

static int dump_all(struct xfrm *x, const struct dump *dump)
{
	void *buf = malloc(XFRM_ANSWER_BYTES);
	bool done = false;
	uint32_t seq = 0;
	int err = buf ? begin(x, dump, &seq) : -ENOMEM;

	while (!err && !done)
		err = next_piece(x, dump, seq, buf, &done);
	if (err && buf)
		netlink_close(&x->dump);
	free(buf);
	return err;
}

int xfrm_dump_sas_piece(struct xfrm *x, int (*each)(const struct xfrm_dump_sa *sa, void *arg),
			void *arg, bool *ret_done)
{
	const struct dump dump = {
		.type = XFRM_MSG_GETSA, .read = read_sa, .each_sa = each, .arg = arg};
	void *buf = malloc(XFRM_ANSWER_BYTES);
	bool done = false;
	int err = buf ? 0 : -ENOMEM;

	if (!err && !x->dump_seq)
		err = begin(x, &dump, &x->dump_seq);
	if (!err)
		err = next_piece(x, &dump, x->dump_seq, buf, &done);
	if (err)
		netlink_close(&x->dump);
	if (err || done)
		x->dump_seq = 0;
	if (!err)
		*ret_done = done;
	free(buf);
	return err;
}

int xfrm_dump_sas(struct xfrm *x, int (*each)(const struct xfrm_dump_sa *sa, void *arg), void *arg)
{
	struct dump dump = {.type = XFRM_MSG_GETSA, .read = read_sa, .each_sa = each, .arg = arg};

	return dump_all(x, &dump);
}

int xfrm_dump_policies(struct xfrm *x, int (*each)(const struct xfrm_policy *policy, void *arg),
		       void *arg)
{
	struct dump dump = {
		.type = XFRM_MSG_GETPOLICY, .read = read_policy, .each_policy = each, .arg = arg};

	return dump_all(x, &dump);
}
