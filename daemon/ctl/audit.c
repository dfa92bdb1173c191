/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl audit: what the kernel holds against what the daemon's sets say.
 *
 * The kernel is read through libnl, another implementation than the daemon's; then the daemon is
 * asked for its sets, one after the other. Each side becomes lines, and what is on one side alone is a
 * finding. Sets come and go meanwhile: where there are findings both are read once more, and only
 * what is found twice counts.
 *
 * Nothing is changed, unless the daemon is asked to mend (--mend), which it does after a comparison
 * of its own. What bears no mark of ours is counted and left alone.
 */
#include <netlink/errno.h>
#include <string.h>
#include <time.h>

#include "daemon/ctl/audit.h"
#include "daemon/ctl/doctor.h"
#include "daemon/ctl/kernel_read.h"
#include "daemon/plan.h"

#define PAGE        10000 /* sets in a page of the list */
#define LIST_TRIES  10
#define TOLERANCE_S 2

struct audit {
	const struct ctl *ctl;
	struct client client;
	struct config config; /* of the listeners, what daemon.status says */
	struct audit_kernel kernel;
	json_t *findings;
	json_int_t sets, sas, policies;
	bool no_memory;
};

static int ask(struct audit *a, const char *method, json_t *params, json_t **ret)
{
	return rpc_try_on(a->ctl, &a->client, method, params, "unknown_set", ret);
}

/* ---- findings ---- */

static void find(struct audit *a, const char *what, const json_t *set, const char *line)
{
	json_t *id = json_object_get(set, "set");

	if (json_array_append_new(a->findings,
				  json_pack("{s:s, s:O?, s:s}", "found", what, "set",
					    id ? id : json_null(), "object", line)) < 0)
		a->no_memory = true;
}

/* Is @line in the kernel? Then it is no finding, whoever else has it. *@ret_until_s as in
 * struct audit_kernel. */
static bool tick_off(struct audit *a, json_t *lines, const char *line, json_int_t *ret_until_s)
{
	const json_t *value = json_object_get(lines, line);

	if (!value)
		return false;
	*ret_until_s = json_integer_value(value);
	if (json_object_set_new(lines, line, json_true()) < 0)
		a->no_memory = true;
	return true;
}

/* What nobody has ticked off. */
static void find_rest(struct audit *a, const char *what, json_t *lines)
{
	const char *line;
	json_t *value;

	json_object_foreach (lines, line, value)
		if (!json_is_true(value))
			find(a, what, NULL, line);
}

/* ---- one set ---- */

/* One for each SA, in its words. */
static void compare_policy(struct audit *a, const json_t *set, const struct audit_sa *sa, bool in)
{
	const struct audit_policy policy = {
		.in = in,
		.src = {sa->src, sa->sport, sa->sport ? 0xffff : 0},
		.dst = {sa->dst, sa->dport, sa->dport ? 0xffff : 0},
		.proto = sa->proto,
		.mode = sa->mode,
		.reqid = sa->reqid,
		.odd = "",
	};
	char line[AUDIT_LINE_BYTES];
	json_int_t until_s;

	a->policies++;
	if (!tick_off(a, a->kernel.policies, audit_policy_line(&policy, line), &until_s))
		find(a, "missing_policy", set, line);
}

static void compare_sa(struct audit *a, const json_t *set, const json_t *json, bool in_udp)
{
	const json_int_t left_s = json_integer_value(json_object_get(set, "expires_in"));
	const json_int_t reqid = json_integer_value(json_object_get(set, "reqid"));
	char line[AUDIT_LINE_BYTES];
	json_int_t spi, until_s = 0;
	struct audit_sa sa = {.reqid = (uint32_t)reqid, .in_udp = in_udp, .odd = ""};
	const char *direction;
	int sport, dport;

	if (json_unpack((json_t *)(uintptr_t)json, "{s:s, s:I, s:s, s:s, s:i, s:i, s:s, s:s}",
			"direction", &direction, "spi", &spi, "src", &sa.src, "dst", &sa.dst,
			"sport", &sport, "dport", &dport, "proto", &sa.proto, "mode",
			&sa.mode) < 0)
		return;
	sa.spi = (uint32_t)spi;
	sa.sport = (uint16_t)sport;
	sa.dport = (uint16_t)dport;
	a->sas++;
	if (!tick_off(a, a->kernel.sas, audit_sa_line(&sa, line), &until_s))
		find(a, "missing_sa", set, line);
	else if (until_s && until_s + TOLERANCE_S < time(NULL) + left_s)
		find(a, "early_limit", set, line);
	if (json_integer_value(json_object_get(set, "own_policies")))
		compare_policy(a, set, &sa, strcmp(direction, "in") == 0);
}

static void compare_set(struct audit *a, const json_t *set)
{
	const char *mod = options_text(json_object_get(set, "chosen"), "mod");
	const bool in_udp = mod && strcmp(mod, "udp-enc-tun") == 0;
	json_t *sa;
	size_t i;

	a->sets++;
	json_array_foreach (json_object_get(set, "sas"), i, sa)
		compare_sa(a, set, sa, in_udp);
}

