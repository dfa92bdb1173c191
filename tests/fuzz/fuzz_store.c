/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the loader of the store makes of records, over the fake kernel: it holds the SAs that a set
 * wants, or lacks some of them.
 *
 * The input is a list of records, each behind its kind (l listener, s set; m a set of which the
 * kernel lacks an SA) and its length in two bytes. Whatever they say: a record that is taken is
 * written the same way again, the sets that live on can be used like any others, and when all are
 * dropped, nothing is left in the kernel, in the store or of timers.
 */
#include "tests/fuzz/fuzz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/audit.h"
#include "daemon/restore.h"
#include "daemon/set_record.h"
#include "tests/fuzz/sets.h"
#include "tests/unit/world.h"

#define MAX_RECORDS 40

static uint64_t missing; /* a bit for each serial: the kernel lacks an SA */

static void fill(const uint8_t *data, size_t size)
{
	uint64_t serial = 0;

	missing = 0;
	while (size >= 3 && serial < MAX_RECORDS) {
		const size_t said = (size_t)data[1] << 8 | data[2];
		const size_t n = said < size - 3 ? said : size - 3;

		if (data[0] == 'l' && n <= LISTENER_RECORD_MAX_BYTES) {
			fake_store_set(0, data + 3, n);
		} else {
			fake_store_set(++serial, data + 3, n);
			missing |= (uint64_t)(data[0] == 'm') << serial;
		}
		data += 3 + n;
		size -= 3 + n;
	}
}

/* Two records may want the same SA: then the kernel has that of the first. */
static void put_sas(void)
{
	const struct sa_set *set;
	struct plan plan;

	for (set = world.table->sets; set; set = set->hh.next) {
		sa_set_plan(set, &plan);
		for (size_t i = missing >> set->serial & 1; i < plan.sa_count; i++) {
			if (!fake_xfrm_sa(&plan.sas[i].id))
				fake_xfrm_put_sa(&plan.sas[i]);
		}
	}
}

/* The record of each set is what the set is written as. */
static void check_records(void)
{
	uint8_t listener[LISTENER_RECORD_MAX_BYTES], again[65536 + LISTENER_RECORD_MAX_BYTES];
	const struct sa_set *set;

	CHECK(fake_store_sets() == world_sets());
	for (set = world.table->sets; set; set = set->hh.next) {
		const struct span record = {(const char *)listener,
					    listener_record_write(set->listener, listener)};
		const struct fake_record *kept = fake_store_record(set->serial, 0);
		const size_t bytes = set_record_bytes(set, record);

		CHECK(kept && kept->bytes == bytes && bytes <= sizeof(again));
		set_record_write(set, record, again);
		CHECK(!memcmp(again, kept->data, bytes));
	}
}

static void use_sets(void)
{
	const struct sa_set_request request = world_request();
	struct sa_set *set = NULL;

	sa_set_create(world.table, &request, &set, &world.refusal);
	check_records();
	if (world.table->sets)
		sa_set_confirm(world.table->sets, 600, &world.refusal);
	check_records();
	if (world.table->sets)
		sa_set_used(world.table->sets);
	fake_clock_advance_s(130);
	if (world.table->sets)
		sa_set_release(world.table->sets, 5);
	check_records();
	fake_clock_advance_s(10);
}

static void start_and_use(void)
{
	struct audit_report report;
	struct restored restored;
	struct guards *guards;
	struct audit *audit;
	char why[400] = "";

	world.config.audit_interval_s = 0;
	CHECK(restore(world.table, &world.config, &guards, &restored, why, sizeof(why)) == 0);
	CHECK(restored.sets == world_sets());
	put_sas();
	audit = audit_new(&world.config, world.table, guards);
	CHECK(audit);
	audit_run(audit, &report);
	CHECK(!report.error && report.sets == world_sets());
	fake_clock_advance_ms(0);
	check_records();
	use_sets();
	audit_free(audit);
	sa_table_drop_all(world.table, "test");
	guards_remove(guards);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sets_begin();
	fill(data, size);
	start_and_use();
	sets_end();
	return 0;
}
