/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options of secagree-ue. One table drives the command line, the configuration file ("key = value",
 * the long options without their dashes) and --help, so none of them can know more than the others.
 *
 * Later settings win: an option behind --config overrides the file. Secrets are copied into the
 * card and wiped by options_wipe(); what the shell and ps(1) saw is beyond us, hence the file.
 */
#include "tests/ue/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "tests/ue/event.h"

#define LINE_BYTES 1024

struct error {
	char *text;
	size_t cap;
};

static int __attribute__((format(printf, 2, 3))) refuse(const struct error *e, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(e->text, e->cap, fmt, args);
	va_end(args);
	return -EINVAL;
}

static int set_word(char *to, const char *value)
{
	if (!*value || strlen(value) >= OPTIONS_WORD_BYTES)
		return -EINVAL;
	/* they go into SIP headers */
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f || *p == '"')
			return -EINVAL;
	memcpy(to, value, strlen(value) + 1);
	return 0;
}

static int set_number(uint32_t *to, const char *value, uint32_t min, uint32_t max)
{
	uint32_t number;

	if (text_to_u32(span_of(value), 10, max, &number) < 0 || number < min)
		return -EINVAL;
	*to = number;
	return 0;
}

static int set_port(uint16_t *to, const char *value, uint32_t min)
{
	uint32_t number;
	int r = set_number(&number, value, min, 65535);

	if (r == 0)
		*to = (uint16_t)number;
	return r;
}

static int set_hex(uint8_t *to, const char *value, size_t n, bool *has)
{
	int r = text_from_hex(span_of(value), to, n);

	if (r == 0 && has)
		*has = true;
	return r;
}

static int set_transport(enum net_kind *to, const char *value)
{
	if (strcmp(value, "udp") != 0 && strcmp(value, "tcp") != 0)
		return -EINVAL;
	*to = *value == 'u' ? NET_UDP : NET_TCP;
	return 0;
}

static int set_pcscf(struct ue_options *o, const char *v)
{
	return ip_parse_with_port(v, &o->pcscf, &o->pcscf_port);
}

static int set_local(struct ue_options *o, const char *v)
{
	return ip_parse(v, &o->local);
}

static int set_public(struct ue_options *o, const char *v)
{
	return ip_parse(v, &o->public_address);
}

static int set_via(struct ue_options *o, const char *v)
{
	return ip_parse(v, &o->via_address);
}

static int set_clear_port(struct ue_options *o, const char *v)
{
	return set_port(&o->clear_port, v, 0);
}

static int set_port_uc(struct ue_options *o, const char *v)
{
	return set_port(&o->port_uc, v, 1);
}

static int set_port_us(struct ue_options *o, const char *v)
{
	return set_port(&o->port_us, v, 1);
}

static int set_encap_port(struct ue_options *o, const char *v)
{
	return set_port(&o->encap_port, v, 1);
}

static int set_impi(struct ue_options *o, const char *v)
{
	return set_word(o->impi, v);
}

static int set_impu(struct ue_options *o, const char *v)
{
	return set_word(o->impu, v);
}

static int set_realm(struct ue_options *o, const char *v)
{
	return set_word(o->realm, v);
}

static int set_k(struct ue_options *o, const char *v)
{
	return set_hex(o->card.key.k, v, MILENAGE_BYTES, &o->has_k);
}

static int set_opc(struct ue_options *o, const char *v)
{
	return set_hex(o->card.key.opc, v, MILENAGE_BYTES, &o->has_opc);
}

static int set_op(struct ue_options *o, const char *v)
{
	return set_hex(o->op, v, MILENAGE_BYTES, &o->has_op);
}

static int set_amf(struct ue_options *o, const char *v)
{
	return set_hex(o->amf, v, sizeof(o->amf), &o->has_amf);
}

static int set_sqn(struct ue_options *o, const char *v)
{
	uint8_t sqn[MILENAGE_SQN_BYTES];

	if (set_hex(sqn, v, sizeof(sqn), NULL) < 0)
		return -EINVAL;
	o->card.sqn = 0;
	for (size_t i = 0; i < sizeof(sqn); i++)
		o->card.sqn = o->card.sqn << 8 | sqn[i];
	return 0;
}

