// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>
#include <stdint.h>

// Inputs of fuzz targets, from files.

typedef void corpus_take(void *context, const uint8_t *bytes, size_t len);

// From now on a crash is told in TAP, with the file that it was in.
void corpus_watch(void);

// Gives each file of a directory, in the order of their names, or the one file at `path`, to
// `take`, in memory of its exact size, so that the sanitizers see what is read behind it. Returns
// how many files that were, or -1 where one cannot be read.
[[nodiscard]] int corpus_run(const char *path, corpus_take *take, void *context);
