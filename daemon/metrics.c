/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One table: each metric, its type, its help and the function that writes its samples. Base units,
 * counters end in _total, and every label has few values that are known beforehand (methods,
 * reasons, states, events): nothing that a phone can choose becomes a label. A sample is there from
 * the start with a zero, so that the first one counted is not overlooked; only the store's are
 * missing where nothing is stored, and the kernel's where it does not count.
 *
 * All of it is counted elsewhere, by whoever does the thing. To be asked costs nothing that grows
 * with the number of sets.
 */
#include "daemon/metrics.h"
#include "daemon/event.h"
#include "daemon/log.h"
#include "daemon/log_limit.h"
#include "daemon/sip_flow.h"
#include "daemon/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct metric {
	const char *name;
	const char *type;
	const char *help;
	void (*write)(const struct metric *metric, const struct daemon *d, FILE *out);
};

/* ---- the daemon itself ---- */

static void write_build(const struct metric *m, const struct daemon *d, FILE *out)
{
	(void)d;
	fprintf(out, "%s{version=\"%s\"} 1\n", m->name, SECAGREED_VERSION);
}

static void write_uptime(const struct metric *m, const struct daemon *d, FILE *out)
{
	const uint64_t ms = clock_monotonic_ms() - d->started_ms;

	fprintf(out, "%s %" PRIu64 ".%03" PRIu64 "\n", m->name, ms / 1000, ms % 1000);
}

static void write_cpu(const struct metric *m, const struct daemon *d, FILE *out)
{
	struct timespec used = { 0 };

	(void)d;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	fprintf(out, "%s %lld.%09ld\n", m->name, (long long)used.tv_sec, used.tv_nsec);
}

static void write_memory(const struct metric *m, const struct daemon *d, FILE *out)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	(void)d;
	if (!file)
		return;
	if (fscanf(file, "%*u %lu", &pages) == 1)
		fprintf(out, "%s %llu\n", m->name,
			(unsigned long long)pages * (unsigned long)sysconf(_SC_PAGESIZE));
	fclose(file);
}

/* ---- sets ---- */

static void write_sets(const struct metric *m, const struct daemon *d, FILE *out)
{
	for (unsigned state = 0; state < SA_SET_GONE; state++)
		fprintf(out, "%s{state=\"%s\"} %" PRIu64 "\n", m->name,
			sa_set_state_name((enum sa_set_state)state), d->table->count[state]);
}

static void write_max_sets(const struct metric *m, const struct daemon *d, FILE *out)
{
	fprintf(out, "%s %" PRIu32 "\n", m->name, d->config->max_sets);
}

static void write_changes(const struct metric *m, const struct daemon *d, FILE *out)
{
	for (unsigned from = 0; from < SA_SET_GONE; from++) {
		for (unsigned to = from + 1; to <= SA_SET_GONE; to++)
			fprintf(out, "%s{from=\"%s\",to=\"%s\"} %" PRIu64 "\n", m->name,
				sa_set_state_name((enum sa_set_state)from),
				sa_set_state_name((enum sa_set_state)to),
				d->table->changes[from][to]);
	}
}

static void write_pending(const struct metric *m, const struct daemon *d, FILE *out)
{
	fprintf(out, "%s %zu\n", m->name, d->sip ? sip_pending_count(d->sip->pending) : 0);
}

static void write_max_pending(const struct metric *m, const struct daemon *d, FILE *out)
{
	(void)d;
	fprintf(out, "%s %u\n", m->name, SIP_PENDING_MAX);
}

static void write_store(const struct metric *m, const struct daemon *d, FILE *out)
{
	struct store_usage usage;

	if (store_usage(d->table->store, &usage) == 0)
		fprintf(out, "%s %" PRIu64 "\n", m->name, usage.bytes);
}

static void write_max_store(const struct metric *m, const struct daemon *d, FILE *out)
{
	struct store_usage usage;

	if (store_usage(d->table->store, &usage) == 0)
		fprintf(out, "%s %" PRIu64 "\n", m->name, usage.max_bytes);
}

/* ---- requests and events ---- */

static void write_requests(const struct metric *m, const struct daemon *d, FILE *out)
{
	static const char *const RESULTS[CALL_RESULTS] = {
		[CALL_DONE] = "done",
		[CALL_BAD_PARAMS] = "bad_params",
		[CALL_REFUSED] = "refused",
	};

	for (size_t i = 0; COMMANDS[i].name; i++) {
		for (unsigned result = 0; result < CALL_RESULTS; result++)
			fprintf(out, "%s{method=\"%s\",result=\"%s\"} %" PRIu64 "\n", m->name,
				COMMANDS[i].name, RESULTS[result], d->calls[i][result]);
	}
}

