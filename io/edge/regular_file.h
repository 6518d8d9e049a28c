// SPDX-License-Identifier: MIT
#pragma once

// Opens a file that the operator names for reading: settings, hosts files, lists, secrets,
// snapshots. The path may lead to anything. A pipe or a device could block its reader, so only
// regular files are read. A file system that does not answer blocks all the same: a thread that
// must not wait has another one do it (io/edge/bounded.h).

#define REGULAR_FILE_NOT (-EMEDIUMTYPE) // it is no regular file

// Opens `path` for reading, and skips a byte order mark (U+FEFF in UTF-8). Returns the descriptor,
// the caller's to close; or a negative errno, such as REGULAR_FILE_NOT.
[[nodiscard]] int regular_file_open(const char *path);

// The negative errno in words, "it is no regular file" among them.
[[nodiscard]] const char *regular_file_error(int error);
