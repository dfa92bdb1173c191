/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl doctor: is this machine fit to be a P-CSCF?
 *
 * The table below is the list of checks, in the order in which they are made and shown: what must
 * be right first comes first. Each looks at one thing and reports findings; one without any is
 * fine. A finding says what is, and what to do about it, in words for whoever runs the machine.
 *
 * Nothing is changed: what has to be tried (algorithms) is tried in an empty network namespace that
 * goes away with the child that tried. When the daemon lives in another network namespace, this
 * program goes there to look.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/doctor.h"

#define NEEDS_CONFIG  0x1U
#define NEEDS_NETWORK 0x2U /* the daemon's */

static const struct check {
	const char *name;
	void (*run)(struct doctor *d);
	unsigned needs;
	const char *fine;
} CHECKS[] = {
	{"configuration", doctor_configuration, 0, "can be used"},
	{"daemon", doctor_daemon, 0, "answers"},
	{"sockets", doctor_sockets, NEEDS_CONFIG, "their groups, rights and places are right"},
	{"state", doctor_state, NEEDS_CONFIG, "is its user's, and that user is there"},
	{"capability", doctor_capability, 0, "CAP_NET_ADMIN is there"},
	{"limits", doctor_limits, NEEDS_CONFIG, "open files and memory will do"},
	{"clock", doctor_clock, 0, "synchronised"},
	{"kernel", doctor_kernel, 0, "its version is not known for trouble"},
	{"algorithms", doctor_algorithms, 0, "the kernel can do all that is configured"},
	{"addresses", doctor_addresses, NEEDS_CONFIG | NEEDS_NETWORK, "of all listeners are up"},
	{"sysctls", doctor_sysctls, NEEDS_CONFIG | NEEDS_NETWORK, "none switches policies off"},
	{"policies", doctor_policies, NEEDS_CONFIG | NEEDS_NETWORK, "nothing shadows the guards"},
	{"ports", doctor_ports, NEEDS_CONFIG | NEEDS_NETWORK,
	 "the SIP server listens on all protected ports"},
	{"encap", doctor_encap, NEEDS_CONFIG | NEEDS_NETWORK,
	 "no other program has the port of UDP-enc-tun"},
	{"eavesdroppers", doctor_eavesdroppers, NEEDS_NETWORK, "no program listens to key events"},
	{"counters", doctor_counters, NEEDS_NETWORK, "the kernel has dropped nothing"},
};

#define CHECK_COUNT (sizeof(CHECKS) / sizeof(CHECKS[0]))

static const char *const LEVELS[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_WARN] = "warn",
	[DOCTOR_FAIL] = "fail",
};

/* ---- findings ---- */

/* Names of programs and files may be anything. */
static json_t *text_json(const char *text)
{
	json_t *json = json_string(text);
	char *ascii = json ? NULL : strdup(text);

	if (!ascii)
		return json;
	for (char *p = ascii; *p; p++)
		if (*p & 0x80)
			*p = '?';
	json = json_string(ascii);
	free(ascii);
	return json;
}

static json_t *formatted_json(const char *format, va_list args)
	__attribute__((format(printf, 1, 0)));

static json_t *formatted_json(const char *format, va_list args)
{
	json_t *json = NULL;
	char *text = NULL;

	if (vasprintf(&text, format, args) >= 0) {
		json = text_json(text);
		free(text);
	}
	return json;
}

void doctor_find(struct doctor *d, enum doctor_level level, const char *format, ...)
{
	json_t *found;
	va_list args;

	va_start(args, format);
	found = formatted_json(format, args);
	va_end(args);
	if (level > d->worst)
		d->worst = level;
	if (json_array_append_new(d->findings, json_pack("{s:s, s:s, s:o}", "check", d->check,
							 "level", LEVELS[level], "found", found)) <
	    0)
		d->no_memory = true;
}