static void write_faults(const struct metric *m, const struct daemon *d, FILE *out)
{
	static const char *const FAULTS[CALL_FAULTS] = {
		[CALL_NO_JSON] = "no_json",
		[CALL_NO_REQUEST] = "no_request",
		[CALL_NO_METHOD] = "no_method",
	};

	for (unsigned fault = 0; fault < CALL_FAULTS; fault++)
		fprintf(out, "%s{fault=\"%s\"} %" PRIu64 "\n", m->name, FAULTS[fault],
			d->faults[fault]);
}

static void write_open(const struct metric *m, const struct daemon *d, FILE *out)
{
	for (unsigned door = 0; door < CONN_DOORS; door++)
		fprintf(out, "%s{door=\"%s\"} %" PRIu64 "\n", m->name,
			conn_door_word((enum conn_door)door), conn_count_open(&d->conns[door]));
}

static void write_opened(const struct metric *m, const struct daemon *d, FILE *out)
{
	for (unsigned door = 0; door < CONN_DOORS; door++)
		fprintf(out, "%s{door=\"%s\"} %" PRIu64 "\n", m->name,
			conn_door_word((enum conn_door)door), d->conns[door].opened);
}

static void write_ended(const struct metric *m, const struct daemon *d, FILE *out)
{
	for (unsigned door = 0; door < CONN_DOORS; door++) {
		for (unsigned end = 0; end < CONN_ENDS; end++)
			fprintf(out, "%s{door=\"%s\",why=\"%s\"} %" PRIu64 "\n", m->name,
				conn_door_word((enum conn_door)door),
				conn_end_word((enum conn_end)end), d->conns[door].ended[end]);
	}
}

static void write_full(const struct metric *m, const struct daemon *d, FILE *out)
{
	for (unsigned door = 0; door < CONN_DOORS; door++)
		fprintf(out, "%s{door=\"%s\"} %" PRIu64 "\n", m->name,
			conn_door_word((enum conn_door)door), d->conns[door].full);
}

/* @label: "" or as in 'method="sa.show",' */
static void write_histogram(FILE *out, const char *name, const char *label,
			    const struct histogram *h)
{
	const int bare = label[0] ? (int)strlen(label) - 1 : 0;
	uint64_t count = 0;

	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		count += h->count[i];
		fprintf(out, "%s_bucket{%sle=\"%g\"} %" PRIu64 "\n", name, label,
			(double)HISTOGRAM_BOUNDS_NS[i] / 1e9, count);
	}
	count += h->count[HISTOGRAM_BOUNDS];
	fprintf(out, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, label, count);
	fprintf(out, "%s_sum%s%.*s%s %" PRIu64 ".%09" PRIu64 "\n", name, bare ? "{" : "", bare,
		label, bare ? "}" : "", h->sum_ns / 1000000000, h->sum_ns % 1000000000);
	fprintf(out, "%s_count%s%.*s%s %" PRIu64 "\n", name, bare ? "{" : "", bare, label,
		bare ? "}" : "", count);
}

static void write_request_time(const struct metric *m, const struct daemon *d, FILE *out)
{
	char label[64];

	for (size_t i = 0; COMMANDS[i].name; i++) {
		snprintf(label, sizeof(label), "method=\"%s\",", COMMANDS[i].name);
		write_histogram(out, m->name, label, &d->took[i]);
	}
}

static void write_refusals(const struct metric *m, const struct daemon *d, FILE *out)
{
	for (unsigned reason = 0; reason < REASON_COUNT; reason++)
		fprintf(out, "%s{reason=\"%s\"} %" PRIu64 "\n", m->name,
			reason_token((enum reason)reason), d->refused[reason]);
}

static void write_yielded(const struct metric *m, const struct daemon *d, FILE *out)
{
	for (unsigned limit = 0; limit < SA_LIMITS; limit++)
		fprintf(out, "%s{limit=\"%s\"} %" PRIu64 "\n", m->name,
			sa_limit_word((enum sa_limit)limit), d->table->yielded[limit]);
}

static void write_events(const struct metric *m, const struct daemon *d, FILE *out)
{
	(void)d;
	for (unsigned name = 0; name < EVENT_COUNT; name++)
		fprintf(out, "%s{event=\"%s\"} %" PRIu64 "\n", m->name,
			event_word((enum event_name)name), event_total((enum event_name)name));
}

static void write_suppressed(const struct metric *m, const struct daemon *d, FILE *out)
{
	(void)d;
	fprintf(out, "%s %" PRIu64 "\n", m->name, log_limit_total() + log_lost());
}

/* ---- the kernel ---- */

static void write_datagrams(const struct metric *m, const struct daemon *d, FILE *out)
{
	uint64_t datagrams, messages;

	xfrm_sent(d->xfrm, &datagrams, &messages);
	fprintf(out, "%s %" PRIu64 "\n", m->name, datagrams);
}

static void write_messages(const struct metric *m, const struct daemon *d, FILE *out)
{
	uint64_t datagrams, messages;

	xfrm_sent(d->xfrm, &datagrams, &messages);
	fprintf(out, "%s %" PRIu64 "\n", m->name, messages);
}

