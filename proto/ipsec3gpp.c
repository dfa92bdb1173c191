/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a parsed list to the ipsec-3gpp offers in it, and from suites back to a header value.
 *
 * The two dialects differ only in their numbers: spi-c, spi-s, port-c, port-s (TS 24.229 7.2A.7) or
 * spi, port1, port2 (RFC 3329 Appendix A). Each has a table of them here; all checks walk the
 * table. What a phone may offer, and which combination of names is legal, is the same in both.
 *
 * Two degrees of wrong: a name that we do not know or a combination that cannot work costs that
 * entry (a newer phone may list more than we know), a number that is missing, out of range or
 * different from the other entries' costs the header. Nothing here chooses: that is select.c.
 */
#include "proto/ipsec3gpp.h"

#include <errno.h>
#include <string.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* TS 33.203 Annex H; hmac-md5-96 and des-ede3-cbc as in its releases before 14 */
static const char *const alg_names[] = {
	[IPSEC_ALG_HMAC_MD5_96] = "hmac-md5-96",
	[IPSEC_ALG_HMAC_SHA_1_96] = "hmac-sha-1-96",
	[IPSEC_ALG_AES_GMAC] = "aes-gmac",
	[IPSEC_ALG_NULL] = "null",
	[IPSEC_ALG_UNKNOWN] = "?",
};

static const char *const ealg_names[] = {
	[IPSEC_EALG_NULL] = "null",
	[IPSEC_EALG_DES_EDE3_CBC] = "des-ede3-cbc",
	[IPSEC_EALG_AES_CBC] = "aes-cbc",
	[IPSEC_EALG_AES_GCM] = "aes-gcm",
	[IPSEC_EALG_UNKNOWN] = "?",
};

static const char *const prot_names[] = {
	[IPSEC_PROT_ESP] = "esp",
	[IPSEC_PROT_AH] = "ah",
	[IPSEC_PROT_UNKNOWN] = "?",
};

static const char *const mod_names[] = {
	[IPSEC_MOD_TRANS] = "trans",
	[IPSEC_MOD_TUN] = "tun",
	[IPSEC_MOD_UDP_ENC_TUN] = "UDP-enc-tun",
	[IPSEC_MOD_UNKNOWN] = "?",
};

const char *ipsec_alg_name(enum ipsec_alg alg)
{
	return alg_names[alg];
}

const char *ipsec_ealg_name(enum ipsec_ealg ealg)
{
	return ealg_names[ealg];
}

const char *ipsec_prot_name(enum ipsec_prot prot)
{
	return prot_names[prot];
}

const char *ipsec_mod_name(enum ipsec_mod mod)
{
	return mod_names[mod];
}

/* Index of @name in @names, whose last element stands for UNKNOWN; "?" is no token. */
static size_t index_of(struct span name, const char *const *names, size_t count)
{
	size_t i = 0;

	while (i + 1 < count && !span_is(name, names[i]))
		i++;
	return i;
}

enum ipsec_alg ipsec_alg_of(struct span name)
{
	return (enum ipsec_alg)index_of(name, alg_names, COUNT_OF(alg_names));
}

enum ipsec_ealg ipsec_ealg_of(struct span name)
{
	return (enum ipsec_ealg)index_of(name, ealg_names, COUNT_OF(ealg_names));
}

enum ipsec_prot ipsec_prot_of(struct span name)
{
	return (enum ipsec_prot)index_of(name, prot_names, COUNT_OF(prot_names));
}

enum ipsec_mod ipsec_mod_of(struct span name)
{
	return (enum ipsec_mod)index_of(name, mod_names, COUNT_OF(mod_names));
}

static const char *unknown_fault(const struct ipsec_suite *suite)
{
	if (suite->alg == IPSEC_ALG_UNKNOWN)
		return "the integrity algorithm (alg) is not known";
	if (suite->ealg == IPSEC_EALG_UNKNOWN)
		return "the encryption algorithm (ealg) is not known";
	if (suite->prot == IPSEC_PROT_UNKNOWN)
		return "the protocol (prot) is not known";
	if (suite->mod == IPSEC_MOD_UNKNOWN)
		return "the mode (mod) is not known";
	return NULL;
}

