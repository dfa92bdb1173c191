/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's side of fake_kernel.h.
 *
 * Answers are queued while sendmsg() runs, as the real kernel does: a message that fails is always
 * answered, one that succeeds only when it asked for an ACK.
 */
#include "tests/unit/fake_kernel.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct fake_kernel fake;

int __wrap_socket(int domain, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t n);
int __wrap_getsockname(int fd, struct sockaddr *addr, socklen_t *n);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t n);
int __wrap_close(int fd);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);

void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.keep_answers = -1;
}

int __wrap_socket(int domain, int type, int protocol)
{
	assert(domain == AF_NETLINK && (type & SOCK_CLOEXEC) && (type & SOCK_NONBLOCK));
	(void)protocol;
	if (fake.socket_error) {
		errno = fake.socket_error;
		return -1;
	}
	return FAKE_FD + fake.open_sockets++;
}

int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t n)
{
	assert(fd >= FAKE_FD && n == sizeof(struct sockaddr_nl));
	(void)addr;
	return 0;
}

int __wrap_getsockname(int fd, struct sockaddr *addr, socklen_t *n)
{
	struct sockaddr_nl self = {.nl_family = AF_NETLINK, .nl_pid = FAKE_PORTID};

	assert(fd >= FAKE_FD && *n == sizeof(self));
	memcpy(addr, &self, sizeof(self));
	return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t n)
{
	int number;

	assert(fd >= FAKE_FD && n == sizeof(number));
	memcpy(&number, value, sizeof(number));
	if (level == SOL_NETLINK && name == fake.option_error) {
		errno = ENOPROTOOPT;
		return -1;
	}
	if (level == SOL_SOCKET && name == SO_RCVBUFFORCE)
		fake.rcvbuf_forced = number;
	if (level == SOL_NETLINK && name == NETLINK_ADD_MEMBERSHIP)
		fake.groups |= UINT64_C(1) << number;
	else if (level == SOL_NETLINK && number)
		fake.options |= UINT64_C(1) << name;
	return 0;
}

int __wrap_close(int fd)
{
	assert(fd >= FAKE_FD);
	fake.open_sockets--;
	return 0;
}

static struct fake_answer *next_answer(void)
{
	assert(fake.queue_tail < sizeof(fake.queue) / sizeof(fake.queue[0]));
	return &fake.queue[fake.queue_tail++];
}

void fake_push(const void *data, size_t bytes)
{
	struct fake_answer *answer = next_answer();

	*answer = (struct fake_answer){.bytes = bytes};
	memcpy(answer->data, data, bytes);
	if (fake.alter)
		fake.alter(answer);
}

void fake_push_error(int error)
{
	*next_answer() = (struct fake_answer){.error = error};
}

void fake_push_verdict(uint32_t seq, int error, const char *text)
{
	_Alignas(8) uint8_t buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nlmsgerr *err = mnl_nlmsg_put_extra_header(nlh, sizeof(*err));

	nlh->nlmsg_type = NLMSG_ERROR;
	nlh->nlmsg_flags = NLM_F_CAPPED;
	nlh->nlmsg_seq = seq;
	nlh->nlmsg_pid = FAKE_PORTID;
	err->error = error;
	if (text) {
		nlh->nlmsg_flags |= NLM_F_ACK_TLVS;
		mnl_attr_put_strz(nlh, NLMSGERR_ATTR_MSG, text);
	}
	fake_push(buf, nlh->nlmsg_len);
}

static uint64_t now_s(void)
{
	return fake.now_s ? fake.now_s : (uint64_t)time(NULL);
}

static size_t find_sa(const xfrm_address_t *daddr, uint32_t spi_be, uint8_t proto)
{
	size_t i;

	for (i = 0; i < fake.sas_n; i++)
		if (fake.sas[i].id.spi == spi_be && fake.sas[i].id.proto == proto &&
		    !memcmp(&fake.sas[i].id.daddr, daddr, sizeof(*daddr)))
			break;
	return i;
}

