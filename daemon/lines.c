/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/lines.h"

#include <stdlib.h>
#include <string.h>

char *lines_join(const struct lines *lines)
{
	size_t bytes = 1;
	char *text, *end;

	for (size_t i = 0; i < lines->count; i++)
		bytes += lines->line[i].n + 2;
	text = malloc(bytes);
	if (!text)
		return NULL;
	end = text;
	for (size_t i = 0; i < lines->count; i++) {
		if (i)
			end = mempcpy(end, ", ", 2);
		end = mempcpy(end, lines->line[i].p, lines->line[i].n);
	}
	*end = '\0';
	return text;
}