/* TS 33.203 Annex H, RFC 4543 (aes-gmac is a cipher of its own, and null) */
static const char *cipher_fault(const struct ipsec_suite *suite)
{
	bool null = suite->alg == IPSEC_ALG_NULL;
	bool gcm = suite->ealg == IPSEC_EALG_AES_GCM;

	if (null && suite->ealg == IPSEC_EALG_NULL)
		return "neither integrity nor encryption";
	if (null && !gcm)
		return "alg=null goes with ealg=aes-gcm only";
	if (gcm && !null)
		return "ealg=aes-gcm goes with alg=null only";
	if (suite->alg == IPSEC_ALG_AES_GMAC && suite->ealg != IPSEC_EALG_NULL)
		return "alg=aes-gmac goes with ealg=null only";
	return NULL;
}

static const char *ah_fault(const struct ipsec_suite *suite)
{
	if (suite->ealg != IPSEC_EALG_NULL)
		return "prot=ah does not encrypt";
	if (suite->alg == IPSEC_ALG_AES_GMAC)
		return "prot=ah goes with hmac algorithms only";
	if (suite->mod == IPSEC_MOD_UDP_ENC_TUN)
		return "mod=UDP-enc-tun goes with prot=esp only";
	return NULL;
}

const char *ipsec_suite_fault(const struct ipsec_suite *suite)
{
	const char *fault = unknown_fault(suite);

	if (!fault)
		fault = cipher_fault(suite);
	if (!fault && suite->prot == IPSEC_PROT_AH)
		fault = ah_fault(suite);
	return fault;
}

bool ipsec_suite_in_profile(const struct ipsec_suite *suite, enum ipsec_dialect dialect)
{
	switch (dialect) {
	case IPSEC_DIALECT_24229:
		return suite->prot == IPSEC_PROT_ESP &&
		       (suite->mod == IPSEC_MOD_TRANS || suite->mod == IPSEC_MOD_UDP_ENC_TUN);
	case IPSEC_DIALECT_RFC3329:
		return (suite->prot == IPSEC_PROT_ESP || suite->prot == IPSEC_PROT_AH) &&
		       (suite->mod == IPSEC_MOD_TRANS || suite->mod == IPSEC_MOD_TUN);
	}
	return false;
}

bool ipsec_suite_known(const struct ipsec_suite *suite)
{
	return !unknown_fault(suite);
}

bool ipsec_suite_encrypts(const struct ipsec_suite *suite)
{
	return suite->ealg != IPSEC_EALG_NULL && suite->ealg != IPSEC_EALG_UNKNOWN;
}

bool ipsec_suite_equal(const struct ipsec_suite *a, const struct ipsec_suite *b)
{
	return a->alg == b->alg && a->ealg == b->ealg && a->prot == b->prot && a->mod == b->mod;
}

#define MAX_NUMBERS    4
#define MAX_SPI_DIGITS 10
#define MIN_PHONE_SPI  256 /* below: reserved by IANA, RFC 4303 2.1 */

struct number_rule {
	const char *name; /* NULL ends a table */
	bool is_port;
	bool optional;
};

/* TS 24.229 7.2A.7, TS 33.203 Annex H */
static const struct number_rule numbers_24229[MAX_NUMBERS + 1] = {
	{"spi-c", false, false},
	{"spi-s", false, false},
	{"port-c", true, false},
	{"port-s", true, false},
};

/* RFC 3329 Appendix A */
static const struct number_rule numbers_rfc3329[MAX_NUMBERS + 1] = {
	{"spi", false, false},
	{"port1", true, false},
	{"port2", true, true},
};

/* The numbers of one entry, in the order of its dialect's table; 0 = not there. */
struct numbers {
	enum ipsec_dialect dialect;
	uint32_t value[MAX_NUMBERS];
};

