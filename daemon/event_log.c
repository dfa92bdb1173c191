/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values may be a phone's or a stranger's words. A line is made so that they end neither it nor
 * their own place in it (quote.h); a long value is cut, and what has no room is left out whole and
 * told. So a line can be read back without doubt, and no pair of the daemon can be forged in it.
 *
 * An identity that is to be hidden becomes its SipHash under the secret key of hash.h, which is drawn
 * at random, stays through restarts of the daemon and ends with the machine's next start. A hash
 * without a key would hide nothing: there are few enough IMSIs to try them all. 64 bits suffice to
 * tell the subscribers of a network apart.
 */
#include "daemon/event_log.h"
#include "daemon/hash.h"
#include "daemon/log.h"
#include "daemon/log_limit.h"
#include "daemon/quote.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES      4096
#define VALUE_MAX_BYTES 640 /* before escapes; a Security-Server has some 500 */
#define SHORT_BYTES     24  /* of a number or a hash as text */
#define CUT             " cut=yes"

struct line {
	char text[LINE_BYTES];
	size_t n;
};

static bool hash_identities;

/* ---- texts ---- */

static void put(struct line *line, const char *text, size_t n)
{
	memcpy(line->text + line->n, text, n);
	line->n += n;
}

/* false: it has no room. */
static bool put_pair(struct line *line, const char *name, const char *value)
{
	const size_t room = sizeof(line->text) - sizeof(CUT) - line->n;
	const size_t name_n = strlen(name);
	char buf[QUOTE_BYTES(VALUE_MAX_BYTES)];
	size_t value_n;

	value = quote_value(value, VALUE_MAX_BYTES, buf, &value_n);
	if (name_n + value_n + 2 > room)
		return false;
	put(line, " ", 1);
	put(line, name, name_n);
	put(line, "=", 1);
	put(line, value, value_n);
	return true;
}

/* ---- values ---- */

static bool is_identity(const char *name)
{
	static const char *const NAMES[] = { "impi", "impu", "contact" };

	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		if (!strcmp(NAMES[i], name))
			return true;
	}
	return false;
}

/* Hashed twice, so that what the log tells is nothing that tables are built with. */
static uint64_t pseudonym(const char *identity)
{
	const uint64_t inner[] = { hash_bytes(identity, strlen(identity)), 'l' };

	return hash_bytes(inner, sizeof(inner));
}

static const char *value_of(const struct event_field *field, char buf[static SHORT_BYTES])
{
	const char *text = event_field_text(field);

	if (!text)
		snprintf(buf, SHORT_BYTES, "%" PRIu64, field->number);
	else if (hash_identities && text[0] && is_identity(field->name))
		snprintf(buf, SHORT_BYTES, "#%016" PRIx64, pseudonym(text));
	else
		return text;
	return buf;
}

static const char *reason_of(const struct event_field *fields)
{
	for (; fields->name; fields++) {
		if (!strcmp(fields->name, "reason") && !fields->absent && fields->text)
			return fields->text;
	}
	return "";
}

/* ---- lines ---- */

static void write_line(const char *word, int level, const struct event_field *fields)
{
	char bufs[EVENT_MAX_FIELDS][SHORT_BYTES];
	struct log_field values[EVENT_MAX_FIELDS + 1];
	struct line line;
	size_t count = 0;
	bool whole = true;

	line.n = 0;
	put(&line, "event=", strlen("event="));
	put(&line, word, strlen(word));
	values[count++] = (struct log_field){ "event", word };
	for (; fields->name && count <= EVENT_MAX_FIELDS; fields++) {
		if (fields->absent)
			continue;
		values[count].name = fields->name;
		values[count].value = value_of(fields, bufs[count - 1]);
		whole &= put_pair(&line, fields->name, values[count].value);
		count++;
	}
	put(&line, whole ? "" : CUT, whole ? 1 : sizeof(CUT));
	log_write(level, line.text, values, count);
}

static void report(const struct log_kind *kind)
{
	const struct event_field fields[] = {
		event_text("of", kind->event),
		event_text("reason", kind->reason[0] ? kind->reason : "none"),
		event_number("lines", kind->suppressed),
		{ .name = NULL },
	};

	/* event=log-suppressed */
	write_line("log-suppressed", kind->level, fields);
}

void event_log_set(bool hash, uint32_t max_lines)
{
	hash_identities = hash;
	log_limit_set(max_lines, report);
}

void event_log(const char *word, int level, const struct event_field *fields)
{
	if (log_wants(level) && log_limit_admits(word, reason_of(fields), level))
		write_line(word, level, fields);
}

void event_log_flush(void)
{
	log_limit_flush();
}
