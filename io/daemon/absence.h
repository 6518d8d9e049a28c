// SPDX-License-Identifier: MIT
#pragma once

struct daemon;

// What the settings name and the machine does not have yet.

// Other settings are in force: checks what is missing, reports that in the log and at /readyz, and
// watches the system's upstreams where they are used.
void absence_begin(struct daemon *daemon);

// Checks again, once a second while anything is missing. For the main thread.
void absence_look(struct daemon *daemon);