void doctor_advise(struct doctor *d, const char *format, ...)
{
	const size_t count = json_array_size(d->findings);
	json_t *advice;
	va_list args;

	va_start(args, format);
	advice = formatted_json(format, args);
	va_end(args);
	if (json_object_set_new(json_array_get(d->findings, count - 1), "do", advice) < 0)
		d->no_memory = true;
}

/* ---- what more than one check reads ---- */

int doctor_line(const char *path, const char *name, char *ret_text, size_t cap)
{
	const size_t n = strlen(name);
	FILE *file = fopen(path, "re");
	char line[512];
	int err = -ENOENT;

	while (file && err && fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, n) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(ret_text, cap, "%s", line + n + strspn(line + n, " \t"));
		err = 0;
	}
	if (file)
		fclose(file);
	return err;
}

int doctor_number(const char *path, unsigned long long *ret)
{
	char text[64];

	if (doctor_line(path, "", text, sizeof(text)) < 0)
		return -ENOENT;
	return sscanf(text, "%llu", ret) == 1 ? 0 : -ENOENT;
}

/* ---- the program ---- */

static void make_check(struct doctor *d, const struct check *check)
{
	const size_t before = json_array_size(d->findings);

	if ((check->needs & NEEDS_CONFIG && !d->has_config) ||
	    (check->needs & NEEDS_NETWORK && d->elsewhere))
		return;
	d->check = check->name;
	check->run(d);
	if (json_array_size(d->findings) == before)
		doctor_find(d, DOCTOR_OK, "%s", check->fine);
}

static void print_finding(const json_t *finding)
{
	const char *advice = options_text(finding, "do");
	const char *level = options_text(finding, "level");

	if (strcmp(level, LEVELS[DOCTOR_FAIL]) == 0)
		level = "FAIL";
	printf("%s%-4s%s  %-13s  ", colour_on(stdout, colour_of(level)), level,
	       colour_off(stdout, colour_of(level)), options_text(finding, "check"));
	human_text(stdout, options_text(finding, "found"));
	if (advice) {
		printf("\n%*s-> ", 21, "");
		human_text(stdout, advice);
	}
	printf("\n");
}

static void print(const struct doctor *d)
{
	static const char *const VERDICTS[] = {
		[DOCTOR_OK] = "This machine is fit.",
		[DOCTOR_WARN] = "This machine is fit; see what is marked warn.",
		[DOCTOR_FAIL] = "This machine is not fit; see what is marked FAIL.",
	};
	json_t *finding;
	size_t i;

	json_array_foreach (d->findings, i, finding)
		print_finding(finding);
	puts(VERDICTS[d->worst]);
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	struct doctor d = {
		.config_path = options_text(args, "config"),
		.socket_path = options_text(args, "socket"),
		.findings = json_array(),
	};
	int status;

	(void)command;
	if (!d.config_path)
		d.config_path = CONFIG_DEFAULT_PATH;
	for (size_t i = 0; i < CHECK_COUNT; i++)
		make_check(&d, &CHECKS[i]);
	json_decref(d.status);
	status = d.worst == DOCTOR_FAIL ? CTL_NO : CTL_YES;
	if (d.no_memory) {
		json_decref(d.findings);
		return output_no_memory(ctl);
	}
	if (ctl->json)
		return output_json(json_pack("{s:b, s:o}", "fit", d.worst != DOCTOR_FAIL,
					     "findings", d.findings),
				   status);
	print(&d);
	json_decref(d.findings);
	return status;
}

static const struct ctl_option options[] = {
	{"config", CTL_TEXT, CTL_LOCAL, "FILE", "the daemon's configuration"},
	{0},
};

const struct ctl_command ctl_doctor = {
	.name = "doctor",
	.run = run,
	.help = "is this machine fit? Also without a running daemon",
	.method = "daemon.status",
	.options = options,
	.more = "Each finding says what to do. Run it as root, or some of it cannot be seen.\n"
		"Exit status 3: something is wrong.",
};
