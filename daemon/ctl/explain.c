/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl explain: why does this phone fail?
 *
 * What the daemon answers is put in the order in which one wants to read it: the likely causes, the
 * sets that live with what the kernel counts, and what happened, the newest first. A table turns
 * events into sentences; one that it does not know is printed as it comes, so that a newer daemon's
 * events are not lost.
 */
#include <string.h>
#include <time.h>

#include "daemon/ctl/ctl.h"
#include "xfrm/xfrm.h"

#define DETAIL_INDENT 25

/* "{name}" is a field of the event. What stands in brackets is left out when a field in it is not
 * there. @details: fields that get lines of their own, lists cut at "; ". */
static const struct sentence {
	const char *event;
	const char *text;
	const char *details[2];
} SENTENCES[] = {
	{"offer", "the phone offered to listener {listener}:", {"security_client", "considered"}},
	{"set-made", "set {set} was made: {alg}/{ealg}, {prot}, {mod}; {left_s} s to answer; sent:",
	 {"security_server"}},
	{"set-state", "set {set} went from {from} to {to}: {why}", {0}},
	{"set-moved", "set {set}: the NAT now gives the phone's ESP port {port}, before {from}", {0}},
	{"set-lost", "set {set}: the kernel lost it {left_s} s before its end", {0}},
	{"set-unanswered", "set {set} ended unanswered after {age_s} s: on spi {spi}, from port "
			   "{ue_port} to {port}, {packets} packets passed, {integrity_failed} failed "
			   "their integrity check, {replay_failed} were replayed; heard by the SIP "
			   "server: {heard}", {0}},
	{"refused", "{method} was refused, {reason}: {why}[; reply: {reply}]", {0}},
	{"message-refused", "a {method} on set {set} was refused, {reason}: {why}", {0}},
	{"sip-refused", "verdict on a SIP message: {verdict}[, {reason}]: {why}[; reply: {reply}]",
	 {0}},
	{"kernel-refused", "the kernel refused to {attempt} {object}: {errno} {text}", {0}},
	{"policy-lost", "a policy of set {set} was lost; restored: {restored}", {0}},
	{"policy-vanished", "a policy of set {set} vanished as it was made", {0}},
	{"keys-exported", "the keys of set {set} were read by user {uid}", {0}},
};

static const struct human_column columns[] = {
	{"DIRECTION", "direction", NULL, HUMAN_PLAIN},
	{"SPI", "spi", NULL, HUMAN_PLAIN},
	{"SOURCE", "src", "sport", HUMAN_ADDRESS},
	{"DESTINATION", "dst", "dport", HUMAN_ADDRESS},
	{"BYTES", "bytes", NULL, HUMAN_PLAIN},
	{"PACKETS", "packets", NULL, HUMAN_PLAIN},
	{"FORGED", "integrity_failed", NULL, HUMAN_PLAIN},
	{"REPLAYED", "replay_failed", NULL, HUMAN_PLAIN},
	{"LOST", "lost", NULL, HUMAN_PLAIN},
	{0},
};

/* ---- sentences ---- */

static void print_field(const json_t *value)
{
	if (json_is_integer(value))
		printf("%lld", (long long)json_integer_value(value));
	else
		human_text(stdout, json_string_value(value));
}

/* The field that "{name}" at @text names; @ret_after is what comes behind it. */
static const json_t *field_at(const json_t *event, const char *text, const char **ret_after)
{
	const size_t n = strcspn(text + 1, "}");
	char name[32];

	snprintf(name, sizeof(name), "%.*s", (int)n, text + 1);
	*ret_after = text + n + 2;
	return json_object_get(event, name);
}

/* Are all fields of the part in brackets that begins at @text there? */
static bool is_whole(const json_t *event, const char *text)
{
	const char *after;

	while (*text && *text != ']') {
		if (*text != '{')
			text++;
		else if (field_at(event, text, &after))
			text = after;
		else
			return false;
	}
	return true;
}

static void print_sentence(const json_t *event, const char *text)
{
	while (*text) {
		if (*text == '{') {
			print_field(field_at(event, text, &text));
		} else if (*text == '[' && !is_whole(event, text)) {
			text += strcspn(text, "]") + 1;
		} else {
			if (*text != '[' && *text != ']')
				putchar(*text);
			text++;
		}
	}
	putchar('\n');
}

static void print_detail(const char *list)
{
	const char *end;

	do {
		char item[4096];

		end = strstr(list, "; ");
		snprintf(item, sizeof(item), "%.*s", (int)(end ? end - list : (int)strlen(list)),
			 list);
		printf("%*s", DETAIL_INDENT, "");
		human_text(stdout, item);
		putchar('\n');
		list = end ? end + 2 : list;
	} while (end);
}

static void print_unknown(json_t *event)
{
	const char *key;
	json_t *value;

	fputs(options_text(event, "event"), stdout);
	json_object_foreach (event, key, value) {
		if (!strcmp(key, "seq") || !strcmp(key, "time_ms") || !strcmp(key, "event"))
			continue;
		monitor_print_field(stdout, key, value);
	}
	putchar('\n');
}

static const struct sentence *sentence_of(const char *event)
{
	for (size_t i = 0; i < sizeof(SENTENCES) / sizeof(SENTENCES[0]); i++)
		if (!strcmp(SENTENCES[i].event, event))
			return &SENTENCES[i];
	return NULL;
}

