/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Colours on a terminal, and nowhere else: not in a file or a pipe, not on a terminal that is
 * called dumb, and not for those who set NO_COLOR (no-color.org). They only repeat what a word
 * says already. The eight of ECMA-48 are enough, so the terminal's own choice of shades holds.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"

/* What is put together in memory is for standard output. */
static bool is_wanted(FILE *f)
{
	const int fd = fileno(f) < 0 ? STDOUT_FILENO : fileno(f);
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(fd) && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

const char *colour_on(FILE *f, enum colour colour)
{
	/* ECMA-48 8.3.117, select graphic rendition */
	static const char *const CODES[] = {
		[COLOUR_NONE] = "",
		[COLOUR_BOLD] = "\033[1m",
		[COLOUR_DIM] = "\033[2m",
		[COLOUR_RED] = "\033[31m",
		[COLOUR_GREEN] = "\033[32m",
		[COLOUR_YELLOW] = "\033[33m",
		[COLOUR_CYAN] = "\033[36m",
	};

	return is_wanted(f) ? CODES[colour] : "";
}

const char *colour_off(FILE *f, enum colour colour)
{
	return colour != COLOUR_NONE && is_wanted(f) ? "\033[m" : "";
}

enum colour colour_of(const char *word)
{
	static const struct {
		const char *word;
		enum colour colour;
	} WORDS[] = {
		{"temporary", COLOUR_YELLOW}, {"new", COLOUR_CYAN},   {"current", COLOUR_GREEN},
		{"old", COLOUR_DIM},          {"ok", COLOUR_GREEN},   {"warn", COLOUR_YELLOW},
		{"FAIL", COLOUR_RED},         {"error", COLOUR_RED},  {"warning", COLOUR_YELLOW},
	};

	for (size_t i = 0; word && i < sizeof(WORDS) / sizeof(WORDS[0]); i++)
		if (strcmp(WORDS[i].word, word) == 0)
			return WORDS[i].colour;
	return COLOUR_NONE;
}
