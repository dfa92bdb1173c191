/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/timer.c for unit tests: two clocks that stand still until the test moves them, and timers
 * that fire while it does.
 */
#ifndef TESTS_UNIT_FAKE_TIMER_H
#define TESTS_UNIT_FAKE_TIMER_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/timer.h"

/* Both clocks at some moment that is neither 0 nor the same for both, no timer armed. */
void fake_clock_reset(void);

/* Time passes on both clocks. What is due fires at its moment, in order. */
void fake_clock_advance_ms(uint64_t ms);
void fake_clock_advance_s(uint64_t s);

/* Somebody sets the machine's clock: only the real one moves. */
void fake_clock_step_s(int64_t s);

size_t fake_timers_armed(void);

#endif
