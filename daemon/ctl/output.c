/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON on standard output, the errors of the commands that ask nobody, and whatever fails in this
 * program: in words for people and, with -o json, as an object where the answer would have been.
 *
 * It goes past stdio: what is printed may hold keys, and stdio's buffer would keep a copy. The text
 * is made by the JSON library, which wipes what it frees (main.c). A line that could not be written
 * in full is an error of the program, whatever the answer was.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"
#include "daemon/wipe.h"

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

/* NULL = out of memory */
static int write_line(const char *text)
{
	int r = -ENOMEM;

	if (text) {
		r = fflush(stdout) == 0 ? 0 : -errno;
		if (r == 0)
			r = write_all(STDOUT_FILENO, text, strlen(text));
		if (r == 0)
			r = write_all(STDOUT_FILENO, "\n", 1);
	}
	if (r < 0)
		fprintf(stderr, "secagreectl: standard output: %s\n", strerror(-r));
	return r;
}

int output_json(json_t *json, int status)
{
	char *text = json ? json_dumps(json, CTL_JSON_FLAGS) : NULL;
	int r = write_line(text);

	wipe_free(text);
	json_decref(json);
	return r < 0 ? CTL_REFUSED : status;
}

int output_written(struct json_out *out, int status)
{
	json_t *json = out->err ? NULL : json_loadb(out->text, out->n, 0, NULL);

	json_out_done(out);
	return output_json(json, status);
}

int output_text(json_t *string)
{
	int r = write_line(json_string_value(string));

	json_decref(string);
	return r < 0 ? CTL_REFUSED : CTL_YES;
}

/* Arguments and names of files are any bytes; JSON is text. */
static json_t *text_json(const char *text)
{
	json_t *json = json_string(text);
	char *copy = json ? NULL : strdup(text);

	for (char *p = copy; p && *p; p++)
		*p = (unsigned char)*p < 0x80 ? *p : '?';
	if (copy)
		json = json_string(copy);
	wipe_free(copy);
	return json;
}

json_t *output_error_json(const char *reason, const char *detail, long offset)
{
	json_t *error = json_pack("{s:s, s:o}", "reason", reason, "detail", text_json(detail));

	if (offset >= 0 && json_object_set_new(error, "offset", json_integer(offset)) < 0) {
		json_decref(error);
		return NULL;
	}
	return error;
}

int output_error(const char *reason, const char *detail, long offset)
{
	return output_json(json_pack("{s:o}", "error", output_error_json(reason, detail, offset)),
			   CTL_REFUSED);
}

int output_failure(const struct ctl *ctl, int status, const char *reason, const char *why)
{
	const char *name = ctl->command ? ctl->command->name : NULL;

	fputs("secagreectl: ", stderr);
	human_text(stderr, why);
	fputs("\n", stderr);
	if (status == CTL_USAGE)
		fprintf(stderr, "Try secagreectl %s%s--help\n", name ? name : "", name ? " " : "");
	if (!ctl->json)
		return status;
	return output_json(json_pack("{s:o}", "error", output_error_json(reason, why, -1)), status);
}

int output_usage(const struct ctl *ctl, const char *why)
{
	return output_failure(ctl, CTL_USAGE, "usage", why);
}

int output_no_memory(const struct ctl *ctl)
{
	return output_failure(ctl, CTL_REFUSED, "internal", "out of memory");
}
