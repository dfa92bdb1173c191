/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/event.c, event_log.c, log_limit.c, journal.c: what is emitted is logged, counted and kept;
 * readers find by the numbers what they have missed. Whatever a phone says, the log cannot be forged,
 * filled or made to wait.
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/event.h"
#include "daemon/event_log.h"
#include "daemon/hash.h"
#include "daemon/log.h"
#include "daemon/log_limit.h"
#include "tests/unit/fake_timer.h"
#include "tests/unit/no_memory.h"

static int start(void **state)
{
	(void)state;
	event_reset();
	event_log_set(false, 0);
	event_log_flush();
	fake_clock_reset();
	unsetenv("JOURNAL_STREAM");
	log_open(LOG_TO_STDERR, -1);
	no_memory = false;
	return 0;
}

static void emit(unsigned times)
{
	while (times--)
		event_emit(EVENT_SET_MOVED, event_number("port", event_last() + 1));
}

/* The line that @level lets through, or "". */
static const char *logged(int level, void (*emitter)(void))
{
	static char line[8192];
	FILE *file = tmpfile(), *before = stderr;
	size_t n;

	assert_non_null(file);
	log_open(LOG_TO_STDERR, level);
	stderr = file;
	emitter();
	stderr = before;
	rewind(file);
	n = fread(line, 1, sizeof(line) - 1, file);
	line[n] = '\0';
	fclose(file);
	return line;
}

static void emit_lost(void)
{
	const struct ip_addr ip = {.family = AF_INET, .bytes = {192, 0, 2, 7}};

	event_emit(EVENT_SET_LOST, event_set(0x1234), event_text("impi", "a b\"c\n"),
		   event_text("none", ""), event_address("ue", &ip), event_number("left_s", 5),
		   event_errno(-ESRCH), event_errno(0));
}

/* ---- tests ---- */

static void an_event_is_one_line_of_the_log(void **state)
{
	(void)state;
	assert_string_equal(logged(LOG_WARNING, emit_lost),
			    "secagreed: level=warning event=set-lost set=0000000000001234 "
			    "impi=\"a b\\\"c\\x0a\" none=\"\" ue=192.0.2.7 left_s=5 errno=ESRCH "
			    "errno=none\n");
	assert_string_equal(logged(LOG_ERR, emit_lost), "");
}

static void emit_forged(void)
{
	event_emit(EVENT_SET_LOST,
		   event_text("impi", "x\nsecagreed: level=error event=stopped\x1b[2J\xc3\xa4 a=\"b\\"),
		   event_text("why", "y"));
}

static void what_a_phone_says_ends_neither_its_value_nor_the_line(void **state)
{
	(void)state;
	assert_string_equal(logged(LOG_WARNING, emit_forged),
			    "secagreed: level=warning event=set-lost impi=\"x\\x0asecagreed: "
			    "level=error event=stopped\\x1b[2J\\xc3\\xa4 a=\\\"b\\\\\" why=y\n");
}

static void emit_long(void)
{
	static char text[4000];

	memset(text, 'x', sizeof(text) - 1);
	event_emit(EVENT_SET_LOST, event_text("impi", text), event_text("reason", "limit"));
}

static void a_long_value_is_cut_and_hides_none_behind_it(void **state)
{
	const char *line = logged(LOG_INFO, emit_long);

	(void)state;
	assert_in_range(strlen(line), 700, 800);
	assert_non_null(strstr(line, "xxx\"... reason=limit\n"));
	assert_int_equal(strlen(event_from(1)->fields[0].text), 3999);
}

static void emit_too_much(void)
{
	static char text[641];

	memset(text, '\x01', sizeof(text) - 1);
	event_emit(EVENT_SET_LOST, event_text("a", text), event_text("b", text),
		   event_text("c", text), event_number("left_s", 7));
}

static void a_pair_without_room_is_left_out_whole_and_told(void **state)
{
	const char *line = logged(LOG_INFO, emit_too_much);
	const size_t n = strlen(line);

	(void)state;
	assert_non_null(strstr(line, " a=\"\\x01"));
	assert_null(strstr(line, " b="));
	assert_null(strstr(line, " c="));
	assert_string_equal(line + n - strlen(" left_s=7 cut=yes\n"), " left_s=7 cut=yes\n");
}

/* ---- identities ---- */

static const char *identity;