static const struct number_rule *rules_of(enum ipsec_dialect dialect)
{
	switch (dialect) {
	case IPSEC_DIALECT_24229:
		return numbers_24229;
	case IPSEC_DIALECT_RFC3329:
		return numbers_rfc3329;
	}
	return NULL;
}

static bool has_number_of(const struct sec_mechanism *m, enum ipsec_dialect dialect)
{
	for (const struct number_rule *rule = rules_of(dialect); rule->name; rule++) {
		if (sec_mechanism_param(m, rule->name))
			return true;
	}
	return false;
}

static size_t value_offset(const struct sec_mechanism *m, const struct sec_param *param)
{
	return m->offset + (size_t)(param->value.p - m->name.p);
}

static int read_number(const struct sec_mechanism *m, const struct sec_param *param,
		       const struct number_rule *rule, enum sec_header_kind kind,
		       uint32_t *ret_value, struct sec_error *ret_error)
{
	uint32_t max = rule->is_port ? UINT16_MAX : UINT32_MAX;
	const char *fault = NULL;
	uint32_t value = 0;
	int r = text_to_u32(param->value, MAX_SPI_DIGITS, max, &value);

	if (r == -EINVAL)
		fault = "is not a decimal number of 1 to 10 digits";
	else if (r)
		fault = rule->is_port ? "is above 65535" : "is above 4294967295";
	else if (value == 0)
		fault = "is 0";
	else if (!rule->is_port && kind == SEC_CLIENT && value < MIN_PHONE_SPI)
		fault = "is below 256, a reserved SPI";
	if (fault)
		return sec_error_set(ret_error, m->line, value_offset(m, param), "%s %s",
				     rule->name, fault);
	*ret_value = value;
	return 0;
}

static int read_numbers(const struct sec_mechanism *m, enum sec_header_kind kind,
			struct numbers *ret, struct sec_error *ret_error)
{
	const struct number_rule *rules = rules_of(ret->dialect);

	for (size_t i = 0; rules[i].name; i++) {
		const struct sec_param *param = sec_mechanism_param(m, rules[i].name);
		int r = 0;

		if (param)
			r = read_number(m, param, &rules[i], kind, &ret->value[i], ret_error);
		if (r)
			return r;
	}
	return 0;
}

static void add_missing(struct text_out *list, const char *name)
{
	text_out_printf(list, "%s%s", list->n ? ", " : "", name);
}

/* C3: alg and the numbers are mandatory. */
static int check_complete(const struct sec_mechanism *m, const struct numbers *numbers,
			  struct sec_error *ret_error)
{
	const struct number_rule *rules = rules_of(numbers->dialect);
	const struct sec_param *alg = sec_mechanism_param(m, "alg");
	struct text_out missing;
	char buf[64];

	text_out_init(&missing, buf, sizeof(buf));
	if (!alg || alg->kind == SEC_VALUE_NONE)
		add_missing(&missing, "alg");
	for (size_t i = 0; rules[i].name; i++) {
		if (!numbers->value[i] && !rules[i].optional)
			add_missing(&missing, rules[i].name);
	}
	if (missing.n)
		return sec_error_set(ret_error, m->line, m->offset, "ipsec-3gpp without %s", buf);
	return 0;
}

/* C6: two unique SPIs and two unique ports (TS 33.203 7.1). Appendix A has one SPI, and nothing
 * against one port for both directions. */
static int check_distinct(const struct sec_mechanism *m, const struct numbers *numbers,
			  struct sec_error *ret_error)
{
	const char *name = NULL;
	const uint32_t *v = numbers->value;

	if (numbers->dialect != IPSEC_DIALECT_24229)
		return 0;
	if (v[0] == v[1])
		name = "spi-s";
	else if (v[2] == v[3])
		name = "port-s";
	if (!name)
		return 0;
	return sec_error_set(ret_error, m->line, value_offset(m, sec_mechanism_param(m, name)),
			     "%s is equal to %s", name, v[0] == v[1] ? "spi-c" : "port-c");
}

