/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Netlink sockets: opening them with the options that we must have, sending a datagram, reading
 * what the kernel answered.
 *
 * The kernel works inside sendmsg(): when that returns, every answer is queued. So reading never
 * waits, and an empty queue where an answer should be is an error. A port is opened once and closed
 * with xfrm_close(); the sequence numbers start at 1 and skip 0, which is what events carry.
 *
 * libmnl builds and walks the messages; its socket functions are not used, because they hide the
 * sender's address and the truncation flag.
 *
 * Deliberately absent: waiting, retries, time-outs, a table of pending requests.
 */
#include "xfrm/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/random.h>
#include <sys/socket.h>

/* 64 answers with the kernel's words take about 100 KiB of receive buffer. */
#define REQUEST_BUFFER_BYTES 524288

/* How many datagrams that are not our answer may lie before it. */
#define STRAY_DATAGRAMS 1024

static int bind_port(int fd, uint32_t *ret_portid)
{
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	socklen_t n = sizeof(self);

	if (bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&self, &n) < 0)
		return -errno;
	*ret_portid = self.nl_pid;
	return 0;
}

int netlink_socket(int protocol, struct netlink_port *ret)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	uint32_t portid = 0;
	int err;

	if (fd < 0)
		return -errno;
	err = bind_port(fd, &portid);
	if (err) {
		close(fd);
		return err;
	}
	*ret = (struct netlink_port){.fd = fd, .portid = portid};
	return 0;
}

void netlink_set_buffer(int fd, int option, size_t bytes)
{
	int value = bytes > INT32_MAX ? INT32_MAX : (int)bytes;
	int force = option == SO_SNDBUF ? SO_SNDBUFFORCE : SO_RCVBUFFORCE;

	if (setsockopt(fd, SOL_SOCKET, force, &value, sizeof(value)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));
}

int netlink_open(int protocol, struct netlink_port *ret)
{
	struct netlink_port port = { .fd = -1 };
	int one = 1;
	int err = netlink_socket(protocol, &port);

	if (err)
		return err;
	/* Without CAP_ACK each error would bring the whole request back, keys and all. */
	if (setsockopt(port.fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one)) < 0 ||
	    setsockopt(port.fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one)) < 0) {
		close(port.fd);
		return -ENOPROTOOPT;
	}
	netlink_set_buffer(port.fd, SO_SNDBUF, REQUEST_BUFFER_BYTES);
	netlink_set_buffer(port.fd, SO_RCVBUF, REQUEST_BUFFER_BYTES);
	*ret = port;
	return 0;
}

void netlink_close(struct netlink_port *port)
{
	if (port->fd >= 0)
		close(port->fd);
	port->fd = -1;
}

void netlink_stamp(struct netlink_port *port, struct nlmsghdr *nlh)
{
	if (++port->seq == 0)
		port->seq = 1;
	nlh->nlmsg_seq = port->seq;
	nlh->nlmsg_pid = port->portid;
}

int netlink_send(const struct netlink_port *port, const void *buf, size_t bytes)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = bytes};
	struct msghdr msg = {
		.msg_name = &kernel,
		.msg_namelen = sizeof(kernel),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n;

	do
		n = sendmsg(port->fd, &msg, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == bytes ? 0 : -EIO;
}

int netlink_recv(const struct netlink_port *port, void *buf, size_t cap, size_t *ret_bytes)
{
	struct sockaddr_nl from = {0};
	struct iovec iov = {.iov_base = buf, .iov_len = cap};
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n = recvmsg(port->fd, &msg, MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	if (msg.msg_namelen != sizeof(from) || from.nl_pid != 0) {
		*ret_bytes = 0;
		return 0;
	}
	if (msg.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	*ret_bytes = (size_t)n;
	return 0;
}

/* The attributes of an error stand behind the request that it repeats, whole or only its header. */
static void copy_words(const struct nlmsghdr *nlh, const struct nlmsgerr *err, char *text,
		       size_t cap)
{
	size_t skip = sizeof(*err);
	const struct nlattr *attr;

	if (!(nlh->nlmsg_flags & NLM_F_CAPPED) && err->msg.nlmsg_len > NLMSG_HDRLEN)
		skip += msg_align(err->msg.nlmsg_len) - NLMSG_HDRLEN;
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	attr = msg_attr(nlh, skip, NLMSGERR_ATTR_MSG, 1);
	if (!attr || mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
		return;
	strncpy(text, mnl_attr_get_str(attr), cap - 1);
	text[cap - 1] = '\0';
}

int netlink_verdict(const struct nlmsghdr *nlh, char *text, size_t cap)
{
	struct nlmsgerr err;

	text[0] = '\0';
	if (nlh->nlmsg_type != NLMSG_ERROR || msg_body(nlh, &err, sizeof(err)))
		return -EBADMSG;
	if (err.error > 0 || err.error < -4095)
		return -EBADMSG;
	copy_words(nlh, &err, text, cap);
	return err.error;
}

static const struct nlmsghdr *find_seq(const void *buf, size_t bytes, uint32_t seq)
{
	const struct nlmsghdr *nlh;
	size_t offset = 0;

	do
		nlh = msg_walk(buf, bytes, &offset);
	while (nlh && nlh->nlmsg_seq != seq);
	return nlh;
}

static int read_answer(struct netlink_port *port, uint32_t seq, void *buf, size_t cap,
		       const struct nlmsghdr **ret)
{
	int missing = -EIO;

	for (int i = 0; i < STRAY_DATAGRAMS; i++) {
		const struct nlmsghdr *nlh;
		size_t bytes = 0;
		int err = netlink_recv(port, buf, cap, &bytes);

		if (err == -EAGAIN)
			return missing;
		if (err == -ENOBUFS || err == -EMSGSIZE)
			missing = err;
		else if (err)
			return err;
		nlh = find_seq(buf, bytes, seq);
		if (nlh) {
			*ret = nlh;
			return 0;
		}
	}
	return missing;
}

int netlink_ask(struct netlink_port *port, struct nlmsghdr *request, void *buf, size_t cap,
		const struct nlmsghdr **ret)
{
	const struct nlmsghdr *answer = NULL;
	char words[2];
	int err;

	netlink_stamp(port, request);
	err = netlink_send(port, request, request->nlmsg_len);
	if (!err)
		err = read_answer(port, request->nlmsg_seq, buf, cap, &answer);
	if (!err && answer->nlmsg_type == NLMSG_ERROR)
		err = netlink_verdict(answer, words, sizeof(words));
	if (!err)
		*ret = answer;
	return err;
}

int xfrm_open(struct xfrm **ret)
{
	struct xfrm *x = calloc(1, sizeof(*x));
	int err;

	if (!x)
		return -ENOMEM;
	x->dump.fd = -1;
	x->diag.fd = -1;
	err = getrandom(x->dummy, sizeof(x->dummy), 0) < 0 ? -errno : 0;
	if (!err)
		err = netlink_open(NETLINK_XFRM, &x->req);
	if (err) {
		free(x);
		return err;
	}
	*ret = x;
	return 0;
}

void xfrm_close(struct xfrm *x)
{
	if (!x)
		return;
	netlink_close(&x->req);
	netlink_close(&x->dump);
	netlink_close(&x->diag);
	explicit_bzero(x, sizeof(*x));
	free(x);
}