bool fake_has_sa(uint32_t spi)
{
	for (size_t i = 0; i < fake.sas_n; i++)
		if (fake.sas[i].id.spi == htonl(spi))
			return true;
	return false;
}

static void keep_algorithms(const struct nlmsghdr *nlh, struct fake_algorithms *ret)
{
	const size_t before = sizeof(struct xfrm_usersa_info);

	ret->bytes = mnl_nlmsg_get_payload_len(nlh) - before;
	assert(ret->bytes <= sizeof(ret->data));
	memcpy(ret->data, (const uint8_t *)mnl_nlmsg_get_payload(nlh) + before, ret->bytes);
}

/* As the kernel: whole, or with zeros for keys when it is locked down. */
static void show_algorithms(struct nlmsghdr *nlh, const struct fake_algorithms *a)
{
	const struct nlattr *end = (const void *)(a->data + a->bytes);

	for (const struct nlattr *attr = (const void *)a->data; attr < end;
	     attr = mnl_attr_next(attr)) {
		const size_t bytes = mnl_attr_get_payload_len(attr);
		const size_t head = mnl_attr_get_type(attr) == XFRMA_ALG_CRYPT
					    ? sizeof(struct xfrm_algo)
					    : sizeof(struct xfrm_algo_auth);
		uint8_t payload[1024];

		memcpy(payload, mnl_attr_get_payload(attr), bytes);
		if (fake.locked_down && bytes > head)
			memset(payload + head, 0, bytes - head);
		mnl_attr_put(nlh, mnl_attr_get_type(attr), bytes, payload);
	}
}

static int add_sa(const struct nlmsghdr *nlh)
{
	struct xfrm_usersa_info info;

	memcpy(&info, mnl_nlmsg_get_payload(nlh), sizeof(info));
	if (find_sa(&info.id.daddr, info.id.spi, info.id.proto) < fake.sas_n)
		return -EEXIST;
	info.curlft.add_time = now_s();
	keep_algorithms(nlh, &fake.algorithms[fake.sas_n]);
	fake.sas[fake.sas_n++] = info;
	return 0;
}

static int change_sa(const struct nlmsghdr *nlh)
{
	struct xfrm_usersa_info info;
	size_t i;

	memcpy(&info, mnl_nlmsg_get_payload(nlh), sizeof(info));
	i = find_sa(&info.id.daddr, info.id.spi, info.id.proto);
	if (i == fake.sas_n)
		return -ESRCH;
	fake.sas[i].lft = info.lft;
	return 0;
}

static int delete_sa(const struct nlmsghdr *nlh)
{
	const struct xfrm_usersa_id *id = mnl_nlmsg_get_payload(nlh);
	size_t i = find_sa(&id->daddr, id->spi, id->proto);

	if (i == fake.sas_n)
		return -ESRCH;
	fake.sas[i] = fake.sas[--fake.sas_n];
	fake.algorithms[i] = fake.algorithms[fake.sas_n];
	return 0;
}

static int get_counters(const struct nlmsghdr *request)
{
	const struct xfrm_aevent_id *asked = mnl_nlmsg_get_payload(request);
	size_t i = find_sa(&asked->sa_id.daddr, asked->sa_id.spi, asked->sa_id.proto);
	_Alignas(8) uint8_t buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct xfrm_aevent_id *id;

	if (i == fake.sas_n)
		return -ESRCH;
	id = mnl_nlmsg_put_extra_header(nlh, sizeof(*id));
	nlh->nlmsg_type = XFRM_MSG_NEWAE;
	nlh->nlmsg_seq = request->nlmsg_seq;
	id->sa_id = asked->sa_id;
	id->saddr = fake.sas[i].saddr;
	id->reqid = fake.sas[i].reqid;
	mnl_attr_put(nlh, XFRMA_LTIME_VAL, sizeof(fake.sas[i].curlft), &fake.sas[i].curlft);
	fake_push(buf, nlh->nlmsg_len);
	return 1;
}

