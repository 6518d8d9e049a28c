// SPDX-License-Identifier: MIT
#pragma once

// How a file that the operator names is opened for reading: settings, hosts files, lists, secrets,
// snapshots. What stands at such a path may be anything. A pipe or a device would keep its reader
// waiting, so only regular files are read. On a file system that does not answer even that waits:
// whoever may not wait has another thread do it (io/edge/bounded.h).

#define REGULAR_FILE_NOT (-EMEDIUMTYPE) // it is no regular file

// Opens `path` for reading. A byte order mark at its beginning (U+FEFF in UTF-8), as editors of
// other systems leave there, has been passed over. The descriptor, the caller's to close; or a
// negative errno, REGULAR_FILE_NOT among them.
[[nodiscard]] int regular_file_open(const char *path);

// The negative errno in words, "it is no regular file" among them.
[[nodiscard]] const char *regular_file_error(int error);
