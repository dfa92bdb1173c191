/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sip.request and sip.response over the fake kernel: several messages in a row, time that passes
 * between them, a kernel that refuses.
 *
 * The input is a script. A line that begins with one of these is a command; what lies between two
 * of them is the message of the command before it, with the words of sets.h in it:
 *
 *   =LETTERS   first of all: how the listener is configured, see configure()
 *   >NPOTF     a message from the phone: N tells the set (0 = the newest) whose ports are meant, P
 *              the phone's port, O ours (c, s = protected client, server; o = 5060), T the
 *              transport (u, t, l), F flags, see read_flags()
 *   <NPOTF     the same to the phone; "-" for P or O: the front end does not know the place
 *   +N         N seconds pass
 *   !N         from now on the kernel refuses SAs (1, 2) or changes of them (3); 0: nothing
 *
 * What must be so of each verdict stands in check_verdict(); after each message the tables agree
 * with each other and with the kernel.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/sip_flow.h"
#include "tests/fuzz/sets.h"
#include "tests/fuzz/sip_check.h"
#include "tests/unit/world.h"

#define MAX_COMMANDS 40
#define MAX_PASS_S   1000000

static const char *our_address, *phone_address, *other_address;
static struct sip_flow *flow;

/* ---- the listener ---- */

static void serve_all_mechanisms(struct config_listener *l)
{
	static const struct span LIST[] = {{"tls;q=0.2", 9},
					   {"digest;d-alg=MD5;d-qop=auth;q=0.1", 33},
					   {"ipsec-3gpp;q=0.5", 16}};

	CHECK(server_list_read(LIST, 3, SELECT_MAX_PAIRS, &l->mechanisms, NULL, 0) == 0);
}

static void use_ipv6(struct config_listener *l)
{
	our_address = "2001:db8::1";
	phone_address = "2001:db8::7";
	other_address = "2001:db8:9::9";
	l->address = world_ip(our_address);
}

static void configure(char letter)
{
	struct config_listener *l = world.listener;

	switch (letter) {
	case '6': use_ipv6(l); break;
	case 'a': l->select.ah = l->select.tun = true; break;
	case 'c': l->security_server = CONFIG_SECURITY_SERVER_CHOSEN; break;
	case 'd': l->decide.other_clear = DECIDE_CLEAR_DISCARD; break;
	case 'f': l->decide.other_clear = DECIDE_CLEAR_FORBID; break;
	case 'g': l->decide.register_without_ipsec = DECIDE_CLEAR_FORBID; break;
	case 'h': l->decide.register_without_ipsec = DECIDE_CLEAR_DISCARD; break;
	case 'l': l->verify = COMPARE_LENIENT; break;
	case 'm': serve_all_mechanisms(l); break;
	case 'o': l->select.encryption = SELECT_ENCRYPTION_OFF; break;
	case 'p': l->policies = CONFIG_POLICIES_PER_SET; break;
	case 'n': l->returning_phone = CONFIG_RETURNING_PHONE_REFUSE; break;
	case 'r': l->decide.register_mismatch_494 = true; break;
	case 't': l->decide.tls_is_protected = true; break;
	case 'v': l->decide.verify_always = true; break;
	case 'w': l->decide.register_without_ipsec = DECIDE_CLEAR_FORWARD; break;
	case 'x': l->decide.sec_agree = false; break;
	}
}

/* ---- commands to calls ---- */

static uint16_t port_of(const struct ipsec_endpoint *e, char letter)
{
	if (!e || letter == 'o')
		return 5060;
	if (e->dialect == IPSEC_DIALECT_RFC3329)
		return letter == 'c' && e->port2 ? e->port2 : e->port1;
	return letter == 'c' ? e->port_c : e->port_s;
}

static struct sip_place place(char letter, const char *address, const struct ipsec_endpoint *e)
{
	struct sip_place place = {{0}, 0};

	if (letter != '-') {
		place.address = world_ip(address);
		place.port = port_of(e, letter);
	}
	return place;
}

