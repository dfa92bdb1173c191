/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/event_json.h"

#include <stdio.h>

/* Words of a phone need not be UTF-8: then what is not ASCII becomes '?'. */
json_t *event_json_text(const char *text)
{
	json_t *json = json_string(text);
	char ascii[1024];

	if (json)
		return json;
	snprintf(ascii, sizeof(ascii), "%s", text);
	for (char *c = ascii; *c; c++) {
		if ((unsigned char)*c > '~')
			*c = '?';
	}
	return json_string(ascii);
}

json_t *event_json(const struct event_record *record)
{
	json_t *json = json_pack("{s:I, s:I, s:s, s:s}", "seq", (json_int_t)record->seq, "time_ms",
				 (json_int_t)record->time_ms, "event", event_word(record->name),
				 "level", event_level(record->name));

	for (size_t i = 0; json && i < record->field_count; i++) {
		const char *text = record->fields[i].text;

		json_object_set_new(json, record->fields[i].name,
				    text ? event_json_text(text)
					 : json_integer((json_int_t)record->fields[i].number));
	}
	return json;
}
