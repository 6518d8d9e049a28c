// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "core/settings/settings.h"

// The name servers that the system itself uses, for a server that was told no upstream. The file
// may not be there yet when a machine boots, or name none: settings_load then leaves forward empty.

#define RESOLV_CONF_PATH        "/etc/resolv.conf"
#define RESOLV_CONF_SERVERS_MAX 8

// Appends the servers of the file's `nameserver` lines, with port 53, to a list that is freed as
// all lists of the settings are. Other lines mean nothing here. Lines that cannot be used, repeat
// an address or come after the eighth are counted in `skipped`. 0; -ENOMEM; or why the file
// cannot be read. The list holds what was read so far in each case.
[[nodiscard]] int resolv_conf_read(const char *path, struct endpoint_list *list, size_t *skipped);
