// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"
#include "io/xdp/plane.h"

// Tells a plane which clients may ask, by the access lists of the settings: in its maps, and where
// a family has few prefixes also in `config`, which is for plane_configure. 0 or a negative errno.
[[nodiscard]] int plane_clients_fill(struct plane *plane, const struct settings *settings,
                                     struct plane_config *config);