static void read_flags(const char *flags, size_t n, struct sip_input *in, bool *ret_wrong_call)
{
	for (size_t i = 0; i < n; i++) {
		in->emergency |= flags[i] == 'e';
		*ret_wrong_call |= flags[i] == 'w';
		if (flags[i] == 'y' || flags[i] == 'z') {
			in->has_linger = true;
			in->linger_s = flags[i] == 'y' ? 5 : 0;
		}
		if (flags[i] == 'h')
			in->via = world_ip(phone_address);
	}
}

/* @line is at least 5 bytes long. */
static void read_command(struct span line, struct sip_input *in, bool *ret_wrong_call)
{
	const char *c = line.p;
	const struct sa_set *set = sets_nth((size_t)(uint8_t)(c[1] - '0'));
	const bool elsewhere = memchr(c + 5, 'n', line.n - 5) != NULL;
	const char *address = elsewhere ? other_address : phone_address;
	struct sip_place phone, ours;

	phone = place(c[2], address, set ? &set->ue : NULL);
	ours = place(c[3], our_address, set ? &set->pcscf : NULL);
	if (*c == '>' && (c[2] == '-' || c[3] == '-')) { /* command_sip.c refuses those */
		phone = place('o', address, NULL);
		ours = place('o', our_address, NULL);
	}
	in->direction = *c == '>' ? SIP_FROM_PHONE : SIP_TO_PHONE;
	in->source = *c == '>' ? phone : ours;
	in->destination = *c == '>' ? ours : phone;
	in->transport = c[4] == 't' ? SIP_TCP : c[4] == 'l' ? SIP_TLS : SIP_UDP;
	read_flags(c + 5, line.n - 5, in, ret_wrong_call);
}

/* ---- verdicts ---- */

static void check_forwarded_request(const struct sip_input *in, const struct sip_verdict *v,
				    const struct sip_message *m)
{
	const bool is_register = span_equal(m->method, span_of("REGISTER"));

	if (in->direction != SIP_FROM_PHONE)
		return;
	if (world.listener->decide.sec_agree)
		sip_check_clean(m);
	CHECK(!v->integrity_protected || v->is_protected);
	CHECK(v->has_integrity == is_register);
	if (is_register)
		sip_check_integrity(m, v->integrity_protected ? "yes" : "no");
}

/* What has to do with a set carries no list but that of the set, in a 401 (RFC 3329 2.6). */
static void check_list(const struct sip_verdict *v, const struct sip_message *m)
{
	const struct sip_header *list = sip_header(m, SIP_SECURITY_SERVER);
	const struct sa_set *set = sa_table_by_id(world.table, v->set_id);

	if (!list || !set || m->status == 421 || m->status == 494)
		return;
	CHECK(m->status == 401 && span_equal(list->value, span_of(world_text(set->security_server))));
}

static void check_forwarded_response(const struct sip_input *in, const struct sip_verdict *v,
				     const struct sip_message *m)
{
	if (in->direction == SIP_FROM_PHONE) {
		if (world.listener->decide.sec_agree)
			sip_check_clean(m);
		return;
	}
	if (world.listener->decide.sec_agree)
		check_list(v, m);
	if (span_equal(m->method, span_of("REGISTER")))
		sip_check_no_keys(m);
}

static void check_forwarded(const struct sip_input *in, const struct sip_verdict *v,
			    const struct sip_message *before)
{
	struct sip_message after;

	if (!sip_check_parse((struct span){v->message, v->message_bytes}, &after))
		return;
	sip_check_untouched(before, &after);
	if (before->status)
		check_forwarded_response(in, v, &after);
	else
		check_forwarded_request(in, v, &after);
	sip_message_done(&after);
}

static void check_reply(const struct sip_input *in, const struct sip_verdict *v,
			const struct sip_message *before)
{
	struct sip_message ours;

	CHECK(!span_equal(before->method, span_of("ACK")));
	CHECK(!before->status || in->direction == SIP_TO_PHONE);
	CHECK(v->code >= 400 && v->code <= 699 && v->phrase);
	if (!sip_check_parse((struct span){v->message, v->message_bytes}, &ours))
		return;
	CHECK(ours.status == v->code && span_equal(ours.method, before->method));
	CHECK(!sip_header(&ours, SIP_WWW_AUTHENTICATE));
	sip_message_done(&ours);
}

