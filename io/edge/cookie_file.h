// SPDX-License-Identifier: MIT
#pragma once
#include "core/policy/cookie.h"

// The file of the secrets that cookies are made with (server.cookie-secrets): 32 hexadecimal digits
// on a line, the current secret first, and at most one more, which is the previous one and still
// valid. Empty lines and those that begin with # are skipped.

// Reads it. 0 or a negative errno, and `why` says what is wrong, with the file's name and the line.
#define COOKIE_FILE_WHY_SIZE 512
[[nodiscard]] int cookie_file_read(const char *path, struct cookie_source *source,
                                   char why[static COOKIE_FILE_WHY_SIZE]);