static int get_sa(const struct nlmsghdr *request)
{
	static const uint8_t key[20] = "the kernel's own key";
	const struct xfrm_usersa_id *asked = mnl_nlmsg_get_payload(request);
	size_t i = find_sa(&asked->daddr, asked->spi, asked->proto);
	_Alignas(8) uint8_t buf[2048];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	if (i == fake.sas_n)
		return -ESRCH;
	memcpy(mnl_nlmsg_put_extra_header(nlh, sizeof(fake.sas[i])), &fake.sas[i],
	       sizeof(fake.sas[i]));
	nlh->nlmsg_type = XFRM_MSG_NEWSA;
	nlh->nlmsg_seq = request->nlmsg_seq;
	mnl_attr_put(nlh, XFRMA_ALG_AUTH, sizeof(key), key);
	show_algorithms(nlh, &fake.algorithms[i]);
	fake_push(buf, nlh->nlmsg_len);
	return 1;
}

static size_t find_policy(const struct xfrm_userpolicy_id *id)
{
	size_t i;

	for (i = 0; i < fake.policies_n; i++) {
		const struct xfrm_userpolicy_info *info = &fake.policies[i].info;

		if (info->dir != id->dir)
			continue;
		if (id->index ? info->index == id->index
			      : !memcmp(&info->sel, &id->sel, sizeof(id->sel)))
			break;
	}
	return i;
}

static int add_policy(const struct nlmsghdr *nlh)
{
	struct fake_policy p;
	struct xfrm_userpolicy_id id = {0};

	memcpy(&p.info, mnl_nlmsg_get_payload(nlh), sizeof(p.info));
	memcpy(&p.tmpl, (const uint8_t *)mnl_nlmsg_get_payload(nlh) + sizeof(p.info) + 4,
	       sizeof(p.tmpl));
	id.sel = p.info.sel;
	id.dir = p.info.dir;
	if (find_policy(&id) < fake.policies_n)
		return -EEXIST;
	p.info.curlft.add_time = now_s();
	p.info.index = (uint32_t)(fake.messages * 8 + p.info.dir);
	fake.policies[fake.policies_n++] = p;
	return 0;
}

static int delete_policy(const struct nlmsghdr *nlh)
{
	size_t i = find_policy(mnl_nlmsg_get_payload(nlh));

	if (i == fake.policies_n)
		return -ENOENT;
	fake.policies[i] = fake.policies[--fake.policies_n];
	return 0;
}

static int get_policy(const struct nlmsghdr *request)
{
	size_t i = find_policy(mnl_nlmsg_get_payload(request));
	_Alignas(8) uint8_t buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	if (i == fake.policies_n)
		return -ENOENT;
	nlh->nlmsg_type = XFRM_MSG_NEWPOLICY;
	nlh->nlmsg_seq = request->nlmsg_seq;
	memcpy(mnl_nlmsg_put_extra_header(nlh, sizeof(fake.policies[i].info)),
	       &fake.policies[i].info, sizeof(fake.policies[i].info));
	mnl_attr_put(nlh, XFRMA_TMPL, sizeof(fake.policies[i].tmpl), &fake.policies[i].tmpl);
	fake_push(buf, nlh->nlmsg_len);
	return 1;
}

/* 0, negative errno, or 1: answered with a message of its own. */
static int work(const struct nlmsghdr *nlh)
{
	switch (nlh->nlmsg_type) {
	case XFRM_MSG_NEWSA:
		return add_sa(nlh);
	case XFRM_MSG_UPDSA:
		return change_sa(nlh);
	case XFRM_MSG_DELSA:
		return delete_sa(nlh);
	case XFRM_MSG_GETSA:
		return get_sa(nlh);
	case XFRM_MSG_GETAE:
		return get_counters(nlh);
	case XFRM_MSG_NEWPOLICY:
		return add_policy(nlh);
	case XFRM_MSG_DELPOLICY:
		return delete_policy(nlh);
	case XFRM_MSG_GETPOLICY:
		return get_policy(nlh);
	}
	return -EINVAL;
}