/* ---- all sets ---- */

/* CTL_NO: the page's first set has gone meanwhile. */
static int list_once(struct audit *a, json_t *ids)
{
	json_t *params = json_pack("{s:i}", "limit", PAGE), *page = NULL, *set;
	int status = CTL_YES;
	size_t i;

	json_array_clear(ids);
	while (status == CTL_YES && params) {
		status = ask(a, "sa.list", json_deep_copy(params), &page);
		if (status != CTL_YES)
			break;
		json_array_foreach (json_object_get(page, "sets"), i, set)
			json_array_append(ids, json_object_get(set, "set"));
		set = json_object_get(page, "next");
		if (!json_is_string(set) || json_object_set(params, "after", set) < 0) {
			json_decref(params);
			params = NULL;
		}
		json_decref(page);
	}
	json_decref(params);
	return status;
}

static int list_sets(struct audit *a, json_t *ids)
{
	int status = CTL_NO;

	for (unsigned i = 0; i < LIST_TRIES && status == CTL_NO; i++)
		status = list_once(a, ids);
	if (status == CTL_NO)
		status = output_failure(a->ctl, CTL_REFUSED, "internal",
					"the sets change too fast to be listed");
	return status;
}

static int compare_sets(struct audit *a, const json_t *ids)
{
	const size_t count = json_array_size(ids);
	int status = CTL_YES;
	json_t *id, *set;
	size_t i;

	json_array_foreach (ids, i, id) {
		progress_count("sets compared", i, count);
		status = ask(a, "sa.show", json_pack("{s:O}", "set", id), &set);
		if (status == CTL_NO)
			continue; /* it has ended */
		if (status != CTL_YES)
			break;
		compare_set(a, set);
		json_decref(set);
	}
	progress_end();
	return status == CTL_NO ? CTL_YES : status;
}

/* ---- guards ---- */

static const char *address_text(const struct ip_addr *ip, char buf[static IP_TEXT_BYTES])
{
	return ip->family == AF_UNSPEC ? "any" : ip_format(ip, buf);
}

static void compare_guard(struct audit *a, const struct xfrm_policy *guard)
{
	const struct xfrm_sel *sel = &guard->sel;
	char from[IP_TEXT_BYTES], to[IP_TEXT_BYTES], line[AUDIT_LINE_BYTES];
	const struct audit_policy policy = {
		.in = guard->dir == XFRM_IN,
		.src = {address_text(&sel->src, from), sel->sport, sel->sport_mask},
		.dst = {address_text(&sel->dst, to), sel->dport, sel->dport_mask},
		.proto = "esp",
		.mode = "transport",
		.reqid = guard->reqid,
		.odd = "",
	};
	json_int_t until_s;

	a->policies++;
	if (!tick_off(a, a->kernel.policies, audit_policy_line(&policy, line), &until_s))
		find(a, "missing_guard", NULL, line);
}

static void compare_guards(struct audit *a)
{
	struct xfrm_policy guards[PLAN_MAX_GUARDS];

	for (size_t i = 0; i < a->config.listener_count; i++) {
		const size_t count = plan_guards(&a->config.listeners[i], guards);

		for (size_t k = 0; k < count; k++)
			compare_guard(a, &guards[k]);
	}
}

/* ---- one comparison ---- */

static int read_kernel(struct audit *a)
{
	char why[CTL_WHY_BYTES];
	int err;

	json_decref(a->kernel.sas);
	json_decref(a->kernel.policies);
	a->kernel = (struct audit_kernel){
		.config = &a->config, .sas = json_object(), .policies = json_object()};
	err = audit_read_kernel(&a->kernel);
	if (!err)
		return CTL_YES;
	snprintf(why, sizeof(why), "the kernel cannot be read: %s%s", nl_geterror(err),
		 err == -NLE_PERM ? " (this takes CAP_NET_ADMIN: run it as root)" : "");
	return output_failure(a->ctl, CTL_REFUSED, "internal", why);
}

static int compare(struct audit *a)
{
	json_t *ids = json_array();
	int status = read_kernel(a);

	a->sets = a->sas = a->policies = 0;
	json_array_clear(a->findings);
	if (status == CTL_YES)
		status = list_sets(a, ids);
	if (status == CTL_YES)
		status = compare_sets(a, ids);
	compare_guards(a);
	find_rest(a, "unknown_sa", a->kernel.sas);
	find_rest(a, "unknown_policy", a->kernel.policies);
	json_decref(ids);
	return status;
}

static const char *finding_text(const json_t *finding, char *buf, size_t cap)
{
	const char *set = options_text(finding, "set");

	snprintf(buf, cap, "%s %s %s", options_text(finding, "found"), set ? set : "",
		 options_text(finding, "object"));
	return buf;
}

