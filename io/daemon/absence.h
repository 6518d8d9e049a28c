// SPDX-License-Identifier: MIT
#pragma once

struct daemon;

// What the settings name and the machine does not have yet.

// Other settings are in force: looks what of it is missing, tells in the log and at /readyz, and
// has the system's upstreams watched where they are used.
void absence_begin(struct daemon *daemon);

// Looks again, once a second while anything is missing. For the main thread.
void absence_look(struct daemon *daemon);
