/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl: the kernel's SAs and policies.
 *
 * Read through libnl, which shares no code with xfrm/ that wrote them, and which has words for
 * selectors that we never make. Nothing is asked for that would change anything.
 *
 * The kernel shows the keys of an SA to whoever may read it. So messages are received into one buffer
 * that is wiped before the next: libnl's own loop makes copies, and wipes none.
 */
#include <errno.h>
#include <fcntl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ctl/kernel_read.h"

#define BUFFER_BYTES 65536 /* a dump comes in parts of 32 KiB at most */

struct reader {
	int (*see)(struct nlmsghdr *header, const struct reader *reader);
	kernel_see_sa *sa;
	kernel_see_policy *policy;
	void *arg;
};

/* ---- messages ---- */

/* Returns 0 to go on, 1 at the end, or a negative error. */
static int see_all(unsigned char *buf, int n, const struct reader *reader)
{
	struct nlmsghdr *header = (struct nlmsghdr *)(void *)buf;
	int err = 0;

	for (; !err && nlmsg_ok(header, n); header = nlmsg_next(header, &n)) {
		const struct nlmsgerr *refused = nlmsg_data(header);

		if (header->nlmsg_type == NLMSG_DONE)
			return 1;
		if (header->nlmsg_type == NLMSG_ERROR)
			err = nlmsg_datalen(header) < (int)sizeof(*refused) ?
				      -NLE_MSG_TOOSHORT :
				      -nl_syserr2nlerr(refused->error);
		else
			err = reader->see(header, reader);
	}
	return err;
}

static int receive_all(struct nl_sock *sock, const struct reader *reader)
{
	int err = 0;

	while (!err) {
		unsigned char *buf = NULL;
		struct sockaddr_nl from;
		const int n = nl_recv(sock, &from, &buf, NULL);

		if (n <= 0)
			return n ? n : -NLE_FAILURE;
		err = see_all(buf, n, reader);
		explicit_bzero(buf, (size_t)n);
		free(buf);
	}
	return err < 0 ? err : 0;
}

static int dump(int what, const struct reader *reader)
{
	struct nl_sock *sock = nl_socket_alloc();
	int err;

	if (!sock)
		return -NLE_NOMEM;
	err = nl_connect(sock, NETLINK_XFRM);
	if (err >= 0)
		err = nl_socket_set_msg_buf_size(sock, BUFFER_BYTES);
	if (err >= 0)
		err = nl_send_simple(sock, what, NLM_F_DUMP, NULL, 0);
	if (err >= 0)
		err = receive_all(sock, reader);
	nl_socket_free(sock);
	return err;
}

/* ---- SAs ---- */

static int see_sa(struct nlmsghdr *header, const struct reader *reader)
{
	if (header->nlmsg_type != XFRM_MSG_NEWSA ||
	    nlmsg_datalen(header) < (int)sizeof(struct xfrm_usersa_info))
		return 0;
	return reader->sa(nlmsg_data(header),
			  nlmsg_find_attr(header, sizeof(struct xfrm_usersa_info), XFRMA_ENCAP),
			  reader->arg);
}

int kernel_read_sas(kernel_see_sa *see, void *arg)
{
	const struct reader reader = {.see = see_sa, .sa = see, .arg = arg};

	return dump(XFRM_MSG_GETSA, &reader);
}

/* ---- policies ---- */

static bool is_plain(struct nlattr *const *attrs, const struct xfrm_userpolicy_info *info)
{
	const struct xfrm_userpolicy_type *type = NULL;
	const struct xfrm_mark *mark = NULL;

	if (attrs[XFRMA_POLICY_TYPE])
		type = nla_data(attrs[XFRMA_POLICY_TYPE]);
	if (attrs[XFRMA_MARK])
		mark = nla_data(attrs[XFRMA_MARK]);
	return (info->dir == XFRM_POLICY_IN || info->dir == XFRM_POLICY_OUT) &&
	       (!type || type->type == XFRM_POLICY_TYPE_MAIN) && (!mark || !(mark->v & mark->m)) &&
	       (!attrs[XFRMA_IF_ID] || !nla_get_u32(attrs[XFRMA_IF_ID]));
}

static int see_policy(struct nlmsghdr *header, const struct reader *reader)
{
	static struct nla_policy sizes[XFRMA_MAX + 1] = {
		[XFRMA_TMPL] = {.minlen = sizeof(struct xfrm_user_tmpl)},
		[XFRMA_POLICY_TYPE] = {.minlen = sizeof(struct xfrm_userpolicy_type)},
		[XFRMA_MARK] = {.minlen = sizeof(struct xfrm_mark)},
		[XFRMA_IF_ID] = {.minlen = sizeof(uint32_t)},
	};
	struct nlattr *attrs[XFRMA_MAX + 1];
	struct xfrm_userpolicy_info info;

	if (header->nlmsg_type != XFRM_MSG_NEWPOLICY ||
	    nlmsg_parse(header, sizeof(info), attrs, XFRMA_MAX, sizes) < 0)
		return 0;
	memcpy(&info, nlmsg_data(header), sizeof(info));
	if (!is_plain(attrs, &info))
		return 0;
	return reader->policy(&info, attrs[XFRMA_TMPL] ? nla_data(attrs[XFRMA_TMPL]) : NULL,
			      reader->arg);
}

int kernel_read_policies(kernel_see_policy *see, void *arg)
{
	const struct reader reader = {.see = see_policy, .policy = see, .arg = arg};

	return dump(XFRM_MSG_GETPOLICY, &reader);
}

/* ---- namespaces ---- */

int kernel_enter_network(pid_t pid)
{
	struct stat own, its;
	char path[64];
	int err = 0, fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	if (stat("/proc/self/ns/net", &own) < 0 || stat(path, &its) < 0 ||
	    (own.st_dev == its.st_dev && own.st_ino == its.st_ino))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (setns(fd, CLONE_NEWNET) < 0)
		err = -errno;
	close(fd);
	return err;
}
