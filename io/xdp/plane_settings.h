// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"
#include "io/xdp/plane.h"

// What a plane is told of the settings. It answers only while it can do so as the workers would;
// where it cannot it stands aside, and everything goes to the sockets.

// Why it stands aside under these settings; NULL: it can answer as the workers do.
[[nodiscard]] const char *plane_settings_aside(const struct settings *settings);

// What these settings, and the generation of the rules made of them, are for the program, which is
// off with it. plane_settings_apply adds the clients.
[[nodiscard]] struct plane_config plane_settings_config(const struct settings *settings,
                                                        uint32_t generation,
                                                        uint64_t clock_offset_ns);

// Has it listen where the settings say: in place of a wildcard on this host's addresses, of which
// `sum` is to tell whether they are others than before. NULL for a plane: the sum alone. 0 or a
// negative errno.
[[nodiscard]] int plane_settings_listen(const struct settings *settings, struct plane *plane,
                                        uint64_t *sum);

// Turns it off, tells it all, and turns it on unless it stands aside. 0 or a negative errno, with
// which it does not know all, and may be on with a part of it.
[[nodiscard]] int plane_settings_apply(struct plane *plane, const struct settings *settings,
                                       struct plane_config *config, uint64_t *sum);
