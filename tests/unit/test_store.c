/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/store.c over LMDB, in a directory of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/event.h"
#include "daemon/log.h"
#include "daemon/set_record.h"
#include "daemon/store.h"

/* ---- helpers ---- */

static bool no_room; /* the file system has none */

int __real_posix_fallocate(int fd, off_t offset, off_t bytes);
int __wrap_posix_fallocate(int fd, off_t offset, off_t bytes);

int __wrap_posix_fallocate(int fd, off_t offset, off_t bytes)
{
	return no_room ? ENOSPC : __real_posix_fallocate(fd, offset, bytes);
}

static char base[64], dir[100], file[160], why[300];
static struct store *store;
static struct config_listener listener;
static struct sa_contact contact = {.key = "a@x\n192.0.2.7"};

static int start(void **state)
{
	(void)state;
	log_open(LOG_TO_STDERR, -1);
	event_reset();
	snprintf(base, sizeof(base), "/tmp/test_store.XXXXXX");
	if (!mkdtemp(base) || hash_init() < 0)
		return -1;
	snprintf(dir, sizeof(dir), "%s/state", base);
	snprintf(file, sizeof(file), "%s/sets.mdb", dir);
	store = NULL;
	config_listener_default(&listener);
	snprintf(listener.name, sizeof(listener.name), "ims");
	listener.server_port = 6100;
	return 0;
}

static int stop(void **state)
{
	char command[200];

	(void)state;
	store_close(store);
	snprintf(command, sizeof(command), "rm -rf %s", base);
	return system(command) == 0 ? 0 : -1;
}

static int open_store(uint32_t max_sets)
{
	why[0] = '\0';
	return store_open(dir, max_sets, &store, why, sizeof(why));
}

static void reopen(void)
{
	store_close(store);
	store = NULL;
	if (open_store(100) < 0)
		fail_msg("%s", why);
}

static struct sa_set set_of(uint64_t serial, const char *impu)
{
	static struct packed *header;

	if (!header)
		header = packed_new(span_of("tls"));
	return (struct sa_set){
		.id = serial + 1000,
		.serial = serial,
		.listener = &listener,
		.contact = &contact,
		.impi = "a@x",
		.impu = (char *)impu,
		.security_client = header,
		.security_server = header,
		.deadline_ms = 1,
	};
}

static int put(uint64_t serial, const char *impu)
{
	const struct sa_set set = set_of(serial, impu);

	store_put(store, &set);
	return store_commit(store);
}

static int forget(uint64_t serial)
{
	const struct sa_set set = set_of(serial, "");

	store_forget(store, &set);
	return store_commit(store);
}

/* What the store has, as "1 2 3", and listeners as names before. */
static char listing[4096];
static uint64_t condemned;

static int list_set(uint64_t serial, struct span record, void *arg)
{
	const size_t n = strlen(listing);

	(void)arg;
	assert_int_equal(record.p[0], SET_RECORD_VERSION);
	snprintf(listing + n, sizeof(listing) - n, "%s%llu", n ? " " : "",
		 (unsigned long long)serial);
	return serial == condemned ? -EINVAL : 0;
}

static int list_listener(struct span record, void *arg)
{
	const size_t n = strlen(listing);

	(void)arg;
	snprintf(listing + n, sizeof(listing) - n, "%s%.*s", n ? " " : "", (int)record.n, record.p);
	return 0;
}

static void assert_has(const char *expected)
{
	const struct store_reader reader = {.listener = list_listener, .set = list_set};

	listing[0] = '\0';
	assert_int_equal(store_read(store, &reader), 0);
	assert_string_equal(listing, expected);
}

