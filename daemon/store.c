/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An LMDB file in a directory that lives as long as the kernel (tmpfs). Nothing is synchronized to
 * a disk: what a process that was killed has committed is in the kernel's page cache, and when the
 * kernel is gone, so are the SAs that the records are about.
 *
 * A change of a set happens in the moment of its commit here. What the kernel must have for it to
 * be true (new SAs, longer limits) it has before that moment; what goes (SAs, shorter limits) goes
 * after it. So wherever the daemon is killed, the kernel has at least what the records promise,
 * and never less; the start after it (restore.c) takes out the rest, by records that it has not
 * (orphans) and by limits that are not theirs. A caller that got no answer asks again and finds
 * either nothing done or all of it.
 *
 * Pages are written where they are mapped, so that a commit is no system call at all. A page for which
 * the file system has no room any more would then be the end of us: room is taken beforehand.
 *
 * So no record is ever "half done", and there is no journal. Listeners are written before their
 * guards are installed and forgotten after these have gone, since nobody else would remember them.
 *
 * Times are of the monotonic clock, which goes on while the daemon is away and starts anew with the
 * machine: records of another boot are forgotten, as the kernel has forgotten the SAs.
 */
#include "daemon/store.h"
#include "daemon/event.h"
#include "daemon/set_record.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME  "sets.mdb"
#define ASIDE_NAME "sets.damaged"
#define PATH_BYTES 256

/* One process, which locks the directory, with one transaction at a time: LMDB's own locks are not
 * needed. */
#define FLAGS (MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOLOCK | MDB_NOTLS | MDB_WRITEMAP)

/* Address space, not memory: a record of a phone that offers a lot takes the half of a page. */
#define MAP_BYTES_PER_SET 8192
#define MAP_BYTES_MIN     (16u << 20)

/* What a transaction may need that is not in the file yet: for itself (its roots, the list of free
 * pages), and for each change beside the record (a leaf, what it is split into, and those above). */
#define PAGES_PER_COMMIT 32
#define PAGES_PER_CHANGE 8
#define ROOM_STEP_BYTES  (64u << 10)

/* The first byte of a key. */
enum kind {
	KIND_ABOUT = 'a',
	KIND_LISTENER = 'l', /* the rest of the key is the record */
	KIND_SET = 's',      /* the serial; they are the last in the file */
};

#define MAX_KEY_BYTES (1 + LISTENER_RECORD_MAX_BYTES)

struct store {
	int dir_fd;
	char path[PATH_BYTES];
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *txn; /* NULL: nothing to commit */
	int err;      /* of what is to be committed */
	uint64_t growth_bytes;    /* what the transaction may need beyond it */
	uint64_t room_bytes;      /* of the file that the file system has given us */
	uint64_t last_serial;     /* of the sets that were put */
};

/* The one record of KIND_ABOUT: bytes alone. */
struct about {
	uint8_t version;
	uint8_t boot[36]; /* /proc/sys/kernel/random/boot_id */
	uint8_t hash_key[HASH_KEY_BYTES];
};

/* LMDB's own errors are negative and known to nobody else. */
static int errno_of(int lmdb)
{
	if (lmdb == MDB_MAP_FULL)
		return -ENOSPC;
	return lmdb < 0 ? -EIO : -lmdb;
}

/* ---- keys ---- */

/* @count is that of a serial, or of a listener's record: it fits into @buf, which holds MAX_KEY_BYTES. */
static MDB_val key_of(enum kind kind, const void *bytes, size_t count, uint8_t *buf)
{
	buf[0] = (uint8_t)kind;
	if (count)
		memcpy(buf + 1, bytes, count);
	return (MDB_val){ .mv_size = 1 + count, .mv_data = buf };
}

static MDB_val set_key(uint64_t serial, uint8_t *buf)
{
	uint8_t be[8];

	for (size_t i = 0; i < sizeof(be); i++)
		be[i] = (uint8_t)(serial >> (8 * (7 - i)));
	return key_of(KIND_SET, be, sizeof(be), buf);
}

static uint64_t serial_of(const MDB_val *key)
{
	const uint8_t *at = key->mv_data;
	uint64_t serial = 0;

	for (size_t i = 1; i <= 8; i++)
		serial = serial << 8 | at[i];
	return serial;
}

