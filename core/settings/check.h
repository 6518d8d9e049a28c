// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

// Checks of several settings together.

// Errors that no single value shows: bounds that cross, zones and prefixes given twice, an upstream
// that is this server. Calls `tell` for each, with where it is and a sentence that begins with the
// option's name.
void settings_check(const struct settings *settings,
                    void (*tell)(void *context, struct settings_origin at, const char *why),
                    void *context);

// Warnings, in the same way, for what is valid but most likely a mistake: upstreams at ports of
// encrypted DNS, names without a zone, a server for the whole Internet without limits.
void settings_warn(const struct settings *settings,
                   void (*tell)(void *context, const struct settings *settings,
                                struct settings_origin at, const char *why),
                   void *context);
