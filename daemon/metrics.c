/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One table: each metric, its type, its help and the function that writes its samples. Base units,
 * counters end in _total, and every label has few values that are known beforehand (methods,
 * reasons, states, events): nothing that a phone can choose becomes a label.
 */
#include "daemon/metrics.h"
#include "daemon/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct metric {
	const char *name;
	const char *type;
	const char *help;
	void (*write)(const struct metric *metric, const struct daemon *d, FILE *out);
};

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

static void write_refusals(const struct metric *m, const struct daemon *d, FILE *out)
{
	for (unsigned reason = 0; reason < REASON_COUNT; reason++)
		fprintf(out, "%s{reason=\"%s\"} %" PRIu64 "\n", m->name,
			reason_token((enum reason)reason), d->refused[reason]);
}

static void write_events(const struct metric *m, const struct daemon *d, FILE *out)
{
	(void)d;
	for (unsigned name = 0; name < EVENT_COUNT; name++)
		fprintf(out, "%s{event=\"%s\"} %" PRIu64 "\n", m->name,
			event_word((enum event_name)name), event_total((enum event_name)name));
}

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

static const struct metric METRICS[] = {
	{ "secagreed_build_info", "gauge", "Which version this is; always 1.", write_build },
	{ "secagreed_uptime_seconds", "gauge", "Time since the start.", write_uptime },
	{ "secagreed_sets", "gauge", "Sets of SAs, by state.", write_sets },
	{ "secagreed_sets_limit", "gauge", "max-sets of the configuration.", write_max_sets },
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
	{ "secagreed_refusals_total", "counter", "Requests and messages refused, by reason.",
	  write_refusals },
	{ "secagreed_events_total", "counter",
	  "What happened, by event; secagreed(8) explains them.", write_events },
	{ "secagreed_netlink_datagrams_total", "counter", "Datagrams sent to the kernel.",
	  write_datagrams },
	{ "secagreed_netlink_messages_total", "counter", "Messages in them.", write_messages },
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
