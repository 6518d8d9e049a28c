// SPDX-License-Identifier: MIT
#pragma once
#include "io/net/net_engine.h"

// The engine of io_uring, and the only place that knows liburing. Requests go to the kernel in one
// io_uring_enter, with the wait for events. It needs Linux 6.0.

extern const struct net_engine net_uring;
