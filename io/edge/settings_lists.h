// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

// The memory of the settings' lists, as core allocates none: how a value gets into the settings,
// and how they are freed.

// Sets all settings to their defaults, lists included. 0 or -ENOMEM (then there is nothing to
// free).
[[nodiscard]] int settings_defaults(struct settings *settings);

// Frees the lists and leaves them empty.
void settings_free(struct settings *settings);

// Reads `len` octets of text as the value of an option or, of a list, as one more item. `base` as
// in struct settings_option. 0; -EINVAL with the reason in `why`; -ENOMEM, also with a `why`.
[[nodiscard]] int settings_add(const struct settings_option *option, void *base, const char *text,
                               size_t len, char why[static SETTINGS_WHY_SIZE]);

// Empties a list.
void settings_clear(const struct settings_option *option, void *base);

// 0 or -ENOMEM; the list is as it was then.
[[nodiscard]] int address_list_append(struct address_list *list, const struct address *address);
[[nodiscard]] int endpoint_list_append(struct endpoint_list *list, const struct endpoint *endpoint);

// Adds an entry with every option at its default; NULL: no memory.
[[nodiscard]] struct forward_zone *forward_zone_append(struct forward_zone_list *list);

// Removes the last entry.
void forward_zone_drop(struct forward_zone_list *list);
