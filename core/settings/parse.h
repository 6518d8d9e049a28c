// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

// Text as values of settings.

// Reads one value (of a list: one item) from `len` octets. False: `why` says what is wrong with it
// and what would be right, without the key: `"8K" is too small: give a size from 1M to 1024G, ...`.
[[nodiscard]] bool settings_parse(const struct settings_option *option, const char *text,
                                  size_t len, union settings_value *value,
                                  char why[static SETTINGS_WHY_SIZE]);

// True if the list has room for this item and does not have it yet; else `why` says what is wrong.
[[nodiscard]] bool settings_accepts(const struct settings_option *option, const void *base,
                                    const union settings_value *value,
                                    char why[static SETTINGS_WHY_SIZE]);

// Sets every setting to its default, but leaves lists empty: io appends the defaults of those
// (settings_defaults in io/edge/settings_file.h does both).
void settings_init(struct settings *settings);
void forward_zone_init(struct forward_zone *zone);
