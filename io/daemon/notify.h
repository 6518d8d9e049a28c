// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// Notifications to a service manager (the protocol of sd_notify(3)): datagrams to the socket that
// NOTIFY_SOCKET names. Without that variable nothing is sent.

void notify_ready(void);
void notify_reloading(void); // followed by notify_ready
void notify_stopping(void);
void notify_alive(void); // for the watchdog

// The process `pid` is the daemon from now on, and is ready.
void notify_successor(int pid);

// The interval of the watchdog in microseconds; 0: there is none.
[[nodiscard]] uint64_t notify_watchdog_us(void);
