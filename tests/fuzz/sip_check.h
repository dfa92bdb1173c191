/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is always true of a SIP message that was edited.
 */
#ifndef TESTS_FUZZ_SIP_CHECK_H
#define TESTS_FUZZ_SIP_CHECK_H

#include "proto/sip.h"

/* Parse @text as a message of ours. It must be one, unless an addition has brought it above a limit
 * of the parser's: false. */
bool sip_check_parse(struct span text, struct sip_message *ret);

/* Outside the headers of the security agreement nothing has changed: @after has the start line, the
 * lines and the body of @before, byte for byte and in their order. */
void sip_check_untouched(const struct sip_message *before, const struct sip_message *after);

/* No Security-Client, -Server or -Verify, no sec-agree in Require and Proxy-Require. */
void sip_check_clean(const struct sip_message *m);

/* No ck and ik in a challenge. */
void sip_check_no_keys(const struct sip_message *m);

/* Each digest Authorization of a REGISTER has integrity-protected once, with this value, which was
 * written by us; @value NULL: none has. Proxy-Authorization never has it. */
void sip_check_integrity(const struct sip_message *m, const char *value);

#endif