/* C7: one pair of SPIs and one pair of ports in a header (TS 33.203 7.2 NOTE 1 and 2). */
static int check_same(const struct sec_mechanism *m, const struct numbers *numbers,
		      const struct numbers *first, struct sec_error *ret_error)
{
	const struct number_rule *rules = rules_of(numbers->dialect);

	if (numbers->dialect != first->dialect)
		return sec_error_set(ret_error, m->line, m->offset,
				     "entries with spi-c and entries with spi in one header");
	for (size_t i = 0; rules[i].name; i++) {
		const struct sec_param *param = sec_mechanism_param(m, rules[i].name);

		if (numbers->value[i] == first->value[i])
			continue;
		return sec_error_set(ret_error, m->line,
				     param ? value_offset(m, param) : m->offset,
				     "%s differs from the first ipsec-3gpp entry's", rules[i].name);
	}
	return 0;
}

/* The value of a parameter of the suite; @fallback when it is not there. */
static struct span name_or(const struct sec_mechanism *m, const char *param_name,
			   const char *fallback)
{
	const struct sec_param *param = sec_mechanism_param(m, param_name);

	return param ? param->value : span_of(fallback);
}

static void read_offer(const struct sec_mechanism *m, struct ipsec_offer *ret)
{
	ret->alg = name_or(m, "alg", "");
	ret->ealg = name_or(m, "ealg", "null");
	ret->prot = name_or(m, "prot", "esp");
	ret->mod = name_or(m, "mod", "trans");
	/* a quoted name keeps its quotes and so is none that we know */
	ret->suite = (struct ipsec_suite){ipsec_alg_of(ret->alg), ipsec_ealg_of(ret->ealg),
					  ipsec_prot_of(ret->prot), ipsec_mod_of(ret->mod)};
	ret->q_milli = m->q_milli;
	ret->fault = ipsec_suite_fault(&ret->suite);
}

static void set_endpoint(const struct numbers *numbers, struct ipsec_endpoint *ret)
{
	const uint32_t *v = numbers->value;

	*ret = (struct ipsec_endpoint){.dialect = numbers->dialect};
	switch (numbers->dialect) {
	case IPSEC_DIALECT_24229:
		ret->spi_c = v[0];
		ret->spi_s = v[1];
		ret->port_c = (uint16_t)v[2];
		ret->port_s = (uint16_t)v[3];
		break;
	case IPSEC_DIALECT_RFC3329:
		ret->spi = v[0];
		ret->port1 = (uint16_t)v[1];
		ret->port2 = (uint16_t)v[2];
		break;
	}
}

/* C6 forbids 5060 and 5061, but real phones use them. */
static const char *warning_about(const struct numbers *numbers)
{
	const struct number_rule *rules = rules_of(numbers->dialect);

	for (size_t i = 0; rules[i].name; i++) {
		if (rules[i].is_port && (numbers->value[i] == 5060 || numbers->value[i] == 5061))
			return "a protected port is 5060 or 5061, which TS 33.203 7.1 forbids";
	}
	return NULL;
}

static bool is_passed_over(const struct sec_mechanism *m, enum sec_header_kind kind)
{
	if (!span_is(m->name, "ipsec-3gpp") || sec_mechanism_param(m, "mediasec"))
		return true;
	return kind != SEC_CLIENT && !sec_mechanism_param(m, "alg") &&
	       !has_number_of(m, IPSEC_DIALECT_24229) && !has_number_of(m, IPSEC_DIALECT_RFC3329);
}

/* C12: with both dialects in one entry the -c/-s parameters count. */
static enum ipsec_dialect dialect_of(const struct sec_mechanism *m)
{
	if (!has_number_of(m, IPSEC_DIALECT_24229) && has_number_of(m, IPSEC_DIALECT_RFC3329))
		return IPSEC_DIALECT_RFC3329;
	return IPSEC_DIALECT_24229;
}