static void check_verdict(const struct sip_input *in, const struct sip_verdict *v)
{
	const char *why;
	struct sip_message before;
	const int err = sip_message_parse(in->message, &before, &why);

	CHECK(fuzz_is_printable(v->why));
	CHECK(v->action == DECIDE_FORWARD || v->why[0]);
	CHECK(!v->has_reason || v->reason < REASON_COUNT);
	CHECK((v->action == DECIDE_DROP) == !v->message);
	if (v->action == DECIDE_DROP) {
		CHECK(!v->has_way);
	} else {
		CHECK(!err && strlen(v->message) <= v->message_bytes);
		CHECK(!v->has_way || v->send_to.address.family != AF_UNSPEC);
	}
	if (v->action == DECIDE_FORWARD)
		check_forwarded(in, v, &before);
	if (v->action == DECIDE_REPLY)
		check_reply(in, v, &before);
	if (!err)
		sip_message_done(&before);
}

/* ---- the script ---- */

static void pass_message(struct span line, struct span message)
{
	struct sip_input in = {.message = sets_expand(message)};
	const bool is_response = message.n >= 8 && !memcmp(message.p, "SIP/2.0 ", 8);
	struct sip_verdict verdict = {0};
	struct refusal refusal = {.reason = REASON_COUNT};
	bool wrong_call = false;
	int err;

	read_command(line, &in, &wrong_call);
	err = is_response != wrong_call ? sip_flow_response(flow, &in, &verdict, &refusal)
					: sip_flow_request(flow, &in, &verdict, &refusal);
	CHECK(!err || (err == -ECANCELED && refusal.reason < REASON_COUNT && refusal.text[0]));
	CHECK(!err || refusal.reason != REASON_INTERNAL);
	if (!err) {
		check_verdict(&in, &verdict);
		sip_verdict_done(&verdict);
	}
	fuzz_free(in.message);
	sets_check();
}

static void pass_time(struct span digits)
{
	uint32_t seconds;

	if (text_to_u32(digits, 7, MAX_PASS_S, &seconds) == 0)
		fake_clock_advance_s(seconds);
	sets_check();
}

static void refuse_from_now(char how)
{
	fake_xfrm_refuse_all(FAKE_ADD_SA, how == '1' ? -EEXIST : how == '2' ? -ENOMEM : 0);
	fake_xfrm_refuse_all(FAKE_CHANGE_SA, how == '3' ? -ESRCH : 0);
}

static bool is_command(struct span rest)
{
	return rest.n && memchr("=<>+!", *rest.p, 5);
}

static struct span take_message(struct span *rest)
{
	struct span message = *rest;

	while (rest->n && !is_command(*rest))
		fuzz_line(rest);
	message.n -= rest->n;
	return message;
}

static void obey(struct span line, struct span *rest)
{
	switch (*line.p) {
	case '=':
		for (size_t i = 1; i < line.n && !world_sets(); i++)
			configure(line.p[i]);
		break;
	case '<':
	case '>':
		if (line.n >= 5)
			pass_message(line, take_message(rest));
		break;
	case '+':
		pass_time(fuzz_skip(line, 1));
		break;
	case '!':
		refuse_from_now(line.n > 1 ? line.p[1] : '0');
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = {(const char *)data, size};

	our_address = "192.0.2.1";
	phone_address = "198.51.100.7";
	other_address = "203.0.113.9";
	sets_begin();
	flow = sip_flow_new(world.table, &world.config);
	CHECK(flow);
	for (size_t i = 0; rest.n && i < MAX_COMMANDS; i++) {
		const struct span line = fuzz_line(&rest);

		if (is_command(line))
			obey(line, &rest);
	}
	sip_flow_free(flow);
	refuse_from_now('0');
	sets_end();
	return 0;
}