/* Leave those that are in @before, too. */
static void keep_common(struct audit *a, const json_t *before)
{
	json_t *texts = json_object(), *both = json_array(), *one;
	char text[AUDIT_LINE_BYTES + 64];
	size_t i;

	json_array_foreach (before, i, one)
		json_object_set_new(texts, finding_text(one, text, sizeof(text)), json_true());
	json_array_foreach (a->findings, i, one)
		if (json_object_get(texts, finding_text(one, text, sizeof(text))))
			json_array_append(both, one);
	json_decref(texts);
	json_decref(a->findings);
	a->findings = both;
}

/* Twice, where there is something to find. */
static int compare_surely(struct audit *a)
{
	int status = compare(a);
	json_t *before;

	if (status != CTL_YES || !json_array_size(a->findings))
		return status;
	before = json_deep_copy(a->findings);
	status = compare(a);
	keep_common(a, before);
	json_decref(before);
	return status;
}

/* ---- the daemon ---- */

/* What is compared is the network that the daemon serves. */
static int enter_network(const struct ctl *ctl, const json_t *status)
{
	const int pid = (int)json_integer_value(json_object_get(status, "pid"));
	char path[64], name[32] = "", why[CTL_WHY_BYTES];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (doctor_line(path, "", name, sizeof(name)) < 0 || strcmp(name, "secagreed") != 0) {
		snprintf(why, sizeof(why), "the daemon calls itself process %d, which cannot be "
					   "seen from here: run this where it runs", pid);
		return output_failure(ctl, CTL_REFUSED, "internal", why);
	}
	err = kernel_enter_network(pid);
	if (!err)
		return CTL_YES;
	snprintf(why, sizeof(why), "the daemon's network namespace is closed to us: %s",
		 strerror(-err));
	return output_failure(ctl, CTL_REFUSED, "internal", why);
}

static int meet_daemon(struct audit *a)
{
	json_t *result;
	int status = ask(a, "daemon.status", json_object(), &result);

	if (status != CTL_YES)
		return status;
	a->config.listener_count = doctor_listeners(result, a->config.listeners);
	status = enter_network(a->ctl, result);
	json_decref(result);
	return status;
}

/* ---- the subcommand ---- */

static const struct human_column columns[] = {
	{"FOUND", "found", NULL, HUMAN_PLAIN},
	{"SET", "set", NULL, HUMAN_PLAIN},
	{"OBJECT", "object", NULL, HUMAN_PLAIN},
	{0},
};

static json_t *report_json(const struct audit *a, json_t *mended)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:O, s:o*}", "clean",
			 !json_array_size(a->findings), "sets", a->sets, "sas", a->sas, "policies",
			 a->policies, "foreign_sas", a->kernel.foreign_sas, "foreign_policies",
			 a->kernel.foreign_policies, "larval_sas", a->kernel.larval_sas,
			 "findings", a->findings, "mended", mended);
}

static int print(const struct audit *a, json_t *mended)
{
	const bool clean = !json_array_size(a->findings) &&
			   (!mended || json_is_true(json_object_get(mended, "clean")));
	json_t *report = report_json(a, mended);

	if (a->ctl->form != CTL_FORM_TEXT)
		return rpc_print(a->ctl, report, clean ? CTL_YES : CTL_NO);
	human_block(stdout, report, "findings");
	if (json_array_size(a->findings)) {
		fputs("\n", stdout);
		human_table(stdout, a->findings, columns, 0);
	}
	json_decref(report);
	return clean ? CTL_YES : CTL_NO;
}

static int audit(struct audit *a, bool mend)
{
	json_t *mended = NULL;
	int status = meet_daemon(a);

	if (status == CTL_YES)
		status = compare_surely(a);
	if (status == CTL_YES && mend)
		status = ask(a, "daemon.audit", json_object(), &mended);
	if (status == CTL_YES && !a->no_memory)
		return print(a, mended);
	json_decref(mended);
	return status == CTL_YES ? output_no_memory(a->ctl) : status;
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	struct audit a = {.ctl = ctl, .findings = json_array()};
	int status = rpc_open(ctl, &a.client);

	(void)command;
	if (status == CTL_YES) {
		status = audit(&a, json_is_true(json_object_get(args, "mend")));
		client_close(&a.client);
	}
	json_decref(a.kernel.sas);
	json_decref(a.kernel.policies);
	json_decref(a.findings);
	return status;
}

static const struct ctl_option options[] = {
	{"mend", CTL_FLAG, CTL_LOCAL, NULL, "have the daemon mend it: daemon.audit"},
	{0},
};

const struct ctl_command ctl_audit = {
	.name = "audit",
	.run = run,
	.help = "compare the kernel with the sets",
	.method = "daemon.audit",
	.options = options,
	.forms = CTL_HAS_TSV,
	.more = "The kernel is read by other code than the daemon's. Run it as root.\n"
		"Exit status 3: there is something to mend.",
};