/* Change the record about the store itself. */
static void falsify(size_t at)
{
	MDB_val key = {1, (void *)"a"}, value;
	uint8_t bytes[200];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	store_close(store);
	store = NULL;
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, file, MDB_NOSUBDIR | MDB_NOLOCK, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
	assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
	assert_true(value.mv_size < sizeof(bytes) && at < value.mv_size);
	memcpy(bytes, value.mv_data, value.mv_size);
	bytes[at] ^= 1;
	value.mv_data = bytes;
	assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

/* ---- tests ---- */

static void E13_what_was_committed_outlives_the_process(void **state)
{
	(void)state;
	assert_int_equal(open_store(100), 0);
	assert_int_equal(put(1, "x"), 0);
	assert_int_equal(put(2, "x"), 0);
	reopen();
	assert_has("1 2");
	assert_int_equal(put(2, "another"), 0);
	assert_int_equal(forget(1), 0);
	reopen();
	assert_has("2");
}

static void sets_come_back_in_the_order_of_their_making(void **state)
{
	static const uint64_t SERIALS[] = {256, 1, 255, 65536, 2, UINT64_MAX, 257};

	(void)state;
	assert_int_equal(open_store(100), 0);
	for (size_t i = 0; i < sizeof(SERIALS) / sizeof(SERIALS[0]); i++)
		assert_int_equal(put(SERIALS[i], "x"), 0);
	assert_has("1 2 255 256 257 65536 18446744073709551615");
}

static void what_is_not_committed_is_not_there(void **state)
{
	const struct sa_set set = set_of(1, "x");

	(void)state;
	assert_int_equal(open_store(100), 0);
	store_put(store, &set);
	reopen();
	assert_has("");
}

static void listeners_are_kept_once_each(void **state)
{
	(void)state;
	assert_int_equal(open_store(100), 0);
	store_put_listener(store, span_of("B"));
	store_put_listener(store, span_of("A"));
	store_put_listener(store, span_of("B"));
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(put(7, "x"), 0);
	reopen();
	assert_has("A B 7");
	store_forget_listener(store, span_of("B"));
	store_forget_listener(store, span_of("C"));
	assert_int_equal(store_commit(store), 0);
	assert_has("A 7");
}

static void a_record_that_its_reader_refuses_goes(void **state)
{
	(void)state;
	assert_int_equal(open_store(100), 0);
	for (uint64_t serial = 1; serial <= 3; serial++)
		assert_int_equal(put(serial, "x"), 0);
	condemned = 2;
	assert_has("1 2 3");
	condemned = 0;
	assert_has("1 3");
}

static void forgetting_what_is_not_there_is_no_failure(void **state)
{
	(void)state;
	assert_int_equal(open_store(100), 0);
	assert_int_equal(forget(9), 0);
}

/* Pages are written where they are mapped: none may be touched that the file system has not given. */
static void a_full_file_system_is_a_full_store(void **state)
{
	char *big = malloc(1 << 20);
	uint64_t serial = 1;
	int err = 0;

	(void)state;
	memset(big, 'x', (1 << 20) - 1);
	big[(1 << 20) - 1] = '\0';
	assert_int_equal(open_store(1000), 0);
	assert_int_equal(put(1, "x"), 0);
	no_room = true;
	while (!err && serial < 10)
		err = put(++serial, big);
	assert_int_equal(err, -ENOSPC);
	assert_in_range(serial, 2, 3);
	assert_int_equal(event_total(EVENT_STORE_FAILED), 1);
	no_room = false;
	assert_int_equal(put(serial, big), 0);
	for (uint64_t one = 2; one <= serial; one++)
		assert_int_equal(forget(one), 0);
	assert_has("1");
	free(big);
}

static blkcnt_t file_blocks(void)
{
	struct stat st;

	assert_int_equal(stat(file, &st), 0);
	return st.st_blocks;
}

/* A start reads all of it, and nearly always changes nothing. */
static void reading_a_large_store_takes_no_room(void **state)
{
	char *big = malloc(1 << 20);
	blkcnt_t blocks;

	(void)state;
	memset(big, 'x', (1 << 20) - 1);
	big[(1 << 20) - 1] = '\0';
	assert_int_equal(open_store(1000), 0);
	for (uint64_t serial = 1; serial <= 4; serial++)
		assert_int_equal(put(serial, big), 0);
	reopen();
	blocks = file_blocks();
	assert_has("1 2 3 4");
	assert_int_equal(file_blocks(), blocks);
	free(big);
}

static int refuse_set(uint64_t serial, struct span record, void *arg)
{
	(void)serial;
	(void)record;
	(void)arg;
	return -EINVAL;
}

/* However many records go, no page is changed twice. */
static void a_store_that_is_refused_whole_takes_no_more_room_than_it_has(void **state)
{
	const struct store_reader reader = {.set = refuse_set};
	blkcnt_t blocks;

	(void)state;
	assert_int_equal(open_store(1000), 0);
	for (uint64_t serial = 1; serial <= 1000; serial++)
		assert_int_equal(put(serial, "sip:somebody@ims.example"), 0);
	reopen();
	blocks = file_blocks();
	assert_int_equal(store_read(store, &reader), 0);
	assert_in_range(file_blocks(), 0, 3 * blocks);
	assert_has("");
}

/* A full store refuses the change whole, says so, and works again when there is room. */
static void a_full_store_refuses_and_recovers(void **state)
{
	char *big = malloc(1 << 20);
	uint64_t serial = 1;
	int err;

	(void)state;
	memset(big, 'x', (1 << 20) - 1);
	big[(1 << 20) - 1] = '\0';
	assert_int_equal(open_store(0), 0);
	assert_int_equal(put(1, "x"), 0);
	do
		err = put(++serial, big);
	while (!err);
	assert_int_equal(err, -ENOSPC);
	assert_in_range(serial, 3, 32);
	assert_int_equal(event_total(EVENT_STORE_FAILED), 1);
	assert_int_equal(put(serial, big), -ENOSPC);
	assert_int_equal(event_total(EVENT_STORE_FAILED), 2);
	for (uint64_t one = 2; one < serial; one++)
		assert_int_equal(forget(one), 0);
	assert_has("1");
	assert_int_equal(put(serial, "small"), 0);
	free(big);
}

static void a_full_store_is_given_more_room(void **state)
{
	char *big = malloc(1 << 20);
	uint64_t serial = 1;

	(void)state;
	memset(big, 'x', (1 << 20) - 1);
	big[(1 << 20) - 1] = '\0';
	assert_int_equal(open_store(0), 0);
	while (put(serial, big) == 0)
		serial++;
	assert_int_equal(store_resize(store, 4096), 0);
	for (uint64_t more = 0; more < 8; more++)
		assert_int_equal(put(serial + more, big), 0);
	assert_int_equal(store_resize(NULL, 1), 0);
	free(big);
}

static void only_its_user_can_read_it(void **state)
{
	struct stat st;

	(void)state;
	umask(0);
	assert_int_equal(open_store(100), 0);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void it_is_one_process_alone(void **state)
{
	struct store *second = NULL;

	(void)state;
	assert_int_equal(open_store(100), 0);
	assert_int_equal(store_open(dir, 100, &second, why, sizeof(why)), -EADDRINUSE);
	assert_null(second);
	assert_non_null(strstr(why, "another secagreed"));
}

/* As a daemon that goes into the background does. */
static void a_child_goes_on_with_it(void **state)
{
	struct store *second;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(open_store(100), 0);
	assert_int_equal(put(1, "x"), 0);
	pid = fork();
	if (!pid)
		_exit(put(2, "x") || forget(1) ||
		      store_open(dir, 100, &second, why, sizeof(why)) != -EADDRINUSE);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	reopen();
	assert_has("2");
}

static void a_directory_that_cannot_be_is_named(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "%s/missing/state", base);
	assert_int_equal(open_store(100), -ENOENT);
	assert_non_null(strstr(why, dir));
	snprintf(dir, sizeof(dir), "/dev/null");
	assert_int_equal(open_store(100), -ENOTDIR);
}

static void E13_what_another_boot_left_is_forgotten(void **state)
{
	(void)state;
	assert_int_equal(open_store(100), 0);
	assert_int_equal(put(1, "x"), 0);
	falsify(5); /* in the boot's id */
	reopen();
	assert_has("");
	assert_int_equal(event_total(EVENT_STORE_FORGOTTEN), 1);
	assert_int_equal(put(2, "x"), 0);
	reopen();
	assert_has("2");
}

static void another_version_is_forgotten(void **state)
{
	(void)state;
	assert_int_equal(open_store(100), 0);
	assert_int_equal(put(1, "x"), 0);
	falsify(0);
	reopen();
	assert_has("");
	assert_int_equal(event_total(EVENT_STORE_FORGOTTEN), 1);
}

/* Hashes tell a retransmission: they must be the same after a restart. */
static void the_key_of_hashes_comes_back(void **state)
{
	uint64_t before;

	(void)state;
	before = hash_bytes("x", 1);
	assert_int_equal(open_store(100), 0);
	assert_int_equal(hash_bytes("x", 1), before);
	assert_int_equal(hash_init(), 0);
	assert_int_not_equal(hash_bytes("x", 1), before);
	reopen();
	assert_int_equal(hash_bytes("x", 1), before);
}

static void a_file_that_is_no_store_is_put_aside(void **state)
{
	char aside[200];
	FILE *f;

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	f = fopen(file, "w");
	for (unsigned i = 0; i < 20000; i++)
		fputs("garbage ", f);
	fclose(f);
	assert_int_equal(open_store(100), 0);
	assert_has("");
	assert_int_equal(put(1, "x"), 0);
	assert_int_equal(event_total(EVENT_STORE_FORGOTTEN), 1);
	snprintf(aside, sizeof(aside), "%s/sets.damaged", dir);
	assert_int_equal(access(aside, F_OK), 0);
}

static void a_removed_store_is_gone(void **state)
{
	(void)state;
	assert_int_equal(open_store(100), 0);
	assert_int_equal(put(1, "x"), 0);
	store_remove(store);
	assert_int_equal(access(file, F_OK), -1);
	reopen();
	assert_has("");
}

static void no_store_keeps_nothing_and_never_fails(void **state)
{
	const struct store_reader reader = {.set = list_set};
	const struct sa_set set = set_of(1, "x");

	(void)state;
	store_put(NULL, &set);
	store_forget(NULL, &set);
	store_put_listener(NULL, span_of("A"));
	store_forget_listener(NULL, span_of("A"));
	assert_int_equal(store_commit(NULL), 0);
	assert_int_equal(store_read(NULL, &reader), 0);
	store_remove(NULL);
	store_close(NULL);
}

static void its_usage_grows_with_the_records_and_shrinks_with_them(void **state)
{
	struct store_usage empty, filled, after;
	char impu[3000];

	(void)state;
	memset(impu, 'x', sizeof(impu) - 1);
	impu[sizeof(impu) - 1] = '\0';
	assert_int_equal(store_usage(NULL, &empty), -ENOENT);
	assert_int_equal(open_store(100), 0);
	assert_int_equal(store_usage(store, &empty), 0);
	for (uint64_t serial = 1; serial <= 20; serial++)
		assert_int_equal(put(serial, impu), 0);
	assert_int_equal(store_usage(store, &filled), 0);
	assert_true(filled.bytes >= empty.bytes + 20 * 3000);
	assert_true(filled.max_bytes >= 16 << 20 && filled.bytes < filled.max_bytes);
	for (uint64_t serial = 1; serial <= 20; serial++)
		assert_int_equal(forget(serial), 0);
	assert_int_equal(store_usage(store, &after), 0);
	assert_int_equal(after.bytes, empty.bytes);
}

/* A record of a phone that offers six combinations has some 1400 bytes: two of them to a page of 4096. */
static void records_that_are_made_one_after_the_other_fill_their_pages(void **state)
{
	struct store_usage empty, filled;
	char impu[1250];

	(void)state;
	memset(impu, 'x', sizeof(impu) - 1);
	impu[sizeof(impu) - 1] = '\0';
	assert_int_equal(open_store(1000), 0);
	assert_int_equal(store_usage(store, &empty), 0);
	for (uint64_t serial = 1; serial <= 200; serial++)
		assert_int_equal(put(serial, impu), 0);
	assert_int_equal(store_usage(store, &filled), 0);
	assert_true(filled.bytes - empty.bytes <= 110 * 4096);
}

/* After a restart the first set that is stored again is one in the midst of others. */
static void a_record_is_put_anew_among_others(void **state)
{
	(void)state;
	assert_int_equal(open_store(100), 0);
	assert_int_equal(put(2, "x"), 0);
	assert_int_equal(put(7, "x"), 0);
	reopen();
	assert_int_equal(put(2, "y"), 0);
	assert_int_equal(put(5, "x"), 0);
	assert_int_equal(put(3, "x"), 0);
	assert_int_equal(put(8, "x"), 0);
	assert_has("2 3 5 7 8");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(E13_what_was_committed_outlives_the_process),
		TEST(records_that_are_made_one_after_the_other_fill_their_pages),
		TEST(a_record_is_put_anew_among_others),
		TEST(sets_come_back_in_the_order_of_their_making),
		TEST(what_is_not_committed_is_not_there),
		TEST(listeners_are_kept_once_each),
		TEST(a_record_that_its_reader_refuses_goes),
		TEST(forgetting_what_is_not_there_is_no_failure),
		TEST(a_full_file_system_is_a_full_store),
		TEST(a_full_store_refuses_and_recovers),
		TEST(reading_a_large_store_takes_no_room),
		TEST(a_store_that_is_refused_whole_takes_no_more_room_than_it_has),
		TEST(a_full_store_is_given_more_room),
		TEST(its_usage_grows_with_the_records_and_shrinks_with_them),
		TEST(only_its_user_can_read_it),
		TEST(it_is_one_process_alone),
		TEST(a_child_goes_on_with_it),
		TEST(a_directory_that_cannot_be_is_named),
		TEST(E13_what_another_boot_left_is_forgotten),
		TEST(another_version_is_forgotten),
		TEST(the_key_of_hashes_comes_back),
		TEST(a_file_that_is_no_store_is_put_aside),
		TEST(a_removed_store_is_gone),
		TEST(no_store_keeps_nothing_and_never_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
