// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdio.h>

struct daemon;

// The successor, which takes over from this process (upgrade.h).

// Finds the path of the program's file.
void successor_program(struct daemon *daemon);

// The task that has a successor take over.
[[nodiscard]] bool daemon_upgrade(struct daemon *daemon, FILE *report);

// Carries out a reload that was asked for during an upgrade, here or in the successor, which may
// have read its settings before. The caller holds the turn.
void successor_reload(struct daemon *daemon);

// Answers the queries that this process has, while the successor receives the new ones.
void successor_finish(struct daemon *daemon);

// Waits for the end of an upgrade that is under way. A signal that asked this process to end is
// then passed on to the successor, if there is one.
void successor_resolve(struct daemon *daemon);

// Waits until `end_ms` for a successor that was asked to end. The service manager may start another
// process as soon as this one has ended, which needs the addresses.
void successor_wait(struct daemon *daemon);