static int add_offer(struct ue_options *o, const char *pair)
{
	const char *slash = strchr(pair, '/');
	struct ipsec_suite *suite = &o->offers[o->offer_count];

	if (!slash || o->offer_count == OPTIONS_MAX_OFFERS)
		return -EINVAL;
	suite->alg = ipsec_alg_of((struct span){pair, (size_t)(slash - pair)});
	suite->ealg = ipsec_ealg_of(span_of(slash + 1));
	if (suite->alg == IPSEC_ALG_UNKNOWN || suite->ealg == IPSEC_EALG_UNKNOWN)
		return -EINVAL;
	o->offer_count++;
	return 0;
}

static int set_offer(struct ue_options *o, const char *v)
{
	char list[LINE_BYTES];
	char *rest = list, *pair;

	if (strlen(v) >= sizeof(list))
		return -EINVAL;
	memcpy(list, v, strlen(v) + 1);
	o->offer_count = 0;
	while ((pair = strsep(&rest, ",")))
		if (add_offer(o, pair) < 0)
			return -EINVAL;
	return 0;
}

static int set_prot(struct ue_options *o, const char *v)
{
	o->prot = ipsec_prot_of(span_of(v));
	return o->prot == IPSEC_PROT_UNKNOWN ? -EINVAL : 0;
}

static int set_mod(struct ue_options *o, const char *v)
{
	o->mod = ipsec_mod_of(span_of(v));
	return o->mod == IPSEC_MOD_UNKNOWN ? -EINVAL : 0;
}

static int set_dialect(struct ue_options *o, const char *v)
{
	if (strcmp(v, "24.229") != 0 && strcmp(v, "rfc3329") != 0)
		return -EINVAL;
	o->dialect = *v == '2' ? IPSEC_DIALECT_24229 : IPSEC_DIALECT_RFC3329;
	return 0;
}

static int set_reqid(struct ue_options *o, const char *v)
{
	return set_number(&o->reqid, v, 1, UINT32_MAX);
}

static int set_protected_transport(struct ue_options *o, const char *v)
{
	return set_transport(&o->transport, v);
}

static int set_clear_transport(struct ue_options *o, const char *v)
{
	return set_transport(&o->clear_transport, v);
}

static int set_access_network(struct ue_options *o, const char *v)
{
	size_t n = strlen(v);

	/* a header value with quoted parts: anything but control characters */
	if (n == 0 || n >= sizeof(o->access_network) || strpbrk(v, "\r\n"))
		return -EINVAL;
	memcpy(o->access_network, v, n + 1);
	return 0;
}

static int set_expires(struct ue_options *o, const char *v)
{
	return set_number(&o->expires_s, v, 1, UINT32_MAX);
}

static int set_reregister(struct ue_options *o, const char *v)
{
	return set_number(&o->reregister_after_s, v, 1, 1000000000);
}

static int set_t1(struct ue_options *o, const char *v)
{
	return set_number(&o->t1_ms, v, 10, 60000);
}

static int set_timeout(struct ue_options *o, const char *v)
{
	return set_number(&o->timeout_s, v, 1, 86400);
}

static int set_old_set(struct ue_options *o, const char *v)
{
	return set_number(&o->old_set_s, v, 0, 86400);
}

static int set_ring(struct ue_options *o, const char *v)
{
	return set_number(&o->ring_s, v, 0, 180);
}

static int set_duration(struct ue_options *o, const char *v)
{
	o->has_duration = true;
	return set_number(&o->duration_s, v, 0, 1000000000);
}

/* For --help as well as for --fault. */
static const struct {
	enum ue_fault fault;
	const char *name;
	const char *help;
} faults[] = {
	{FAULT_NO_SEC_AGREE, "no-sec-agree", "first REGISTER without Security-Client and the tags"},
	{FAULT_NO_VERIFY, "no-verify", "second REGISTER without Security-Verify"},
	{FAULT_WRONG_VERIFY, "wrong-verify", "second REGISTER with a number changed in it"},
	{FAULT_NO_CLIENT, "no-client", "second REGISTER without Security-Client"},
	{FAULT_WRONG_CLIENT, "wrong-client", "second REGISTER with another Security-Client"},
	{FAULT_WRONG_RES, "wrong-res", "second REGISTER with a wrong response"},
	{FAULT_WRONG_IMPI, "wrong-impi", "second REGISTER with another private identity"},
	{FAULT_WRONG_PORT, "wrong-port", "second REGISTER under ESP, but not from port_uc"},
	{FAULT_WRONG_KEY, "wrong-key", "second REGISTER under ESP with other keys"},
	{FAULT_CLEAR_ANSWER, "clear-answer", "second REGISTER in clear, to the protected port"},
	{FAULT_SYNC_FAILURE, "sync-failure", "answers the first challenge with AUTS"},
	{FAULT_MAC_FAILURE, "mac-failure", "takes the challenge for a forgery"},
	{FAULT_SAME_PORT, "same-port", "re-registers with the port_uc that is in use"},
};

