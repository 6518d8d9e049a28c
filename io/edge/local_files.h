// SPDX-License-Identifier: MIT
#pragma once
#include "core/policy/local.h"
#include "core/settings/format.h"

// Reads the sources of local names: the records of the settings, hosts files and block lists. Files
// are read piece by piece and never held in memory.

#define LOCAL_WHY_SIZE   (SETTINGS_QUOTE_SIZE + 640)
#define LOCAL_LINES_TOLD 5 // of the bad lines of a file; the rest is counted

struct local_file_counts {
    size_t names;   // added, with duplicates
    size_t skipped; // lines: rules that are more than a name
    size_t bad;     // lines
};

// Callbacks of local_files_read. A bad line is left out.
struct local_listener {
    void (*bad_line)(void *context, const char *path, uint32_t line, const char *why);
    void (*file_read)(void *context, const char *path, const struct local_file_counts *counts);
    void *context;
};

// The result; starts as {0}.
struct local_files {
    const struct local *local;
    void *memory;
    size_t size;
};

// 0, or a negative errno with one sentence in `why`: a file that cannot be read, records that
// contradict each other, no memory.
[[nodiscard]] int local_files_read(struct local_files *files, const struct settings *settings,
                                   const struct local_listener *listener,
                                   char why[static LOCAL_WHY_SIZE]);
void local_files_free(struct local_files *files);

// A line of a file.
struct local_line {
    const char *path; // one of the paths that were given
    uint32_t line;    // 0: there is none
};

// Finds the line of these block lists that blocks a name: the first one with that name, or else
// with the closest name above it. The files are read again, as entries in memory do not know their
// line; they may have changed since. 0, or a negative errno where one cannot be read.
[[nodiscard]] int local_files_search(const struct text_list *paths, const struct name *name,
                                     struct local_line *found);