/* ---- transactions ---- */

/* Room for @bytes of the file. Returns 0 or an errno. */
static int take_room(struct store *s, uint64_t bytes)
{
	mdb_filehandle_t fd;
	int err;

	if (bytes <= s->room_bytes)
		return 0;
	if (mdb_env_get_fd(s->env, &fd))
		return EIO;
	err = posix_fallocate(fd, (off_t)s->room_bytes, (off_t)(bytes - s->room_bytes));
	if (!err)
		s->room_bytes = bytes;
	return err;
}

/* Room for @pages more. What is beyond the map LMDB refuses itself. */
static int grow(struct store *s, uint64_t pages)
{
	MDB_envinfo info;
	uint64_t bytes;
	MDB_stat stat;

	if (mdb_env_info(s->env, &info) || mdb_env_stat(s->env, &stat))
		return EIO;
	s->growth_bytes += pages * stat.ms_psize;
	bytes = (info.me_last_pgno + 1) * stat.ms_psize + s->growth_bytes;
	if (bytes > info.me_mapsize)
		bytes = info.me_mapsize;
	if (bytes + ROOM_STEP_BYTES <= info.me_mapsize && bytes > s->room_bytes &&
	    !take_room(s, bytes + ROOM_STEP_BYTES))
		return 0;
	return take_room(s, bytes);
}

static bool begin(struct store *s)
{
	if (!s)
		return false;
	if (!s->txn && !s->err) {
		s->growth_bytes = 0;
		s->err = grow(s, PAGES_PER_COMMIT);
		if (!s->err)
			s->err = mdb_txn_begin(s->env, NULL, 0, &s->txn);
		if (s->err)
			s->txn = NULL;
	}
	return !s->err;
}

/* For one change more, with a record of @bytes. */
static bool begin_change(struct store *s, size_t bytes)
{
	if (begin(s))
		s->err = grow(s, PAGES_PER_CHANGE + bytes / 4096);
	return s && !s->err;
}

int store_commit(struct store *s)
{
	int err;

	if (!s)
		return 0;
	err = s->err;
	if (s->txn && !err)
		err = mdb_txn_commit(s->txn);
	else if (s->txn)
		mdb_txn_abort(s->txn);
	s->txn = NULL;
	s->err = 0;
	if (!err)
		return 0;
	event_emit(EVENT_STORE_FAILED, event_errno(errno_of(err)),
		   event_text("why", mdb_strerror(err)));
	return errno_of(err);
}

/* One that is put behind all others fills the page that they leave; else LMDB would halve the pages, and
 * a record of a phone that offers a lot would have one for itself. */
static int reserve(struct store *s, uint64_t serial, MDB_val *value)
{
	uint8_t buf[MAX_KEY_BYTES];
	MDB_val key = set_key(serial, buf);
	int err = MDB_KEYEXIST;

	if (serial > s->last_serial)
		err = mdb_put(s->txn, s->dbi, &key, value, MDB_RESERVE | MDB_APPEND);
	if (err == MDB_KEYEXIST) /* there is a later one, as there may be from before a restart */
		err = mdb_put(s->txn, s->dbi, &key, value, MDB_RESERVE);
	if (!err && serial > s->last_serial)
		s->last_serial = serial;
	return err;
}

void store_put(struct store *s, const struct sa_set *set)
{
	uint8_t listener[LISTENER_RECORD_MAX_BYTES];
	struct span record = { (const char *)listener, 0 };
	MDB_val value;

	if (!s)
		return;
	record.n = listener_record_write(set->listener, listener);
	value.mv_size = set_record_bytes(set, record);
	if (!begin_change(s, value.mv_size))
		return;
	s->err = reserve(s, set->serial, &value);
	if (!s->err)
		set_record_write(set, record, value.mv_data);
}

static void forget(struct store *s, MDB_val *key)
{
	int err = mdb_del(s->txn, s->dbi, key, NULL);

	s->err = err == MDB_NOTFOUND ? 0 : err;
}

void store_forget(struct store *s, const struct sa_set *set)
{
	uint8_t buf[MAX_KEY_BYTES];
	MDB_val key = set_key(set->serial, buf);

	if (begin_change(s, 0))
		forget(s, &key);
}

