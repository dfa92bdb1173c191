/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/event.c: what is emitted is logged, counted and kept; readers find by the numbers what
 * they have missed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/event.h"
#include "daemon/log.h"

static bool no_memory;

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);

void *__wrap_calloc(size_t count, size_t bytes)
{
	return no_memory ? NULL : __real_calloc(count, bytes);
}

static int start(void **state)
{
	(void)state;
	event_reset();
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
	static char line[2048];
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
			    "impi=\"a b\\\"c?\" none=\"\" ue=192.0.2.7 left_s=5 errno=ESRCH "
			    "errno=none\n");
	assert_string_equal(logged(LOG_ERR, emit_lost), "");
}

static void emit_long(void)
{
	static char text[4000];

	memset(text, 'x', sizeof(text) - 1);
	event_emit(EVENT_SET_LOST, event_text("impi", text));
}

static void a_long_one_is_cut_in_the_log_and_kept_whole(void **state)
{
	const char *line = logged(LOG_INFO, emit_long);

	(void)state;
	assert_in_range(strlen(line), 900, 1100);
	assert_int_equal(line[strlen(line) - 1], '\n');
	assert_int_equal(strlen(event_from(1)->fields[0].text), 3999);
}

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
		TEST(a_long_one_is_cut_in_the_log_and_kept_whole),
		TEST(an_event_is_kept_as_it_was),
		TEST(numbers_go_on_and_the_latest_are_kept),
		TEST(without_memory_an_event_is_counted_and_its_number_missing),
		TEST(the_listener_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
