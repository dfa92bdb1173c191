/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon writes to a client, in each framing, against what was asked: a finding when one
 * does not go with the other.
 */
#ifndef TESTS_FUZZ_ANSWERS_H
#define TESTS_FUZZ_ANSWERS_H

#include "daemon/frame_http.h"
#include "daemon/frame_resp.h"

/* @request: one JSON value, or what is none. @answer: NULL, or one line without its end. */
void answers_check_json(struct span request, const char *answer);

/* The last words to a client whose bytes are no JSON. */
void answers_check_no_json(const char *answer);

/* @frame: of a complete command in @data. @answer: .p NULL = none. */
void answers_check_resp(const struct frame_resp *frame, const char *data, struct span answer);
void answers_check_no_resp(struct span answer);

/* @frame: of a complete request in @data. @closes: the connection ends with it. */
void answers_check_http(const struct frame_http *frame, const char *data, bool may_control,
			struct span answer, bool closes);
void answers_check_no_http(int status, struct span answer);

#endif
