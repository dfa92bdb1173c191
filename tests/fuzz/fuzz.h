/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the fuzz targets share. A target is one LLVMFuzzerTestOneInput(): it takes some bytes, lets
 * the product work on them and holds what comes out against what must always be true.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "proto/text.h"

/* libFuzzer's names. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* A property: what is not so is a finding. */
#define CHECK(what) ((what) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #what))
_Noreturn void fuzz_fail(const char *file, int line, const char *what);

/* Every input starts from the same randomness: getrandom() is ours (the linker's --wrap). */
void fuzz_begin(void);

/* Copies that end where the text does, so that a byte read behind it is seen. free() */
struct span fuzz_copy(struct span text);
void fuzz_free(struct span copy);

struct span fuzz_skip(struct span s, size_t n);

/* The line at the start of *@rest without its line feed; *@rest then begins behind that. */
struct span fuzz_line(struct span *rest);

bool fuzz_is_printable(const char *text);

#endif
