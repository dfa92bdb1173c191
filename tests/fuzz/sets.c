/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/unit/world.c without cmocka's runner: what is asserted there ends the process here, which
 * libFuzzer takes for a finding.
 */
#include "tests/fuzz/sets.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/event.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/world.h"

#define EXPANDED_BYTES 70000

void sets_begin(void)
{
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	fuzz_begin();
	event_reset();
	CHECK(world_start(NULL) == 0);
	world.config.max_sets = SETS_MAX;
	world.table->max_sets = SETS_MAX;
}

void sets_end(void)
{
	CHECK(world_stop(NULL) == 0);
}

void sets_check(void)
{
	CHECK(world_sets() <= SETS_MAX);
	world_check(false);
}

const struct sa_set *sets_nth(size_t nth)
{
	const size_t count = world_sets();
	const struct sa_set *set = world.table->sets;

	if (nth >= count)
		return NULL;
	for (size_t i = count - 1; i > nth; i--)
		set = set->hh.next;
	return set;
}

static void expand_word(char word, const struct sa_set *set, struct text_out *out)
{
	if (!set)
		return;
	if (word == 'I')
		text_out_printf(out, "%016" PRIx64, set->id);
	else
		text_out_span(out, span_of(world_text(word == 'S' ? set->security_server
								  : set->security_client)));
}

struct span sets_expand(struct span text)
{
	static char buf[EXPANDED_BYTES];
	struct text_out out;

	text_out_init(&out, buf, sizeof(buf));
	for (size_t i = 0; i < text.n; i++) {
		const char *p = text.p + i;

		if (*p == '$' && i + 2 < text.n && (p[1] == 'I' || p[1] == 'S' || p[1] == 'C') &&
		    p[2] >= '0' && p[2] <= '9') {
			expand_word(p[1], sets_nth((size_t)(p[2] - '0')), &out);
			i += 2;
		} else {
			text_out_span(&out, (struct span){p, 1});
		}
	}
	return fuzz_copy((struct span){buf, out.n});
}
