// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/parse.h"
#include "core/settings/settings.h"

// Values of settings as text.

// Writes value number `index` in the form that settings_parse reads; returns the length.
size_t settings_format(const struct settings_option *option, const void *base, size_t index,
                       char text[static SETTINGS_TEXT_SIZE]);

// What one value may be, as in `a whole number from 512 to 4096`; returns the length.
size_t settings_expected(const struct settings_option *option,
                         char text[static SETTINGS_TEXT_SIZE]);

// The next word of a text with spaces between words; `*at` moves behind it. NULL: no more.
[[nodiscard]] const char *settings_next_word(const char **at, size_t *len);

// Writes text between double quotes, control characters as \xNN, cut short where it is long.
#define SETTINGS_QUOTE_SIZE 96
void settings_quote(char quoted[static SETTINGS_QUOTE_SIZE], const char *text, size_t len);