static void print_time(const json_t *ms)
{
	const time_t at = (time_t)(json_integer_value(ms) / 1000);
	char text[32] = "?";
	struct tm tm;

	if (localtime_r(&at, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	fputs(text, stdout);
}

static void print_event(json_t *event)
{
	const char *name = options_text(event, "event");
	const struct sentence *sentence = sentence_of(name ? name : "");

	fputs("  ", stdout);
	print_time(json_object_get(event, "time_ms"));
	fputs("  ", stdout);
	if (!sentence) {
		print_unknown(event);
		return;
	}
	print_sentence(event, sentence->text);
	for (size_t i = 0; i < 2 && sentence->details[i]; i++) {
		const char *detail = options_text(event, sentence->details[i]);

		if (detail && *detail)
			print_detail(detail);
	}
}

/* ---- the answer ---- */

static void print_likely(const json_t *likely)
{
	json_t *one;
	size_t i;

	if (!json_array_size(likely)) {
		puts("No likely cause shows.");
		return;
	}
	puts("Likely, the likeliest first:");
	json_array_foreach (likely, i, one) {
		printf("  %s: ", options_text(one, "cause"));
		human_text(stdout, options_text(one, "text"));
		if (options_text(one, "set"))
			printf(" (set %s)", options_text(one, "set"));
		putchar('\n');
	}
}

static void print_set(const json_t *set)
{
	const json_t *chosen = json_object_get(set, "chosen");

	printf("Set %s, %s, for ", options_text(set, "set"), options_text(set, "state"));
	human_text(stdout, options_text(set, "impi"));
	printf(": %s/%s, %s, %s, %llds left\n", options_text(chosen, "alg"),
	       options_text(chosen, "ealg"), options_text(chosen, "prot"),
	       options_text(chosen, "mod"),
	       (long long)json_integer_value(json_object_get(set, "expires_in")));
	human_table(stdout, json_object_get(set, "sas"), columns, 2);
}

static int status(const json_t *result)
{
	const size_t known = json_array_size(json_object_get(result, "sets")) +
			     json_array_size(json_object_get(result, "events"));

	return known ? CTL_YES : CTL_NO;
}

static void add_names(json_t *names, const json_t *array)
{
	json_t *one;
	size_t i;

	json_array_foreach (array, i, one)
		if (options_text(one, "impi"))
			json_object_set_new(names, options_text(one, "impi"), json_true());
}

/* Each subscriber of whom there is something in @result: behind one address there may be many. */
static json_t *names_of(const json_t *result)
{
	const char *impi = options_text(result, "impi");
	json_t *names = json_object();

	if (impi) {
		json_object_set_new(names, impi, json_true());
		return names;
	}
	add_names(names, json_object_get(result, "sets"));
	add_names(names, json_object_get(result, "events"));
	return names;
}

static void print_whose(json_t *names, const char *ue)
{
	const size_t count = json_object_size(names);

	if (count == 1)
		human_text(stdout, json_object_iter_key(json_object_iter(names)));
	else
		printf("%zu subscribers", count);
	fputs(" at ", stdout);
	human_text(stdout, ue ? ue : "no known address");
	puts("\n");
}

/* Events may be known without a phone: of requests that named an address or a set. */
static void print_nobody(const json_t *result, bool known)
{
	const char *impi = options_text(result, "impi"), *ue = options_text(result, "ue");
	const json_t *since = json_object_get(result, "since_ms");

	fputs(known ? "No subscriber is known of " : "Nothing is known of ", stdout);
	human_text(stdout, impi ? impi : ue ? ue : "this set");
	fputs(known ? ": what is below was about it, and no more.\n"
		    : ": no REGISTER of it was brought to the daemon, or none that a\n"
		      "401 answered.\n", stdout);
	fputs("What happened is remembered since ", stdout);
	if (since)
		print_time(since);
	else
		fputs("the daemon's start", stdout);
	fputs(known ? ".\n\n" : ".\n", stdout);
}

static void print(json_t *result)
{
	const bool known = status(result) == CTL_YES;
	json_t *names = names_of(result);
	const json_t *sets = json_object_get(result, "sets");
	const json_t *events = json_object_get(result, "events");
	json_t *one;
	size_t i;

	if (known && json_object_size(names))
		print_whose(names, options_text(result, "ue"));
	else
		print_nobody(result, known);
	json_decref(names);
	if (!known)
		return;
	print_likely(json_object_get(result, "likely"));
	json_array_foreach (sets, i, one) {
		puts("");
		print_set(one);
	}
	puts("\nWhat happened, newest first:");
	json_array_foreach (events, i, one)
		print_event(one);
}

/* 16 hexadecimal digits are a set, and an address is one; everything else is an identity. */
static const char *kind_of(const char *who)
{
	struct ip_addr ip;

	if (strlen(who) == 16 && strspn(who, "0123456789abcdefABCDEF") == 16)
		return "set";
	return ip_parse(who, &ip) == 0 ? "ue" : "impi";
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	json_t *who = json_object_get(args, "who");

	return rpc_ask(ctl, command, json_pack("{s:O}", kind_of(json_string_value(who)), who));
}

static const struct ctl_option options[] = {
	{"who", CTL_TEXT, CTL_REQUIRED | CTL_OPERAND | CTL_LOCAL, "PHONE",
	 "its private identity, its address, or one of its sets"},
	{0},
};

const struct ctl_command ctl_explain = {
	.name = "explain",
	.run = run,
	.help = "what happened to one phone, and why it fails",
	.method = "phone.explain",
	.options = options,
	.more = "Exit status 3: nothing is known of it.",
	.status = status,
	.print = print,
};