static void emit_identity(void)
{
	event_emit(EVENT_SET_LOST, event_text("impi", identity), event_text("why", "x"));
}

/* As logged, in memory of its own. */
static char *shown_as(const char *impi)
{
	const char *from, *to;

	identity = impi;
	from = strstr(logged(LOG_INFO, emit_identity), "impi=");
	assert_non_null(from);
	to = strstr(from, " why=");
	assert_non_null(to);
	return strndup(from, (size_t)(to - from));
}

static void an_identity_may_stand_as_a_hash_that_needs_a_key(void **state)
{
	static const uint8_t KEYS[2][HASH_KEY_BYTES] = {{1}, {2}};
	char *one, *again, *other, *other_key;

	(void)state;
	event_log_set(true, 0);
	hash_use_key(KEYS[0]);
	one = shown_as("001010000000001@ims");
	again = shown_as("001010000000001@ims");
	other = shown_as("001010000000002@ims");
	hash_use_key(KEYS[1]);
	other_key = shown_as("001010000000001@ims");
	assert_int_equal(strlen(one), strlen("impi=#0123456789abcdef"));
	assert_string_equal(one, again);
	assert_string_not_equal(one, other);
	assert_string_not_equal(one, other_key);
	assert_null(strstr(logged(LOG_INFO, emit_identity), "00101"));
	assert_string_equal(event_from(event_last())->fields[0].text, "001010000000001@ims");
	free(one);
	free(again);
	free(other);
	free(other_key);
}

static void the_hash_in_the_log_is_not_that_of_the_tables(void **state)
{
	char *shown, table[40];

	(void)state;
	event_log_set(true, 0);
	shown = shown_as("a@x");
	snprintf(table, sizeof(table), "impi=#%016llx", (unsigned long long)hash_bytes("a@x", 3));
	assert_string_not_equal(shown, table);
	free(shown);
}

/* ---- the limit ---- */

static void emit_ten_refusals(void)
{
	for (int i = 0; i < 10; i++)
		event_emit(EVENT_SIP_REFUSED, event_text("reason", i < 9 ? "limit" : "bad_header"));
}

static void pass_the_window(void)
{
	fake_clock_advance_s(LOG_LIMIT_WINDOW_S);
}

static unsigned lines_of(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void lines_beyond_the_limit_are_counted_and_told(void **state)
{
	const uint64_t before = log_limit_total();

	(void)state;
	event_log_set(false, 3);
	assert_int_equal(lines_of(logged(LOG_INFO, emit_ten_refusals)), 4); /* one of another reason */
	assert_int_equal(event_total(EVENT_SIP_REFUSED), 10);
	assert_int_equal(log_limit_total() - before, 6);
	assert_string_equal(logged(LOG_INFO, pass_the_window),
			    "secagreed: level=notice event=log-suppressed of=sip-refused "
			    "reason=limit lines=6\n");
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(lines_of(logged(LOG_INFO, emit_ten_refusals)), 4);
	assert_int_equal(lines_of(logged(LOG_INFO, event_log_flush)), 1);
	assert_int_equal(fake_timers_armed(), 0);
}

static void a_level_that_is_off_is_neither_written_nor_suppressed(void **state)
{
	const uint64_t before = log_limit_total();

	(void)state;
	event_log_set(false, 3);
	assert_string_equal(logged(LOG_WARNING, emit_ten_refusals), "");
	assert_int_equal(log_limit_total(), before);
}

/* ---- the journal ---- */

static char sent[16384], sent_to[108];
static size_t sent_bytes;
static int sendto_error;
static struct stat stderr_is;

static void journal_is_stderr(bool yes)
{
	char stream[64];

	assert_int_equal(fstat(STDERR_FILENO, &stderr_is), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)stderr_is.st_dev,
		 (unsigned long long)stderr_is.st_ino + !yes);
	setenv("JOURNAL_STREAM", stream, 1);
	sent_bytes = 0;
	sendto_error = 0;
}

ssize_t __wrap_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
		      socklen_t to_bytes);

ssize_t __wrap_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
		      socklen_t to_bytes)
{
	(void)fd;
	(void)to_bytes;
	assert_true(flags & MSG_DONTWAIT);
	snprintf(sent_to, sizeof(sent_to), "%s", ((const struct sockaddr_un *)to)->sun_path);
	if (sendto_error) {
		errno = sendto_error;
		return -1;
	}
	assert_in_range(n, 1, sizeof(sent));
	memcpy(sent, buf, n);
	sent_bytes = n;
	return (ssize_t)n;
}

