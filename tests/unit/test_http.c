/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/http.c and metrics.c: which resources there are at which door, and that the metrics are
 * what was counted.
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
#include "daemon/http.h"
#include "daemon/sip_flow.h"
#include "tests/unit/world.h"

static struct daemon d;
static char *response;
static bool closes;

static int start(void **state)
{
	const int err = world_start(state);

	event_reset();
	d = world_daemon();
	return err;
}

static int stop(void **state)
{
	free(response);
	response = NULL;
	event_reset();
	return world_stop(state);
}

static const char *ask(const char *method, const char *path, const char *body, bool may_control)
{
	struct frame_http frame = {0};
	char text[4096];
	size_t bytes = 0;
	const int n = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu"
						   "\r\n\r\n%s", method, path, strlen(body), body);

	assert_int_equal(frame_http_next(&frame, text, (size_t)n), n);
	free(response);
	response = http_handle(&d, &frame, text, may_control, &bytes, &closes);
	assert_non_null(response);
	assert_int_equal(strlen(response), bytes);
	return response;
}

static void assert_status(const char *text, const char *status)
{
	if (strncmp(text + strlen("HTTP/1.1 "), status, strlen(status)) != 0)
		fail_msg("%s", text);
}

static void assert_has(const char *text)
{
	if (!strstr(response, text))
		fail_msg("no \"%s\" in %s", text, response);
}

/* ---- tests ---- */

static void rpc_answers_as_the_control_socket_does(void **state)
{
	(void)state;
	assert_string_equal(ask("POST", "/rpc",
				"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon.version\"}", true),
			    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			    "Content-Length: 54\r\nConnection: keep-alive\r\n\r\n"
			    "{\"jsonrpc\":\"2.0\",\"result\":{\"version\":\"" SECAGREED_VERSION
			    "\"},\"id\":1}\n");
	assert_status(ask("POST", "/rpc", "", true), "200");
	assert_has("-32700");
	assert_status(ask("POST", "/rpc", "{}{}", true), "200");
	assert_has("-32700");
	assert_status(ask("POST", "/rpc", "[{},{}]", true), "200");
	assert_has("-32600");
	ask("POST", "/rpc", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"event.subscribe\"}", true);
	assert_has("no_stream");
}

