/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/event_json.h"

void event_json(struct json_out *out, const struct event_record *record)
{
	json_open(out, '{');
	json_add_number(out, "seq", record->seq);
	json_name(out, "time_ms");
	json_put_integer(out, record->time_ms);
	json_add_text(out, "event", event_word(record->name));
	json_add_text(out, "level", event_level(record->name));
	for (size_t i = 0; i < record->field_count; i++) {
		const char *name = record->fields[i].name, *text = record->fields[i].text;

		if (text)
			json_add_text(out, name, text);
		else
			json_add_number(out, name, record->fields[i].number);
	}
	json_close(out, '}');
}