static int read_entry(const struct sec_mechanism *m, enum sec_header_kind kind,
		      struct numbers *ret, struct sec_error *ret_error)
{
	int r;

	*ret = (struct numbers){.dialect = dialect_of(m)};
	r = read_numbers(m, kind, ret, ret_error);
	if (!r)
		r = check_complete(m, ret, ret_error);
	if (!r)
		r = check_distinct(m, ret, ret_error);
	return r;
}

int ipsec3gpp_read(const struct sec_header *header, enum sec_header_kind kind,
		   struct ipsec3gpp *ret, struct sec_error *ret_error)
{
	struct ipsec_offer offers[SEC_MAX_MECHANISMS];
	struct numbers first = {0};
	size_t count = 0;

	for (size_t i = 0; i < header->mechanism_count; i++) {
		const struct sec_mechanism *m = &header->mechanisms[i];
		struct numbers numbers;
		int r;

		if (is_passed_over(m, kind))
			continue;
		r = read_entry(m, kind, &numbers, ret_error);
		if (r)
			return r;
		if (!count)
			first = numbers;
		r = check_same(m, &numbers, &first, ret_error);
		if (r)
			return r;
		read_offer(m, &offers[count++]);
	}
	if (!count)
		return -ENOENT;
	memcpy(ret->offers, offers, count * sizeof(offers[0]));
	ret->offer_count = count;
	set_endpoint(&first, &ret->endpoint);
	ret->warning = warning_about(&first);
	return 0;
}

static void write_q(struct text_out *out, size_t index, size_t count)
{
	if (count <= 9)
		text_out_printf(out, ";q=0.%zu", 9 - index);
	else
		text_out_printf(out, ";q=0.%02zu", 99 - index);
}

void ipsec3gpp_write_suite(struct text_out *out, const struct ipsec_suite *suite)
{
	text_out(out, ";alg=");
	text_out(out, ipsec_alg_name(suite->alg));
	text_out(out, ";ealg=");
	text_out(out, ipsec_ealg_name(suite->ealg));
	text_out(out, ";prot=");
	text_out(out, ipsec_prot_name(suite->prot));
	text_out(out, ";mod=");
	text_out(out, ipsec_mod_name(suite->mod));
}

static void write_number(struct text_out *out, const char *name, uint32_t number)
{
	text_out(out, name);
	text_out_number(out, number);
}

void ipsec3gpp_write_endpoint(struct text_out *out, const struct ipsec_endpoint *endpoint)
{
	switch (endpoint->dialect) {
	case IPSEC_DIALECT_24229:
		write_number(out, ";spi-c=", endpoint->spi_c);
		write_number(out, ";spi-s=", endpoint->spi_s);
		write_number(out, ";port-c=", endpoint->port_c);
		write_number(out, ";port-s=", endpoint->port_s);
		break;
	case IPSEC_DIALECT_RFC3329:
		write_number(out, ";spi=", endpoint->spi);
		write_number(out, ";port1=", endpoint->port1);
		if (endpoint->port2)
			write_number(out, ";port2=", endpoint->port2);
		break;
	}
}

int ipsec3gpp_write(const struct ipsec_endpoint *endpoint, const struct ipsec_suite *suites,
		    size_t suite_count, bool with_q, char *buf, size_t cap)
{
	struct text_out out;

	text_out_init(&out, buf, cap);
	if (suite_count == 0 || suite_count > SEC_MAX_MECHANISMS)
		return -EINVAL;
	for (size_t i = 0; i < suite_count; i++) {
		text_out(&out, i ? ", ipsec-3gpp" : "ipsec-3gpp");
		if (with_q)
			write_q(&out, i, suite_count);
		ipsec3gpp_write_suite(&out, &suites[i]);
		if (endpoint)
			ipsec3gpp_write_endpoint(&out, endpoint);
	}
	return text_out_end(&out);
}