void store_put_listener(struct store *s, struct span record)
{
	uint8_t buf[MAX_KEY_BYTES];
	MDB_val key = key_of(KIND_LISTENER, record.p, record.n, buf), value = { .mv_size = 0 };

	if (begin_change(s, 0))
		s->err = mdb_put(s->txn, s->dbi, &key, &value, 0);
}

void store_forget_listener(struct store *s, struct span record)
{
	uint8_t buf[MAX_KEY_BYTES];
	MDB_val key = key_of(KIND_LISTENER, record.p, record.n, buf);

	if (begin_change(s, 0))
		forget(s, &key);
}

/* ---- reading ---- */

/* Returns 0, or nonzero: this one goes. */
static int give(const struct store_reader *reader, const MDB_val *key, const MDB_val *value)
{
	const uint8_t *at = key->mv_data;
	const struct span text = { (const char *)at + 1, key->mv_size - 1 };

	switch (at[0]) {
	case KIND_ABOUT:
		return 0;
	case KIND_LISTENER:
		return reader->listener ? reader->listener(text, reader->arg) : 0;
	case KIND_SET:
		if (key->mv_size != 9)
			return -EINVAL;
		return reader->set ? reader->set(serial_of(key), (struct span){ value->mv_data,
						 value->mv_size }, reader->arg)
				   : 0;
	}
	return -EINVAL;
}

/* For changes all over it. */
static bool grow_for_all(struct store *s)
{
	MDB_envinfo info;

	s->err = mdb_env_info(s->env, &info);
	if (!s->err)
		s->err = grow(s, info.me_last_pgno);
	return !s->err;
}

/* One more goes of those that are read. @pages: what no deletion was given room for yet. */
static int delete_at(struct store *s, MDB_cursor *cursor, uint64_t *pages)
{
	const uint64_t more = *pages < PAGES_PER_CHANGE ? *pages : PAGES_PER_CHANGE;
	const int err = grow(s, more);

	*pages -= more;
	return err ? err : mdb_cursor_del(cursor, 0);
}

int store_read(struct store *s, const struct store_reader *reader)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	MDB_envinfo info;
	uint64_t pages;
	int err;

	if (!begin(s))
		return s ? store_commit(s) : 0;
	err = mdb_env_info(s->env, &info);
	if (!err)
		err = mdb_cursor_open(s->txn, s->dbi, &cursor);
	if (err) {
		s->err = err;
		return store_commit(s);
	}
	/* each is changed once at most, and then stands in the list of free ones with 8 bytes */
	pages = info.me_last_pgno + info.me_last_pgno / 256;
	for (err = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); !err;
	     err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		if (give(reader, &key, &value) == 0)
			continue;
		err = delete_at(s, cursor, &pages);
		if (err)
			break;
	}
	mdb_cursor_close(cursor);
	s->err = err == MDB_NOTFOUND ? 0 : err;
	return store_commit(s);
}

/* ---- opening ---- */

/* Without it nothing is kept beyond this boot. */
static void read_boot(char ret[static 36])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	memset(ret, '?', 36);
	if (!file)
		return;
	if (fread(ret, 1, 36, file) != 36)
		memset(ret, '?', 36);
	fclose(file);
}

static int write_about(struct store *s, MDB_val *key, const char *boot)
{
	struct about about = { .version = SET_RECORD_VERSION };
	MDB_val value = { sizeof(about), &about };

	memcpy(about.boot, boot, sizeof(about.boot));
	hash_key(about.hash_key);
	if (grow_for_all(s))
		s->err = mdb_drop(s->txn, s->dbi, 0);
	if (!s->err)
		s->err = mdb_put(s->txn, s->dbi, key, &value, 0);
	return store_commit(s);
}

/* Is what is in the file of this boot and in this format? Else it is emptied. */
static int read_about(struct store *s)
{
	uint8_t buf[MAX_KEY_BYTES];
	MDB_val key = key_of(KIND_ABOUT, NULL, 0, buf), value;
	const struct about *about;
	const char *why = NULL;
	char boot[36];
	int err;

	read_boot(boot);
	if (!begin(s))
		return store_commit(s);
	err = mdb_get(s->txn, s->dbi, &key, &value);
	if (err == MDB_NOTFOUND)
		return write_about(s, &key, boot);
	if (err) {
		s->err = err;
		return store_commit(s);
	}
	about = value.mv_data;
	if (value.mv_size != sizeof(*about) || about->version != SET_RECORD_VERSION)
		why = "version";
	else if (boot[0] == '?' || memcmp(about->boot, boot, sizeof(boot)) != 0)
		why = "boot";
	if (!why) {
		hash_use_key(about->hash_key);
		return store_commit(s);
	}
	event_emit(EVENT_STORE_FORGOTTEN, event_text("why", why));
	return write_about(s, &key, boot);
}