#define FAULT_COUNT (sizeof(faults) / sizeof(faults[0]))

const char *fault_name(enum ue_fault fault)
{
	for (size_t i = 0; i < FAULT_COUNT; i++)
		if (faults[i].fault == fault)
			return faults[i].name;
	return "none";
}

int fault_set(struct ue_options *o, const char *v)
{
	if (strcmp(v, "none") == 0) {
		o->fault = FAULT_NONE;
		return 0;
	}
	for (size_t i = 0; i < FAULT_COUNT; i++) {
		if (strcmp(faults[i].name, v) == 0) {
			o->fault = faults[i].fault;
			return 0;
		}
	}
	return -EINVAL;
}

struct option_row {
	const char *name;
	const char *argument; /* NULL: a flag */
	int (*set)(struct ue_options *o, const char *value);
	size_t flag; /* offset of the bool, for a flag */
	const char *help; /* NULL with a NULL name: a heading in @argument */
};

#define FLAG(member) NULL, offsetof(struct ue_options, member)

/* "config" is handled apart, it reads the others. */
static const struct option_row rows[] = {
	{NULL, "Network", NULL, 0, NULL},
	{"pcscf", "ADDR[:PORT]", set_pcscf, 0, "where to register; IPv6 in brackets (port 5060)"},
	{"local", "ADDR", set_local, 0, "own address (default: what the routing table says)"},
	{"clear-port", "PORT", set_clear_port, 0, "own unprotected port; 0: any (default 5060)"},
	{"port-uc", "PORT", set_port_uc, 0, "first protected client port (default: random)"},
	{"port-us", "PORT", set_port_us, 0, "protected server port (default: random)"},
	{"public-address", "ADDR", set_public, 0,
	 "behind a NAT: the address seen from outside; it must be on an interface here too, "
	 "e.g. as /32 on lo"},
	{"via-address", "ADDR", set_via, 0,
	 "address in the Via of the first REGISTER: another than the packet's makes the P-CSCF "
	 "see a NAT"},
	{"encap-port", "PORT", set_encap_port, 0, "UDP port for UDP-enc-tun, both ends (4500)"},
	{NULL, "Identity and keys", NULL, 0, NULL},
	{"impi", "NAME", set_impi, 0, "private identity, user@realm"},
	{"impu", "URI", set_impu, 0, "public identity (default: sip:IMPI)"},
	{"realm", "DOMAIN", set_realm, 0, "home network (default: what follows @ in the IMPI)"},
	{"domain", "DOMAIN", set_realm, 0, "the same"},
	{"k", "HEX", set_k, 0, "subscriber key K, 32 digits"},
	{"opc", "HEX", set_opc, 0, "OPc, 32 digits; or"},
	{"op", "HEX", set_op, 0, "the operator's OP, from which OPc is made"},
	{"sqn", "HEX", set_sqn, 0, "highest SQN accepted so far, 12 digits (default 0)"},
	{"amf", "HEX", set_amf, 0, "warn when AUTN has another AMF than this, 4 digits"},
	{"config", "FILE", NULL, 0, "read \"key = value\" lines; the keys are these options"},
	{NULL, "Security agreement", NULL, 0, NULL},
	{"offer", "ALG/EALG[,...]", set_offer, 0,
	 "what to offer, in order: hmac-md5-96, hmac-sha-1-96, aes-gmac or null / null, "
	 "des-ede3-cbc, aes-cbc or aes-gcm (default: null/aes-gcm, hmac-sha-1-96/aes-cbc, "
	 "aes-gmac/null, hmac-sha-1-96/null)"},
	{"prot", "esp|ah", set_prot, 0, "protocol (esp)"},
	{"mod", "trans|tun|UDP-enc-tun", set_mod, 0, "mode (trans)"},
	{"dialect", "24.229|rfc3329", set_dialect, 0,
	 "spi-c, spi-s, port-c, port-s, or RFC 3329's spi, port1, port2 (24.229)"},
	{"no-port2", NULL, FLAG(no_port2), "rfc3329: leave port2 out"},
	{"reqid", "NUMBER", set_reqid, 0, "marks our SAs and policies (default: random)"},
	{NULL, "SIP", NULL, 0, NULL},
	{"transport", "udp|tcp", set_protected_transport, 0, "for protected requests (udp)"},
	{"clear-transport", "udp|tcp", set_clear_transport, 0, "for the first REGISTER (udp)"},
	{"expires", "SECONDS", set_expires, 0, "registration time to ask for (600000)"},
	{"reregister-after", "SECONDS", set_reregister, 0,
	 "after each registration (default: at half time, or 600 s before its end)"},
	{"access-network", "TEXT", set_access_network, 0, "P-Access-Network-Info"},
	{"t1", "MS", set_t1, 0, "retransmission timer T1 (2000, as TS 24.229 has it)"},
	{"timeout", "SECONDS", set_timeout, 0, "for a request without answer (default 64 * T1)"},
	{"old-set", "SECONDS", set_old_set, 0,
	 "keep a replaced set at most that long (default 64 * T1)"},
	{"ring", "SECONDS", set_ring, 0, "between 180 and 200 to an INVITE (0)"},
	{NULL, "Running", NULL, 0, NULL},
	{"once", NULL, FLAG(once), "register, de-register, exit"},
	{"duration", "SECONDS", set_duration, 0, "stay registered that long, then as --once"},
	{"interactive", NULL, FLAG(interactive), "wait for commands on standard input"},
	{"trace", NULL, FLAG(trace), "print every SIP message"},
	{"fault", "NAME", fault_set, 0, "do one thing wrong, to test a P-CSCF; see below"},
	{"version", NULL, FLAG(version), "print the version"},
	{"help", NULL, FLAG(help), "print this"},
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static const struct option_row *find_row(struct span name)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (rows[i].name && strlen(rows[i].name) == name.n &&
		    memcmp(rows[i].name, name.p, name.n) == 0)
			return &rows[i];
	return NULL;
}