/* The value of @name in what was sent, or NULL; all of it must be fields. */
static const char *field_sent(const char *name)
{
	static char value[8192];
	const char *found = NULL;

	for (size_t at = 0; at < sent_bytes;) {
		const char *end = memchr(sent + at, '\n', sent_bytes - at);
		const size_t name_n = end ? (size_t)(end - (sent + at)) : 0;
		uint64_t n;

		assert_true(name_n > 0);
		memcpy(&n, end + 1, sizeof(n));
		n = le64toh(n);
		assert_int_equal(end[1 + sizeof(n) + n], '\n');
		if (strlen(name) == name_n && !memcmp(name, sent + at, name_n)) {
			assert_null(found); /* none is there twice */
			memcpy(value, end + 1 + sizeof(n), n);
			value[n] = '\0';
			found = value;
		}
		at += name_n + 1 + sizeof(n) + n + 1;
	}
	return found;
}

static void under_systemd_an_event_is_an_entry_of_the_journal(void **state)
{
	(void)state;
	journal_is_stderr(true);
	assert_string_equal(logged(LOG_INFO, emit_forged), "");
	assert_string_equal(sent_to, "/run/systemd/journal/socket");
	assert_string_equal(field_sent("PRIORITY"), "4");
	assert_string_equal(field_sent("SYSLOG_IDENTIFIER"), "secagreed");
	assert_string_equal(field_sent("MESSAGE"),
			    "event=set-lost impi=\"x\\x0asecagreed: level=error event=stopped\\x1b["
			    "2J\\xc3\\xa4 a=\\\"b\\\\\" why=y");
	assert_string_equal(field_sent("SECAGREED_EVENT"), "set-lost");
	assert_string_equal(field_sent("SECAGREED_WHY"), "y");
}

static void emit_fields_of_a_phone(void)
{
	event_emit(EVENT_SIP_REFUSED, event_text("impi", "a\nPRIORITY=0\nSECAGREED_WHY\nz"),
		   event_text("why", "true"));
}

static void what_a_phone_says_is_no_field_of_the_journal(void **state)
{
	(void)state;
	journal_is_stderr(true);
	logged(LOG_INFO, emit_fields_of_a_phone);
	assert_string_equal(field_sent("PRIORITY"), "5");
	assert_string_equal(field_sent("SECAGREED_WHY"), "true");
	assert_string_equal(field_sent("SECAGREED_IMPI"), "a\nPRIORITY=0\nSECAGREED_WHY\nz");
}

static void a_hidden_identity_is_hidden_in_the_journal_too(void **state)
{
	(void)state;
	event_log_set(true, 0);
	journal_is_stderr(true);
	logged(LOG_INFO, emit_lost);
	assert_null(memmem(sent, sent_bytes, "a b", 3));
	assert_int_equal(field_sent("SECAGREED_IMPI")[0], '#');
}

static void emit_huge(void)
{
	static char text[20000];

	memset(text, 'x', sizeof(text) - 1);
	event_emit(EVENT_SIP_REFUSED, event_text("impi", text), event_text("why", "true"));
}

static void a_value_without_room_in_an_entry_is_left_out(void **state)
{
	(void)state;
	journal_is_stderr(true);
	logged(LOG_INFO, emit_huge);
	assert_null(field_sent("SECAGREED_IMPI"));
	assert_string_equal(field_sent("SECAGREED_WHY"), "true");
}

static void a_journal_that_is_elsewhere_or_silent_is_not_used(void **state)
{
	(void)state;
	journal_is_stderr(false);
	assert_int_equal(lines_of(logged(LOG_INFO, emit_lost)), 1);
	assert_int_equal(sent_bytes, 0);
	setenv("JOURNAL_STREAM", "nonsense", 1);
	assert_int_equal(lines_of(logged(LOG_INFO, emit_lost)), 1);
	unsetenv("JOURNAL_STREAM");
	assert_int_equal(lines_of(logged(LOG_INFO, emit_lost)), 1);
	assert_int_equal(sent_bytes, 0);
	journal_is_stderr(true);
	sendto_error = ENOENT;
	assert_int_equal(lines_of(logged(LOG_INFO, emit_lost)), 1);
}

