// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "core/settings/settings.h"

// The name servers of the system, for settings without upstreams. While a machine boots the file
// may not exist yet, or have none: settings_load then leaves forward empty.

#define RESOLV_CONF_PATH        "/etc/resolv.conf"
#define RESOLV_CONF_SERVERS_MAX 8

// Appends the servers of the file's `nameserver` lines, with port 53, to a list that is freed as
// all lists of the settings are. Other lines are ignored. `skipped` counts nameserver lines that
// are invalid, repeat an address or come after the eighth. 0; -ENOMEM; or the errno of reading the
// file. In each case the list has what was read so far.
[[nodiscard]] int resolv_conf_read(const char *path, struct endpoint_list *list, size_t *skipped);