static void write_netlink_time(const struct metric *m, const struct daemon *d, FILE *out)
{
	write_histogram(out, m->name, "", &xfrm_counts(d->xfrm)->took);
}

/* What XFRM is known to answer has its own sample; EIO stands for no answer at all. */
static void write_errors(const struct metric *m, const struct daemon *d, FILE *out)
{
	static const int KNOWN[] = {
		EPERM,  ENOENT,  ESRCH,     EIO,        ENOMEM,  EEXIST,
		EINVAL, ENOBUFS, EMSGSIZE, EOPNOTSUPP, EPROTONOSUPPORT, ENOSYS,
	};
	const uint64_t *refused = xfrm_counts(d->xfrm)->refused;
	uint64_t other = 0;

	for (size_t i = 0; i < XFRM_ERRNOS; i++)
		other += refused[i];
	for (size_t i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++) {
		fprintf(out, "%s{errno=\"%s\"} %" PRIu64 "\n", m->name, strerrorname_np(KNOWN[i]),
			refused[KNOWN[i]]);
		other -= refused[KNOWN[i]];
	}
	fprintf(out, "%s{errno=\"other\"} %" PRIu64 "\n", m->name, other);
}

struct drops_out {
	const char *metric;
	FILE *out;
};

static void write_drop(const char *name, uint64_t count, void *arg)
{
	const struct drops_out *to = arg;

	fprintf(to->out, "%s{counter=\"%s\"} %" PRIu64 "\n", to->metric, name, count);
}

static void write_drops(const struct metric *m, const struct daemon *d, FILE *out)
{
	struct drops_out to = { m->name, out };

	(void)d;
	xfrm_read_stat(write_drop, &to);
}

static const struct metric METRICS[] = {
	{ "secagreed_build_info", "gauge", "Which version this is; always 1.", write_build },
	{ "secagreed_uptime_seconds", "gauge", "Time since the start.", write_uptime },
	{ "secagreed_cpu_seconds_total", "counter", "Time on a processor, user and system.",
	  write_cpu },
	{ "secagreed_resident_memory_bytes", "gauge", "Memory of the process.", write_memory },
	{ "secagreed_sets", "gauge", "Sets of SAs, by state.", write_sets },
	{ "secagreed_sets_limit", "gauge", "max-sets of the configuration.", write_max_sets },
	{ "secagreed_set_changes_total", "counter", "Changes of a set's state.", write_changes },
	{ "secagreed_pending_registers", "gauge", "REGISTERs that wait for their response.",
	  write_pending },
	{ "secagreed_pending_registers_limit", "gauge", "The most of them.", write_max_pending },
	{ "secagreed_store_bytes", "gauge", "Used in the store of the state-dir.", write_store },
	{ "secagreed_store_limit_bytes", "gauge", "Room in the store.", write_max_store },
	{ "secagreed_requests_total", "counter", "Requests, by method and how they ended.",
	  write_requests },
	{ "secagreed_bad_requests_total", "counter", "What was no call of a method, by its fault.",
	  write_faults },
	{ "secagreed_connections", "gauge", "Connections, by door.", write_open },
	{ "secagreed_connections_opened_total", "counter", "Connections let in, by door.",
	  write_opened },
	{ "secagreed_connections_ended_total", "counter", "Connections that ended, and why.",
	  write_ended },
	{ "secagreed_door_full_total", "counter",
	  "How often the last place at a door was taken: the next ones wait.", write_full },
	{ "secagreed_request_duration_seconds", "histogram",
	  "From a request that is read to its result, by method.", write_request_time },
	{ "secagreed_refusals_total", "counter", "Requests and messages refused, by reason.",
	  write_refusals },
	{ "secagreed_yielded_total", "counter",
	  "Temporary sets that gave their place to another, by limit.", write_yielded },
	{ "secagreed_events_total", "counter",
	  "What happened, by event; secagreed(8) explains them.", write_events },
	{ "secagreed_log_suppressed_total", "counter",
	  "Lines that the log did not take, for log-limit or a journal that is behind.",
	  write_suppressed },
	{ "secagreed_netlink_datagrams_total", "counter", "Datagrams sent to the kernel.",
	  write_datagrams },
	{ "secagreed_netlink_messages_total", "counter", "Messages in them.", write_messages },
	{ "secagreed_netlink_duration_seconds", "histogram",
	  "From a transaction that is sent to its last answer.", write_netlink_time },
	{ "secagreed_netlink_errors_total", "counter", "Messages that the kernel refused, by errno.",
	  write_errors },
	{ "secagreed_xfrm_drops_total", "counter",
	  "Packets that XFRM dropped in this network namespace, by the kernel's counter.",
	  write_drops },
};

char *metrics_text(const struct daemon *d, size_t *ret_bytes)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_bytes);

	if (!out)
		return NULL;
	for (size_t i = 0; i < sizeof(METRICS) / sizeof(METRICS[0]); i++) {
		const struct metric *m = &METRICS[i];

		fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
		m->write(m, d, out);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}