static void a_notification_has_no_content(void **state)
{
	(void)state;
	assert_string_equal(ask("POST", "/rpc",
				"{\"jsonrpc\":\"2.0\",\"method\":\"daemon.version\"}", true),
			    "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
}

static void the_metrics_door_has_no_control(void **state)
{
	(void)state;
	assert_status(ask("POST", "/rpc", "{}", false), "404");
	assert_status(ask("GET", "/rpc", "", false), "404");
	assert_status(ask("GET", "/metrics", "", false), "200");
	assert_status(ask("GET", "/healthz", "", false), "200");
}

static void other_methods_and_paths_are_refused(void **state)
{
	(void)state;
	assert_status(ask("GET", "/rpc", "", true), "405");
	assert_has("Allow: POST\r\n");
	assert_status(ask("POST", "/metrics", "", true), "405");
	assert_has("Allow: GET\r\n");
	assert_status(ask("get", "/metrics", "", true), "405");
	assert_status(ask("GET", "/", "", true), "404");
	assert_status(ask("GET", "/metrics/", "", true), "404");
	assert_status(ask("GET", "/metrics?x", "", true), "404");
}

static void a_request_that_was_not_taken_closes(void **state)
{
	size_t bytes;

	(void)state;
	free(response);
	response = http_refusal(431, &bytes);
	assert_string_equal(response, "HTTP/1.1 431 Request Header Fields Too Large\r\n"
				      "Content-Type: text/plain; charset=utf-8\r\n"
				      "Content-Length: 32\r\nConnection: close\r\n\r\n"
				      "Request Header Fields Too Large\n");
	assert_int_equal(strlen(response), bytes);
}

static void metrics_are_what_was_counted(void **state)
{
	(void)state;
	world_registered();
	ask("POST", "/rpc", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon.status\"}", true);
	ask("POST", "/rpc", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sa.show\"}", true);
	ask("POST", "/rpc",
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sa.show\",\"params\":{\"set\":"
	    "\"0000000000000001\"}}", true);
	fake_clock_advance_ms(1500);
	ask("GET", "/metrics", "", true);
	assert_has("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	assert_has("\nsecagreed_uptime_seconds 1.500\n");
	assert_has("\nsecagreed_sets{state=\"current\"} 1\n");
	assert_has("\nsecagreed_sets{state=\"temporary\"} 0\n");
	assert_has("\nsecagreed_sets_limit 100000\n");
	assert_has("\nsecagreed_requests_total{method=\"daemon.status\",result=\"done\"} 1\n");
	assert_has("\nsecagreed_requests_total{method=\"sa.show\",result=\"bad_params\"} 1\n");
	assert_has("\nsecagreed_requests_total{method=\"sa.show\",result=\"refused\"} 1\n");
	assert_has("\nsecagreed_requests_total{method=\"sa.show\",result=\"done\"} 0\n");
	assert_has("\nsecagreed_refusals_total{reason=\"unknown_set\"} 1\n");
	assert_has("\nsecagreed_events_total{event=\"set-made\"} 1\n");
	assert_has("\nsecagreed_events_total{event=\"kernel-refused\"} 0\n");
	assert_has("\nsecagreed_request_duration_seconds_bucket{method=\"sa.show\",le=\"+Inf\"} 1\n");
	assert_has("\nsecagreed_request_duration_seconds_count{method=\"sa.show\"} 1\n");
	assert_has("\nsecagreed_request_duration_seconds_count{method=\"sa.list\"} 0\n");
	assert_has("\nsecagreed_set_changes_total{from=\"temporary\",to=\"current\"} 1\n");
	assert_has("\nsecagreed_set_changes_total{from=\"temporary\",to=\"gone\"} 0\n");
	assert_has("\nsecagreed_pending_registers 0\n");
	assert_has("\nsecagreed_netlink_datagrams_total 2\n");
	assert_has("\nsecagreed_netlink_messages_total 8\n");
}

static void times_are_counted_up_to_each_bound(void **state)
{
	struct histogram *took = &fake_xfrm.counts.took;

	(void)state;
	histogram_add(took, 20000);
	histogram_add(took, 30000);
	histogram_add(took, 2000000000);
	ask("GET", "/metrics", "", false);
	assert_has("\n# TYPE secagreed_netlink_duration_seconds histogram\n"
		   "secagreed_netlink_duration_seconds_bucket{le=\"2.5e-05\"} 1\n"
		   "secagreed_netlink_duration_seconds_bucket{le=\"5e-05\"} 2\n");
	assert_has("\nsecagreed_netlink_duration_seconds_bucket{le=\"1\"} 2\n"
		   "secagreed_netlink_duration_seconds_bucket{le=\"+Inf\"} 3\n"
		   "secagreed_netlink_duration_seconds_sum 2.000050000\n"
		   "secagreed_netlink_duration_seconds_count 3\n");
}

static void answers_of_the_kernel_stand_by_errno(void **state)
{
	(void)state;
	fake_xfrm.counts.refused[EEXIST] = 3;
	fake_xfrm.counts.refused[EXDEV] = 2;
	fake_xfrm.counts.refused[0] = 1;
	ask("GET", "/metrics", "", false);
	assert_has("\nsecagreed_netlink_errors_total{errno=\"EEXIST\"} 3\n");
	assert_has("\nsecagreed_netlink_errors_total{errno=\"ENOMEM\"} 0\n");
	assert_has("\nsecagreed_netlink_errors_total{errno=\"other\"} 3\n");
}

static void only_a_store_that_is_there_has_samples(void **state)
{
	(void)state;
	ask("GET", "/metrics", "", false);
	assert_has("\nsecagreed_store_bytes 8192\n");
	world.table->store = NULL;
	ask("GET", "/metrics", "", false);
	assert_null(strstr(response, "\nsecagreed_store_bytes "));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(rpc_answers_as_the_control_socket_does),
		TEST(a_notification_has_no_content),
		TEST(the_metrics_door_has_no_control),
		TEST(other_methods_and_paths_are_refused),
		TEST(a_request_that_was_not_taken_closes),
		TEST(metrics_are_what_was_counted),
		TEST(times_are_counted_up_to_each_bound),
		TEST(answers_of_the_kernel_stand_by_errno),
		TEST(only_a_store_that_is_there_has_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
