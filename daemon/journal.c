/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The protocol is documented (systemd.io, Native Journal Protocol) and promised to stay: a datagram of
 * fields to one socket. Written here since it is less than what it takes to use libsystemd, which
 * would bring compression and more into a process that holds a capability.
 *
 * Each value is sent with its length before it, the form for values that may hold line feeds: what a
 * phone has put into one can then never become a field of its own, and nothing need be looked for.
 *
 * The socket is opened with the first entry and kept; each datagram is sent to the path, so a journal
 * that is started anew is found again. Large entries, which libsystemd passes in a file, there are not.
 */
#include "daemon/journal.h"
#include "daemon/log.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SOCKET_PATH "/run/systemd/journal/socket"
#define ENTRY_BYTES 8192
#define NAME_BYTES  64

struct entry {
	char bytes[ENTRY_BYTES];
	size_t n;
};

bool journal_has(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uint64_t device, inode;
	struct stat st;

	return stream && sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 &&
	       fstat(fd, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static void put(struct entry *entry, const void *bytes, size_t count)
{
	memcpy(entry->bytes + entry->n, bytes, count);
	entry->n += count;
}

static void put_field(struct entry *entry, const char *name, const char *value)
{
	const size_t name_n = strlen(name), value_n = strlen(value);
	const uint64_t length = htole64(value_n);

	if (name_n + value_n + sizeof(length) + 2 > sizeof(entry->bytes) - entry->n)
		return;
	put(entry, name, name_n);
	put(entry, "\n", 1);
	put(entry, &length, sizeof(length));
	put(entry, value, value_n);
	put(entry, "\n", 1);
}

/* Names are capital letters, digits and underscores. */
static void put_own_field(struct entry *entry, const struct log_field *field)
{
	char name[NAME_BYTES];
	const int n = snprintf(name, sizeof(name), "SECAGREED_%s", field->name);

	for (int i = 0; i < n && name[i]; i++)
		name[i] = (char)toupper((unsigned char)name[i]);
	put_field(entry, name, field->value);
}

static int send_entry(const struct entry *entry)
{
	static const struct sockaddr_un JOURNAL = { .sun_family = AF_UNIX, .sun_path = SOCKET_PATH };
	static int fd = -1;

	if (fd < 0)
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, entry->bytes, entry->n, MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&JOURNAL, sizeof(JOURNAL)) < 0)
		return -errno;
	return 0;
}

int journal_send(int level, const char *line, const struct log_field *fields, size_t count)
{
	const char priority[] = { (char)('0' + level), '\0' };
	struct entry entry;

	entry.n = 0;
	put_field(&entry, "PRIORITY", priority);
	put_field(&entry, "SYSLOG_IDENTIFIER", "secagreed");
	put_field(&entry, "MESSAGE", line);
	for (size_t i = 0; i < count; i++)
		put_own_field(&entry, &fields[i]);
	return send_entry(&entry);
}
