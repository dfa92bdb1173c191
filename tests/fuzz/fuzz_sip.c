/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One SIP message: parsing it, everything that is read of it, all kinds of edits, a reply to it.
 * What was written must be a message again, and say what it should.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/auth_param.h"
#include "proto/option_tag.h"
#include "proto/sip_edit.h"
#include "proto/sip_reply.h"
#include "tests/fuzz/sip_check.h"

#define SERVER "ipsec-3gpp;q=0.9;alg=hmac-sha-1-96;spi-c=1;spi-s=2;port-c=6104;port-s=6100"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return sip_init();
}

/* ---- reading ---- */

static bool is_within(struct span part, struct span whole)
{
	return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

static void read_contacts(const struct sip_message *m)
{
	const size_t count = sip_contact_count(m);
	struct sip_contact first, contact;

	CHECK(count <= SIP_MAX_VALUES);
	for (size_t i = 0; i < count; i++) {
		sip_contact_at(m, i, &contact);
		CHECK(contact.star || sip_contact_same(&contact, &contact));
		if (!i)
			first = contact;
		CHECK(sip_contact_same(&first, &contact) == sip_contact_same(&contact, &first));
	}
}

static void read_auth(const struct sip_message *m, enum sip_name name)
{
	const struct sip_header *h;
	struct auth auth;
	char text[256];
	uint8_t key[16];

	for (size_t at = 0; (h = sip_header_next(m, name, &at));) {
		if (auth_read(h->value, &auth) < 0)
			continue;
		for (size_t i = 0; i < auth.count; i++) {
			CHECK(is_within(auth.params[i].all, h->value));
			CHECK(is_within(auth.params[i].value, auth.params[i].all));
		}
		if (auth_text(&auth, "username", text, sizeof(text)) >= 0)
			CHECK(fuzz_is_printable(text));
		CHECK(auth_key(&auth, "ck", key, sizeof(key)) <= 0);
	}
}

static void read_all(const struct sip_message *m)
{
	char identity[256];
	struct span host;
	struct sip_via via;
	uint16_t port;
	uint32_t seconds;

	CHECK(m->via_count >= 1 && m->via_count <= SIP_MAX_VALUES);
	CHECK(m->header_count <= SIP_MAX_HEADERS);
	for (size_t i = 0; i < m->header_count; i++) {
		CHECK(is_within(m->headers[i].line, m->text));
		CHECK(is_within(m->headers[i].value, m->headers[i].line));
	}
	CHECK(is_within(m->body, m->text) && m->method.n);
	for (size_t i = 0; i < m->via_count; i++) {
		sip_via(m, i, &via);
		CHECK(via.host.n);
	}
	CHECK(sip_call_id(m).n);
	sip_expires(m, &seconds);
	sip_cseq(m);
	sip_is_emergency(m);
	if (sip_uri_host(m, &host, &port))
		CHECK(host.p);
	if (sip_registered_identity(m, false, identity, sizeof(identity)) > 0)
		CHECK(identity[0] && fuzz_is_printable(identity));
	read_contacts(m);
	read_auth(m, SIP_AUTHORIZATION);
	read_auth(m, SIP_WWW_AUTHENTICATE);
}

/* ---- editing ---- */

/* Returns false when a line is not to be read, so that nothing is said about it. */
static bool edit_auth(struct sip_edits *edits, enum sip_name name, const char *const *names,
		      const char *add)
{
	const struct sip_header *h;
	struct auth auth;
	bool readable = true;

	for (size_t at = 0; (h = sip_header_next(edits->message, name, &at));) {
		const int err = auth_read(h->value, &auth);

		if (!err)
			sip_edit_auth(edits, &auth, names, add, "no");
		else if (err != -ENOENT)
			readable = false;
	}
	return readable;
}

static void edit_all(const struct sip_message *m)
{
	static const char *const INTEGRITY[] = {"integrity-protected", NULL};
	static const char *const KEYS[] = {"ck", "ik", NULL};
	struct sip_edits edits;
	struct sip_message after;
	bool readable, keys_readable;
	size_t bytes;
	char *text;

	sip_edits_init(&edits, m);
	sip_edit_remove(&edits, SIP_SECURITY_CLIENT);
	sip_edit_remove(&edits, SIP_SECURITY_SERVER);
	sip_edit_remove(&edits, SIP_SECURITY_VERIFY);
	sip_edit_remove_tag(&edits, SIP_REQUIRE, OPTION_TAG_SEC_AGREE);
	sip_edit_remove_tag(&edits, SIP_PROXY_REQUIRE, OPTION_TAG_SEC_AGREE);
	readable = edit_auth(&edits, SIP_AUTHORIZATION, INTEGRITY, INTEGRITY[0]);
	readable &= edit_auth(&edits, SIP_PROXY_AUTHORIZATION, INTEGRITY, NULL);
	keys_readable = edit_auth(&edits, SIP_WWW_AUTHENTICATE, KEYS, NULL);
	keys_readable &= edit_auth(&edits, SIP_PROXY_AUTHENTICATE, KEYS, NULL);
	CHECK(sip_edits_apply(&edits, &text, &bytes) == 0);
	if (sip_check_parse((struct span){text, bytes}, &after)) {
		sip_check_untouched(m, &after);
		sip_check_clean(&after);
		if (readable)
			sip_check_integrity(&after, "no");
		if (keys_readable)
			sip_check_no_keys(&after);
		sip_message_done(&after);
	}
	free(text);
	sip_edits_done(&edits);
}

/* An addition, and nothing else; without one, the message itself. */
static void edit_little(const struct sip_message *m)
{
	struct sip_edits edits;
	struct sip_message after;
	size_t bytes;
	char *text;

	sip_edits_init(&edits, m);
	CHECK(sip_edits_apply(&edits, &text, &bytes) == 0);
	CHECK(span_equal((struct span){text, bytes}, m->text));
	free(text);
	sip_edit_add(&edits, SIP_SECURITY_SERVER, span_of(SERVER));
	CHECK(sip_edits_apply(&edits, &text, &bytes) == 0);
	if (sip_check_parse((struct span){text, bytes}, &after)) {
		sip_check_untouched(m, &after);
		CHECK(after.header_count == m->header_count + 1);
		CHECK(span_is(after.headers[m->header_count].value, SERVER));
		sip_message_done(&after);
	}
	free(text);
	sip_edits_done(&edits);
}

/* ---- answering ---- */

static void answer(const struct sip_message *m)
{
	const struct sip_reply reply = {
		.code = 494,
		.phrase = "Security Agreement Required",
		.to_tag = "ours",
		.received = "2001:db8::7",
		.rport = 50000,
		.headers = "Security-Server: " SERVER "\r\nRequire: sec-agree\r\n",
	};
	struct sip_message ours;
	struct sip_via asked, via;
	size_t bytes;
	char *text;

	CHECK(sip_reply_write(m, &reply, &text, &bytes) == 0);
	if (sip_check_parse((struct span){text, bytes}, &ours)) {
		CHECK(ours.status == 494 && !ours.body.n);
		CHECK(ours.via_count == m->via_count);
		CHECK(span_equal(sip_call_id(m), sip_call_id(&ours)));
		CHECK(span_equal(m->method, ours.method) && sip_cseq(m) == sip_cseq(&ours));
		CHECK(sip_has_tag(&ours, SIP_REQUIRE, OPTION_TAG_SEC_AGREE));
		CHECK(span_is(sip_header(&ours, SIP_SECURITY_SERVER)->value, SERVER));
		CHECK(sip_to_tag(m).n || memmem(text, bytes, ";tag=ours", 9));
		sip_via(m, 0, &asked);
		sip_via(&ours, 0, &via);
		CHECK(span_equal(asked.host, via.host) && asked.port == via.port);
		CHECK(span_equal(asked.branch, via.branch));
		sip_message_done(&ours);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span text = {(const char *)data, size};
	const char *why = NULL;
	struct sip_message m;
	const int err = sip_message_parse(text, &m, &why);

	fuzz_begin();
	CHECK(!err || err == -EBADMSG || err == -E2BIG);
	if (err) {
		CHECK(why && why[0]);
		return 0;
	}
	read_all(&m);
	edit_all(&m);
	edit_little(&m);
	answer(&m);
	sip_message_done(&m);
	return 0;
}
