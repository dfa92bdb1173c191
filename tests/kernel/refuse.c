/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loaded into the daemon (LD_PRELOAD) this makes one thing fail, once: the Nth message to the
 * kernel's XFRM, the answers to the Nth datagram of them, the Nth step of a change of the store, the
 * Nth new connection. What is to fail stands in the file that $SECAGREE_REFUSE names, which the test
 * and the daemon map; refuse.py has the same words.
 *
 * The kernel never sees a message that is refused: it becomes one that the kernel passes over, and
 * the answer is made here. What else is in its datagram is done.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#pragma GCC visibility push(default) /* of the names that it stands in for */

enum what {
	REFUSE_NOTHING,
	REFUSE_MESSAGE,
	REFUSE_ANSWERS, /* they are lost */
	REFUSE_WRITE,
	REFUSE_CONNECTION,
};

struct order {
	int32_t what, nth, error;
	int32_t seen; /* so many have passed since it was given; the Nth is the last that counts */
};

static struct order *order;

/* The answer that waits to be read. */
static struct {
	int fd; /* -1: none */
	uint32_t seq;
	int error; /* 0: the answers are lost */
} pending = { .fd = -1 };

static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);
static ssize_t (*real_recvmsg)(int, struct msghdr *, int);
static int (*real_fallocate)(int, off_t, off_t);
static int (*real_put)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *, unsigned);
static int (*real_del)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *);
static int (*real_commit)(MDB_txn *);
static void (*real_abort)(MDB_txn *);
static int (*real_accept4)(int, struct sockaddr *, socklen_t *, int);

static void *next(const char *name)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	if (!symbol)
		_exit(127);
	return symbol;
}

__attribute__((constructor)) static void load(void)
{
	const char *path = getenv("SECAGREE_REFUSE");
	const int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at = fd < 0 ? MAP_FAILED
			  : mmap(NULL, sizeof(*order), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	order = at == MAP_FAILED ? NULL : at;
	real_sendmsg = next("sendmsg");
	real_recvmsg = next("recvmsg");
	real_fallocate = next("posix_fallocate");
	real_put = next("mdb_put");
	real_del = next("mdb_del");
	real_commit = next("mdb_txn_commit");
	real_abort = next("mdb_txn_abort");
	real_accept4 = next("accept4");
}

/* Is it this one's turn? */
static bool refuses(enum what what)
{
	return order && order->what == (int32_t)what && ++order->seen == order->nth;
}

static bool is_xfrm(int fd)
{
	int domain = 0, protocol = 0;
	socklen_t bytes = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) == 0 &&
	       domain == AF_NETLINK &&
	       getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &bytes) == 0 &&
	       protocol == NETLINK_XFRM;
}

/* The message whose turn it is, or NULL. */
static struct nlmsghdr *victim(const struct msghdr *msg)
{
	struct nlmsghdr *nlh = msg->msg_iov[0].iov_base, *found = NULL;
	size_t left = msg->msg_iov[0].iov_len;

	while (NLMSG_OK(nlh, left)) {
		if (refuses(REFUSE_MESSAGE))
			found = nlh;
		nlh = NLMSG_NEXT(nlh, left);
	}
	return found;
}

static ssize_t send_without(int fd, const struct msghdr *msg, int flags, struct nlmsghdr *nlh)
{
	const struct nlmsghdr kept = *nlh;
	ssize_t n;

	pending.fd = fd;
	pending.seq = nlh->nlmsg_seq;
	pending.error = order->error;
	nlh->nlmsg_type = NLMSG_NOOP;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	n = real_sendmsg(fd, msg, flags);
	*nlh = kept;
	return n;
}

static ssize_t send_and_lose(int fd, const struct msghdr *msg, int flags)
{
	static char scratch[65536];
	const ssize_t n = real_sendmsg(fd, msg, flags);

	while (recv(fd, scratch, sizeof(scratch), MSG_DONTWAIT) > 0)
		;
	explicit_bzero(scratch, sizeof(scratch));
	pending.fd = fd;
	pending.error = 0;
	return n;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct nlmsghdr *nlh;

	if (!is_xfrm(fd))
		return real_sendmsg(fd, msg, flags);
	nlh = victim(msg);
	if (nlh)
		return send_without(fd, msg, flags, nlh);
	if (refuses(REFUSE_ANSWERS))
		return send_and_lose(fd, msg, flags);
	return real_sendmsg(fd, msg, flags);
}

static ssize_t give_answer(struct msghdr *msg)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} answer = {
		.header = { .nlmsg_len = sizeof(answer), .nlmsg_type = NLMSG_ERROR,
			    .nlmsg_flags = NLM_F_CAPPED, .nlmsg_seq = pending.seq },
		.error = { .error = -pending.error },
	};
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	memcpy(msg->msg_iov[0].iov_base, &answer, sizeof(answer));
	if (msg->msg_name)
		memcpy(msg->msg_name, &kernel, sizeof(kernel));
	msg->msg_namelen = sizeof(kernel);
	msg->msg_flags = 0;
	return sizeof(answer);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	if (fd != pending.fd)
		return real_recvmsg(fd, msg, flags);
	pending.fd = -1;
	if (pending.error)
		return give_answer(msg);
	errno = ENOBUFS;
	return -1;
}

/* The store writes where it maps its file: what can fail is taking room, a change, the commit. */
int posix_fallocate(int fd, off_t at, off_t n)
{
	return refuses(REFUSE_WRITE) ? order->error : real_fallocate(fd, at, n);
}

int mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags)
{
	return refuses(REFUSE_WRITE) ? order->error : real_put(txn, dbi, key, data, flags);
}

int mdb_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
	return refuses(REFUSE_WRITE) ? order->error : real_del(txn, dbi, key, data);
}

int mdb_txn_commit(MDB_txn *txn)
{
	if (!refuses(REFUSE_WRITE))
		return real_commit(txn);
	real_abort(txn); /* a commit that fails has freed it, too */
	return order->error;
}

int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags)
{
	if (!refuses(REFUSE_CONNECTION))
		return real_accept4(fd, address, bytes, flags);
	errno = order->error;
	return -1;
}
