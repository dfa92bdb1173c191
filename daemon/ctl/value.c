/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mistakes that can be told before the daemon is asked, and what was probably meant: values of
 * options that have a form, by the name of the value; and names that are nearly right.
 *
 * The daemon checks all of it again. This is here for the words.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/ctl.h"
#include "xfrm/xfrm.h"

static bool is_set(const char *text)
{
	return strlen(text) == 16 && strspn(text, "0123456789abcdefABCDEF") == 16;
}

static bool is_address(const char *text)
{
	struct ip_addr ip;

	return ip_parse(text, &ip) == 0;
}

static bool is_port(const char *text)
{
	uint32_t number;

	return text_to_u32(span_of(text), 10, UINT16_MAX, &number) == 0;
}

static bool is_number(const char *text)
{
	uint32_t number;

	return text_to_u32(span_of(text), 10, UINT32_MAX, &number) == 0;
}

const char *value_wanted(const struct ctl_option *option, const char *text)
{
	static const struct {
		const char *metavar;
		bool (*is_good)(const char *text);
		const char *wanted;
	} FORMS[] = {
		{"SET", is_set, "16 hexadecimal digits, as list prints them"},
		{"ADDRESS", is_address, "an IPv4 or IPv6 address"},
		{"PORT", is_port, "a number from 0 to 65535"},
		{"SECONDS", is_number, "seconds, a number from 0 to 4294967295"},
	};

	for (size_t i = 0; option->metavar && i < sizeof(FORMS) / sizeof(FORMS[0]); i++)
		if (strcmp(FORMS[i].metavar, option->metavar) == 0)
			return FORMS[i].is_good(text) ? NULL : FORMS[i].wanted;
	if (option->kind == CTL_NUMBER && !is_number(text))
		return "a number from 0 to 4294967295";
	return NULL;
}

/* ---- names that are nearly right ---- */

#define NEAR_BYTES 24 /* longer names are not looked at */
#define NEAR_EDITS 2

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	const unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Characters to put in, to take out or to exchange for others. */
static unsigned edits(const char *a, const char *b)
{
	const size_t na = strlen(a), nb = strlen(b);
	unsigned row[NEAR_BYTES + 1];

	for (unsigned j = 0; j <= nb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= na; i++) {
		unsigned before = row[0]; /* of the row above, one to the left */

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			const unsigned above = row[j];

			row[j] = least(above + 1, row[j - 1] + 1,
				       before + (a[i - 1] != b[j - 1]));
			before = above;
		}
	}
	return row[nb];
}

bool value_is_near(const char *name, const char *meant)
{
	const size_t n = strlen(name), m = strlen(meant);

	if (n > NEAR_BYTES || m > NEAR_BYTES || n < 2)
		return false;
	return strncmp(name, meant, n) == 0 || (m > NEAR_EDITS && edits(name, meant) <= NEAR_EDITS);
}