static void receive_message(const struct nlmsghdr *nlh)
{
	const char *text = NULL;
	int err;

	fake.messages++;
	assert(nlh->nlmsg_seq != 0 && nlh->nlmsg_pid == FAKE_PORTID);
	assert(nlh->nlmsg_flags & NLM_F_REQUEST);
	if (fake.messages == fake.refuse_nth || nlh->nlmsg_type == fake.refuse_type) {
		err = -fake.refuse_error;
		text = fake.refuse_text;
	} else {
		err = work(nlh);
	}
	if (err < 0 || (!err && (nlh->nlmsg_flags & NLM_F_ACK)))
		fake_push_verdict(nlh->nlmsg_seq, err, text);
}

/* The receive buffer is full: what follows is dropped, and the reader is told first. */
static void lose_answers(size_t first)
{
	size_t n = fake.queue_tail - first, keep = (size_t)fake.keep_answers;

	if (fake.keep_answers < 0 || n <= keep)
		return;
	fake.queue_tail = first + keep;
	fake_push_error(0);
	memmove(&fake.queue[first + 1], &fake.queue[first], keep * sizeof(fake.queue[0]));
	fake.queue[first] = (struct fake_answer){.error = ENOBUFS};
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct fake_datagram *d = &fake.sent[fake.sent_n];
	const struct sockaddr_nl *to = msg->msg_name;
	size_t first = fake.queue_tail;

	assert(fd >= FAKE_FD && !flags && to->nl_pid == 0 && msg->msg_iovlen == 1);
	if (fake.send_error) {
		errno = fake.send_error;
		return -1;
	}
	assert(fake.sent_n < FAKE_DATAGRAMS && msg->msg_iov[0].iov_len <= sizeof(d->data));
	d->bytes = msg->msg_iov[0].iov_len;
	memcpy(d->data, msg->msg_iov[0].iov_base, d->bytes);
	fake.sent_n++;
	for (size_t i = 0; i < fake_count(fake.sent_n - 1); i++)
		receive_message(fake_message(fake.sent_n - 1, i));
	if (fake.silent)
		fake.queue_tail = first;
	lose_answers(first);
	return (ssize_t)d->bytes;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct sockaddr_nl from = {.nl_family = AF_NETLINK};
	const struct fake_answer *answer;
	size_t cap = msg->msg_iov[0].iov_len, n;

	assert(fd >= FAKE_FD && (flags & MSG_DONTWAIT));
	if (fake.queue_head == fake.queue_tail) {
		errno = EAGAIN;
		return -1;
	}
	answer = &fake.queue[fake.queue_head++];
	if (answer->error) {
		errno = answer->error;
		return -1;
	}
	from.nl_pid = answer->sender;
	memcpy(msg->msg_name, &from, sizeof(from));
	msg->msg_namelen = sizeof(from);
	n = answer->bytes < cap ? answer->bytes : cap;
	memcpy(msg->msg_iov[0].iov_base, answer->data, n);
	msg->msg_flags = answer->truncated ? MSG_TRUNC : 0;
	return (ssize_t)n;
}

size_t fake_count(size_t datagram)
{
	const struct nlmsghdr *nlh = (const void *)fake.sent[datagram].data;
	int left = (int)fake.sent[datagram].bytes;
	size_t n = 0;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
		n++;
	return n;
}

const struct nlmsghdr *fake_message(size_t datagram, size_t message)
{
	const struct nlmsghdr *nlh = (const void *)fake.sent[datagram].data;
	int left = (int)fake.sent[datagram].bytes;

	while (message--)
		nlh = mnl_nlmsg_next(nlh, &left);
	return nlh;
}
