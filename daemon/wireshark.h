/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An SA in the words of Wireshark, which then decrypts what it carries and checks it.
 */
#ifndef DAEMON_WIRESHARK_H
#define DAEMON_WIRESHARK_H

#include "xfrm/xfrm.h"

#define WIRESHARK_LINE_BYTES 384

/* The line of Wireshark's file esp_sa for @sa, whose identity and source are looked at, and its
 * @keys. Without line end; secret. Returns 0, or -EOPNOTSUPP and in *@ret_why, as a sentence, why
 * Wireshark has no such line. */
int wireshark_esp_sa(const struct xfrm_sa *sa, const struct xfrm_sa_keys *keys,
		     char ret[static WIRESHARK_LINE_BYTES], const char **ret_why);

#endif