static void a_journal_that_is_behind_is_not_waited_for(void **state)
{
	const uint64_t before = log_lost();

	(void)state;
	journal_is_stderr(true);
	sendto_error = EAGAIN;
	assert_string_equal(logged(LOG_INFO, emit_lost), "");
	assert_int_equal(log_lost() - before, 1);
}

/* ---- the ring ---- */

static void an_event_is_kept_as_it_was(void **state)
{
	const struct event_record *record;

	(void)state;
	emit_lost();
	record = event_from(1);
	assert_non_null(record);
	assert_int_equal(record->seq, 1);
	assert_int_equal(record->name, EVENT_SET_LOST);
	assert_string_equal(event_word(record->name), "set-lost");
	assert_string_equal(event_level(record->name), "warning");
	assert_int_equal(record->field_count, 7);
	assert_string_equal(record->fields[0].name, "set");
	assert_string_equal(record->fields[0].text, "0000000000001234");
	assert_string_equal(record->fields[1].text, "a b\"c\n");
	assert_string_equal(record->fields[3].text, "192.0.2.7");
	assert_null(record->fields[4].text);
	assert_int_equal(record->fields[4].number, 5);
	assert_true(record->time_ms > 1700000000000);
}

static void numbers_go_on_and_the_latest_are_kept(void **state)
{
	uint64_t seq = 0;

	(void)state;
	assert_null(event_from(0));
	assert_null(event_from(1));
	emit(EVENT_KEPT);
	assert_int_equal(event_from(0)->seq, 1);
	emit(10);
	assert_int_equal(event_last(), EVENT_KEPT + 10);
	assert_int_equal(event_from(1)->seq, 11);
	assert_int_equal(event_from(11)->seq, 11);
	assert_null(event_from(EVENT_KEPT + 11));
	for (const struct event_record *r = event_from(1); r; r = event_from(r->seq + 1)) {
		assert_true(r->seq > seq);
		seq = r->seq;
		assert_int_equal(r->fields[0].number, seq);
	}
	assert_int_equal(seq, event_last());
	assert_int_equal(event_total(EVENT_SET_MOVED), EVENT_KEPT + 10);
	assert_int_equal(event_total(EVENT_SET_LOST), 0);
}

static void without_memory_an_event_is_counted_and_its_number_missing(void **state)
{
	(void)state;
	emit(2);
	no_memory = true;
	emit(2);
	no_memory = false;
	assert_int_equal(event_last(), 4);
	assert_null(event_from(3));
	emit(1);
	assert_int_equal(event_from(3)->seq, 5);
	assert_int_equal(event_total(EVENT_SET_MOVED), 5);
}

static void count_call(void *arg)
{
	++*(unsigned *)arg;
}

static void the_listener_is_told(void **state)
{
	unsigned calls = 0;

	(void)state;
	event_listen(count_call, &calls);
	emit(3);
	event_listen(NULL, NULL);
	emit(3);
	assert_int_equal(calls, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, start)
	static const struct CMUnitTest tests[] = {
		TEST(an_event_is_one_line_of_the_log),
		TEST(what_a_phone_says_ends_neither_its_value_nor_the_line),
		TEST(a_long_value_is_cut_and_hides_none_behind_it),
		TEST(a_pair_without_room_is_left_out_whole_and_told),
		TEST(an_identity_may_stand_as_a_hash_that_needs_a_key),
		TEST(the_hash_in_the_log_is_not_that_of_the_tables),
		TEST(lines_beyond_the_limit_are_counted_and_told),
		TEST(a_level_that_is_off_is_neither_written_nor_suppressed),
		TEST(under_systemd_an_event_is_an_entry_of_the_journal),
		TEST(what_a_phone_says_is_no_field_of_the_journal),
		TEST(a_hidden_identity_is_hidden_in_the_journal_too),
		TEST(a_value_without_room_in_an_entry_is_left_out),
		TEST(a_journal_that_is_elsewhere_or_silent_is_not_used),
		TEST(a_journal_that_is_behind_is_not_waited_for),
		TEST(an_event_is_kept_as_it_was),
		TEST(numbers_go_on_and_the_latest_are_kept),
		TEST(without_memory_an_event_is_counted_and_its_number_missing),
		TEST(the_listener_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
