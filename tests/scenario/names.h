// SPDX-License-Identifier: MIT
#pragma once
#include "core/policy/local.h"
#include "tests/scenario/script.h"

// The names that ouzel answers itself in a scenario: records and block lists, read by the program's
// own code. Begins with all zeros.

#define NAMES_MAX 64

struct names {
    char *records[NAMES_MAX];
    size_t record_count;
    char *blocked[NAMES_MAX];
    size_t blocked_count;
};

// Adds one, and keeps the text.
void names_record(const struct script *script, struct names *names, char *text);
void names_block(const struct script *script, struct names *names, char *text);

// Makes what serve is given. NULL: the scenario names none.
[[nodiscard]] const struct local *names_make(const struct script *script,
                                             const struct names *names);
