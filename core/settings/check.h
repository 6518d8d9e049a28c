// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

// What only several settings together show.

// Checks what no single value can show: bounds that cross, zones and prefixes given twice, an
// upstream that is this server. Calls `tell` for each problem, with the place to look at and a
// sentence that begins with the option's name.
void settings_check(const struct settings *settings,
                    void (*tell)(void *context, struct settings_origin at, const char *why),
                    void *context);

// Tells in the same way what may be meant and most likely is not: upstreams at ports of encrypted
// DNS, names that no zone is for, a server for the whole world without limits.
void settings_warn(const struct settings *settings,
                   void (*tell)(void *context, const struct settings *settings,
                                struct settings_origin at, const char *why),
                   void *context);