static int set_flag(struct ue_options *o, const struct option_row *row, const char *value)
{
	bool *flag = (bool *)((char *)o + row->flag);

	if (value && strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return -EINVAL;
	*flag = !value || strcmp(value, "yes") == 0;
	return 0;
}

/* @value NULL for a flag without one. The value is not repeated in errors: it may be a key. */
static int apply(struct ue_options *o, const struct option_row *row, const char *value,
		 const struct error *e)
{
	int r;

	if (!row->argument)
		r = set_flag(o, row, value);
	else if (!value)
		return refuse(e, "%s needs a value: %s", row->name, row->argument);
	else
		r = row->set(o, value);
	if (r < 0)
		return refuse(e, "%s: bad value, expected %s", row->name,
			      row->argument ? row->argument : "yes or no");
	return 0;
}

static char *trim(char *text)
{
	size_t n;

	text += strspn(text, " \t\r\n");
	n = strlen(text);
	while (n > 0 && strchr(" \t\r\n", text[n - 1]))
		text[--n] = '\0';
	return text;
}

static int read_line(struct ue_options *o, char *line, const struct error *e)
{
	const struct option_row *row;
	char *key = trim(line);
	char *value = strchr(key, '=');

	if (*key == '\0' || *key == '#')
		return 0;
	if (!value)
		return refuse(e, "expected key = value");
	*value++ = '\0';
	key = trim(key);
	row = find_row(span_of(key));
	if (!row || (row->argument && !row->set))
		return refuse(e, "unknown key \"%s\"", key);
	return apply(o, row, trim(value), e);
}

static int read_file(struct ue_options *o, const char *path, const struct error *e)
{
	char line[LINE_BYTES], why[256];
	const struct error line_error = {why, sizeof(why)};
	FILE *file = fopen(path, "re");
	unsigned int number = 0;
	int r = 0;

	if (!file)
		return refuse(e, "%s: %s", path, strerror(errno));
	while (r == 0 && fgets(line, sizeof(line), file)) {
		number++;
		r = read_line(o, line, &line_error);
		OPENSSL_cleanse(line, sizeof(line));
	}
	if (r < 0)
		refuse(e, "%s:%u: %s", path, number, why);
	fclose(file);
	return r;
}

static int read_option(struct ue_options *o, int argc, char **argv, int *i, const struct error *e)
{
	const char *word = argv[*i];
	const char *equals = strchrnul(word, '=');
	const char *value = *equals ? equals + 1 : NULL;
	const struct option_row *row;

	if (strncmp(word, "--", 2) != 0)
		return refuse(e, "\"%s\" is not an option", word);
	row = find_row((struct span){word + 2, (size_t)(equals - word - 2)});
	if (!row)
		return refuse(e, "unknown option %.*s", (int)(equals - word), word);
	if (row->argument && !value && *i + 1 < argc)
		value = argv[++*i];
	if (row->argument && !row->set)
		return value ? read_file(o, value, e) : refuse(e, "config needs a file");
	return apply(o, row, value, e);
}

int options_read(struct ue_options *o, int argc, char **argv, char *error, size_t error_cap)
{
	const struct error e = {error, error_cap};
	int r = 0;

	for (int i = 1; r == 0 && i < argc; i++)
		r = read_option(o, argc, argv, &i, &e);
	return r;
}

void options_init(struct ue_options *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->pcscf_port = 5060;
	ret->clear_port = 5060;
	ret->encap_port = 4500;
	ret->transport = NET_UDP;
	ret->clear_transport = NET_UDP;
	ret->expires_s = 600000;
	ret->t1_ms = 2000;
	ret->old_set_s = UINT32_MAX;
	set_access_network(ret, "3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=0010100010000101");
}

static int check_identity(struct ue_options *o, const struct error *e)
{
	const char *at = strchr(o->impi, '@');

	if (!o->impi[0])
		return refuse(e, "who to register? --impi user@realm is required");
	if (!o->realm[0] && !at)
		return refuse(e, "the IMPI has no \"@\", so --realm is required");
	if (!o->realm[0])
		memcpy(o->realm, at + 1, strlen(at + 1) + 1);
	if (!o->impu[0] && at)
		snprintf(o->impu, sizeof(o->impu), "sip:%.250s", o->impi);
	else if (!o->impu[0])
		snprintf(o->impu, sizeof(o->impu), "sip:%.120s@%.120s", o->impi, o->realm);
	return 0;
}

static int check_keys(struct ue_options *o, const struct error *e)
{
	if (!o->has_k)
		return refuse(e, "the subscriber's key is required: --k, or better --config");
	if (o->has_op == o->has_opc)
		return refuse(e, "either --opc or --op is required");
	if (o->has_op && milenage_opc(o->card.key.k, o->op, o->card.key.opc) < 0)
		return refuse(e, "OpenSSL offers no AES-128");
	return 0;
}

static int check_addresses(struct ue_options *o, const struct error *e)
{
	if (!o->pcscf.family)
		return refuse(e, "where to register? --pcscf ADDR[:PORT] is required");
	if (!o->local.family && ip_local_for(&o->pcscf, &o->local) < 0)
		return refuse(e, "no route to the P-CSCF, and no --local address");
	if (!o->public_address.family)
		o->public_address = o->local;
	if (!o->via_address.family)
		o->via_address = o->local;
	if (o->local.family != o->pcscf.family || o->public_address.family != o->pcscf.family)
		return refuse(e, "all addresses must be of one family");
	if (o->port_uc && o->port_uc == o->port_us)
		return refuse(e, "port-uc and port-us must differ");
	return 0;
}

static void default_offers(struct ue_options *o)
{
	if (o->prot == IPSEC_PROT_AH)
		set_offer(o, "hmac-sha-1-96/null");
	else
		set_offer(o, "null/aes-gcm,hmac-sha-1-96/aes-cbc,aes-gmac/null,"
			     "hmac-sha-1-96/null");
}

/* Faulty combinations are refused here: the kernel could not carry them. */
static int check_offers(struct ue_options *o, const struct error *e)
{
	if (o->offer_count == 0)
		default_offers(o);
	for (size_t i = 0; i < o->offer_count; i++) {
		struct ipsec_suite *suite = &o->offers[i];
		const char *fault;

		suite->prot = o->prot;
		suite->mod = o->mod;
		fault = ipsec_suite_fault(suite);
		if (fault)
			return refuse(e, "offer %s/%s with prot=%s, mod=%s: %s",
				      ipsec_alg_name(suite->alg), ipsec_ealg_name(suite->ealg),
				      ipsec_prot_name(suite->prot), ipsec_mod_name(suite->mod),
				      fault);
	}
	if (o->no_port2 && o->dialect != IPSEC_DIALECT_RFC3329)
		return refuse(e, "no-port2 belongs to --dialect rfc3329");
	return 0;
}

int options_check(struct ue_options *o, char *error, size_t error_cap)
{
	const struct error e = {error, error_cap};
	int r = check_addresses(o, &e);

	if (r == 0)
		r = check_identity(o, &e);
	if (r == 0)
		r = check_keys(o, &e);
	if (r == 0)
		r = check_offers(o, &e);
	if (o->old_set_s == UINT32_MAX)
		o->old_set_s = 64 * o->t1_ms / 1000;
	if (o->reqid == 0 && random_between(0x10000, 0x7fffffff, &o->reqid) < 0)
		return refuse(&e, "OpenSSL gives no random numbers");
	return r;
}

void options_wipe(struct ue_options *o)
{
	OPENSSL_cleanse(&o->card, sizeof(o->card));
	OPENSSL_cleanse(o->op, sizeof(o->op));
}

static const char intro[] =
	"usage: secagree-ue --pcscf ADDR --config FILE [OPTION]...\n"
	"\n"
	"A phone in software: registers at a P-CSCF with IMS AKA and ipsec-3gpp (RFC 3329,\n"
	"TS 33.203), keeps its own IPsec SAs, answers OPTIONS, MESSAGE and INVITE, re-registers\n"
	"and de-registers. For whoever has a P-CSCF and no phone. It needs CAP_NET_ADMIN.\n"
	"\n"
	"  secagree-ue --pcscf 192.0.2.1 --config alice.conf --trace --once\n"
	"  secagree-ue --pcscf [2001:db8::1] --config alice.conf --offer hmac-sha-1-96/null\n"
	"  secagree-ue --pcscf 192.0.2.1 --config alice.conf --transport tcp --interactive\n"
	"\n"
	"alice.conf, readable by its owner alone (everybody on this machine sees a command line,\n"
	"so keys do not belong there):\n"
	"\n"
	"  impi = 001010000000001@ims.mnc001.mcc001.3gppnetwork.org\n"
	"  k    = 00112233445566778899aabbccddeeff\n"
	"  opc  = ffeeddccbbaa99887766554433221100\n";

static const char outro[] =
	"\n"
	"Commands of --interactive, one a line:\n"
	"  register                  with an unprotected REGISTER\n"
	"  reregister                over the set in use\n"
	"  deregister                all contacts of this phone\n"
	"  options                   send an OPTIONS to the own public identity\n"
	"  message URI TEXT          send a MESSAGE\n"
	"  clear                     send an OPTIONS in clear to the protected port\n"
	"  status                    state, sets and octets carried\n"
	"  quit                      de-register and exit; also at end of input\n"
	"\n"
	"Exit status: 0 registered and de-registered, 1 something failed, 2 usage.\n"
	"See secagree-ue(1) for the events that are printed.\n";

/* The help text of a row, broken at blanks. */
static void print_wrapped(FILE *out, const char *text, int indent, int width)
{
	while ((int)strlen(text) > width) {
		int cut = width;

		while (cut > 0 && text[cut] != ' ')
			cut--;
		fprintf(out, "%.*s\n%*s", cut, text, indent, "");
		text += cut + 1;
	}
	fprintf(out, "%s\n", text);
}

static void print_row(FILE *out, const struct option_row *row)
{
	char left[64];

	if (!row->name) {
		fprintf(out, "\n%s:\n", row->argument);
		return;
	}
	snprintf(left, sizeof(left), "--%s %s", row->name, row->argument ? row->argument : "");
	if (strlen(left) > 26)
		fprintf(out, "  %s\n%30s", left, "");
	else
		fprintf(out, "  %-28s", left);
	print_wrapped(out, row->help, 30, 62);
}

void options_help(FILE *out)
{
	fputs(intro, out);
	for (size_t i = 0; i < ROW_COUNT; i++)
		print_row(out, &rows[i]);
	fputs("\nFaults, to test a P-CSCF with:\n", out);
	for (size_t i = 0; i < FAULT_COUNT; i++)
		fprintf(out, "  %-18s%s\n", faults[i].name, faults[i].help);
	fputs(outro, out);
}
