// SPDX-License-Identifier: MIT
#pragma once
#include "io/net/net_engine.h"

// The engine of epoll, recvmmsg and sendmmsg, for where io_uring is forbidden or missing. Datagrams
// are received and sent MMSG_BATCH at a time. It needs Linux 4.5.

extern const struct net_engine net_epoll;