static size_t map_bytes(uint32_t max_sets)
{
	return (size_t)max_sets * MAP_BYTES_PER_SET + MAP_BYTES_MIN;
}

/* Returns LMDB's error. */
static int open_env(struct store *s, uint32_t max_sets)
{
	MDB_txn *txn;
	int err = mdb_env_create(&s->env);

	if (err)
		return err;
	err = mdb_env_set_mapsize(s->env, map_bytes(max_sets));
	if (!err)
		err = mdb_env_open(s->env, s->path, FLAGS, 0600);
	if (!err)
		err = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (!err) {
		err = mdb_dbi_open(txn, NULL, 0, &s->dbi);
		if (!err)
			err = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	if (err) {
		mdb_env_close(s->env);
		s->env = NULL;
	}
	return err;
}

/* A file that is none of LMDB's, or not of this one's, is put aside. */
static int open_file(struct store *s, uint32_t max_sets)
{
	int err = open_env(s, max_sets);

	if (err != MDB_INVALID && err != MDB_VERSION_MISMATCH && err != MDB_CORRUPTED &&
	    err != MDB_PAGE_NOTFOUND)
		return err;
	event_emit(EVENT_STORE_FORGOTTEN, event_text("why", "damaged"));
	if (renameat(s->dir_fd, FILE_NAME, s->dir_fd, ASIDE_NAME) < 0)
		return errno;
	return open_env(s, max_sets);
}

static int open_dir(struct store *s, const char *dir, char *ret_why, size_t why_cap)
{
	int err = 0;

	if ((mkdir(dir, 0700) < 0 && errno != EEXIST) ||
	    (s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		err = -errno;
	else if (flock(s->dir_fd, LOCK_EX | LOCK_NB) < 0)
		err = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
	if (err == -EADDRINUSE)
		snprintf(ret_why, why_cap, "state-dir %s: another secagreed uses it", dir);
	else if (err)
		snprintf(ret_why, why_cap, "state-dir %s: %s", dir, strerror(-err));
	return err;
}

int store_open(const char *dir, uint32_t max_sets, struct store **ret, char *ret_why,
	       size_t why_cap)
{
	struct store *s = calloc(1, sizeof(*s));
	int err;

	if (!s) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	s->dir_fd = -1;
	err = open_dir(s, dir, ret_why, why_cap);
	if (!err) {
		snprintf(s->path, sizeof(s->path), "%s/" FILE_NAME, dir);
		err = open_file(s, max_sets);
		if (!err)
			err = read_about(s);
		else
			err = errno_of(err);
		if (err)
			snprintf(ret_why, why_cap, "state-dir %s: " FILE_NAME ": %s", dir,
				 strerror(-err));
	}
	if (err)
		store_close(s);
	else
		*ret = s;
	return err;
}

/* What is free again within the file does not count; pages that only hold that list do not, either. */
int store_usage(const struct store *s, struct store_usage *ret)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (!s)
		return -ENOENT;
	if (mdb_env_info(s->env, &info) || mdb_env_stat(s->env, &stat))
		return -EIO;
	*ret = (struct store_usage){
		.bytes = (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) *
			 (uint64_t)stat.ms_psize,
		.max_bytes = info.me_mapsize,
	};
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->txn)
		mdb_txn_abort(s->txn);
	if (s->env)
		mdb_env_close(s->env);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	free(s);
}

int store_resize(struct store *s, uint32_t max_sets)
{
	if (!s)
		return 0;
	s->room_bytes = 0;
	return errno_of(mdb_env_set_mapsize(s->env, map_bytes(max_sets)));
}

void store_remove(struct store *s)
{
	if (s && unlink(s->path) < 0)
		event_emit(EVENT_STORE_FAILED, event_errno(-errno), event_text("why", "unlink"));
}
