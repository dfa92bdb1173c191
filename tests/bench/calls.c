/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests are written and answers are searched with as little work as can be: what a front end
 * costs is not what is measured.
 */
#include "tests/bench/calls.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Security-Client, the same in the offer and in the REGISTER that answers the challenge. */
static void write_client(const struct callers *c, uint32_t n, char *buf, size_t cap)
{
	static const char *const THREE[] = {"hmac-sha-1-96;ealg=null", "hmac-sha-1-96;ealg=aes-cbc",
					    "null;ealg=aes-gcm"};
	static const char *const SIX[] = {"hmac-sha-1-96;ealg=des-ede3-cbc",
					  "hmac-sha-1-96;ealg=aes-cbc", "hmac-sha-1-96;ealg=null",
					  "hmac-md5-96;ealg=des-ede3-cbc",
					  "hmac-md5-96;ealg=aes-cbc", "hmac-md5-96;ealg=null"};
	const char *const *suites = c->six_offers ? SIX : THREE;
	const struct ipsec_endpoint *ue = &c->phone[n].ue;
	const char *mod = c->how.addresses == PHONES_NAT ? "UDP-enc-tun" : "trans";
	size_t at = 0;

	for (size_t i = 0; i < (c->six_offers ? 6 : 3); i++)
		at += (size_t)snprintf(buf + at, cap - at,
				       "%sipsec-3gpp;alg=%s;mod=%s;prot=esp;spi-c=%u;spi-s=%u;"
				       "port-c=%u;port-s=%u", i ? ", " : "", suites[i], mod,
				       ue->spi_c, ue->spi_s, ue->port_c, ue->port_s);
}

static int write_offer(const struct callers *c, uint32_t n, char *buf, size_t cap)
{
	char address[IP_TEXT_BYTES], client[CALL_CLIENT_BYTES];

	write_client(c, n, client, sizeof(client));
	return snprintf(buf, cap,
			"\"impi\":\"%015u@ims.example\",\"impu\":\"sip:%015u@ims.example\","
			"\"ue\":\"%s\",\"pcscf\":\"" BENCH_PCSCF "\",%s\"security_client\":\"%s\","
			"\"ck\":\"b40ba9a3c58b2a05bbf0d987b21bf8cb\","
			"\"ik\":\"f769bcd751044604127672711c6d3441\"",
			c->first + n, c->first + n,
			ip_format(&c->phone[n].address, address),
			c->how.addresses == PHONES_NAT ? "\"via\":\"192.168.0.2\"," : "", client);
}

static int write_check(const struct callers *c, uint32_t n, char *buf, size_t cap)
{
	char address[IP_TEXT_BYTES], client[CALL_CLIENT_BYTES];

	write_client(c, n, client, sizeof(client));
	return snprintf(buf, cap,
			"\"pcscf\":\"" BENCH_PCSCF "\",\"pcscf_port\":%u,\"ue\":\"%s\","
			"\"ue_port\":%u,\"method\":\"REGISTER\",\"security_verify\":\"%s\","
			"\"security_client\":\"%s\"", BENCH_SERVER_PORT,
			ip_format(&c->phone[n].address, address), c->phone[n].ue.port_c,
			c->list[n], client);
}

static int write_use(const struct callers *c, uint32_t n, char *buf, size_t cap)
{
	char address[IP_TEXT_BYTES];

	return snprintf(buf, cap,
			"\"pcscf\":\"" BENCH_PCSCF "\",\"pcscf_port\":%u,\"ue\":\"%s\","
			"\"ue_port\":%u,\"method\":\"MESSAGE\"",
			BENCH_SERVER_PORT, ip_format(&c->phone[n].address, address),
			c->phone[n].ue.port_c);
}

static int write_lifetime(const struct callers *c, uint32_t n, uint64_t expires_s, char *buf,
			  size_t cap)
{
	const uint64_t now = now_ns();

	if (c->end_ns)
		expires_s = c->end_ns > now ? (c->end_ns - now) / 1000000000 : 0;
	return snprintf(buf, cap, "\"set\":\"%016" PRIx64 "\",\"expires\":%" PRIu64,
			c->phone[n].set, expires_s);
}

static int write_confirm(const struct callers *c, uint32_t n, char *buf, size_t cap)
{
	return write_lifetime(c, n, 3600, buf, cap);
}

/* Longer than before, or the kernel would not be asked. */
static int write_extend(const struct callers *c, uint32_t n, char *buf, size_t cap)
{
	return write_lifetime(c, n, 7200, buf, cap);
}

static int write_set(const struct callers *c, uint32_t n, char *buf, size_t cap)
{
	return snprintf(buf, cap, "\"set\":\"%016" PRIx64 "\"", c->phone[n].set);
}

static const struct call CALLS[] = {
	{"offer", "sa.offer", write_offer},       {"check", "sa.check", write_check},
	{"use", "sa.check", write_use},           {"confirm", "sa.confirm", write_confirm},
	{"extend", "sa.extend", write_extend},    {"route", "sa.route", write_set},
	{"release", "sa.release", write_set},
};

const struct call *call_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(CALLS) / sizeof(CALLS[0]); i++) {
		if (!strcmp(CALLS[i].name, name))
			return &CALLS[i];
	}
	die("no such call: %s", name);
}

size_t call_write(const struct call *call, const struct callers *c, uint32_t n, char *buf,
		  size_t cap)
{
	int bytes = snprintf(buf, cap, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"%s\","
			     "\"params\":{", n, call->method);

	bytes += call->write(c, n, buf + bytes, cap - (size_t)bytes);
	bytes += snprintf(buf + bytes, cap - (size_t)bytes, "}}\n");
	if ((size_t)bytes >= cap)
		die("a request is too long");
	return (size_t)bytes;
}

static const char *after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	if (!at)
		die("no %s in %s", key, text);
	return at + strlen(key);
}

void call_take_offer(struct callers *c, uint32_t n, const char *line)
{
	const char *list = after(line, "\"security_server\":\"");
	const char *ours = after(line, "\"pcscf\":{");
	struct phone *phone = &c->phone[n];
	const size_t bytes = strcspn(list, "\"");

	if (bytes >= CALL_LIST_BYTES)
		die("Security-Server is too long");
	memcpy(c->list[n], list, bytes);
	c->list[n][bytes] = '\0';
	phone->set = strtoull(after(line, "\"set\":\""), NULL, 16);
	phone->pcscf.spi_c = (uint32_t)strtoul(after(ours, "\"spi_c\":"), NULL, 10);
	phone->pcscf.spi_s = (uint32_t)strtoul(after(ours, "\"spi_s\":"), NULL, 10);
	phone->pcscf.port_c = (uint16_t)strtoul(after(ours, "\"port_c\":"), NULL, 10);
}

void callers_make(struct callers *c, uint32_t phones)
{
	c->phone = calloc(phones, sizeof(*c->phone));
	c->list = calloc(phones, sizeof(*c->list));
	if (!c->phone || !c->list)
		die("out of memory");
	for (uint32_t i = 0; i < phones; i++)
		c->phone[i] = phone_make(&c->how, c->first + i);
}

void callers_done(struct callers *c)
{
	free(c->phone);
	free(c->list);
}
