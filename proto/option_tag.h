/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Option tags: the values of Require, Proxy-Require and Supported (RFC 3261 20.29, 20.32, 20.37).
 */
#ifndef PROTO_OPTION_TAG_H
#define PROTO_OPTION_TAG_H

#include "text.h"

#define OPTION_TAG_SEC_AGREE "sec-agree"

/* Is @tag one of the tags in @value, the value of one header line? Whole tags only, without case
 * (RFC 3261 7.3.1). */
bool option_tag_in(struct span value, const char *tag);

/* Copy @value without @tag, however often it is there. All other tags keep their bytes and the
 * space between them; what is not a tag is kept too. @cap includes the NUL.
 * Returns the length: 0 means that nothing remains and the header line goes (RFC 3329 2.3.1);
 * or -ENOSPC (then @buf is ""). A buffer of the length of @value and one more is always enough. */
int option_tag_remove(struct span value, const char *tag, char *buf, size_t cap);

#endif
