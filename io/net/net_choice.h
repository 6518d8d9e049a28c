// SPDX-License-Identifier: MIT
#pragma once
#include "io/net/net_engine.h"

// Which engine is used.

// In the order of the words of server.engine in options.def.
enum net_choice { NET_AUTO, NET_IO_URING, NET_EPOLL };

// The engine for a choice. Where io_uring is refused (EPERM; EACCES by a security module such as
// SELinux), missing (ENOSYS) or too old (EINVAL), NET_AUTO is epoll and `refused` a sentence that
// says so; otherwise that is NULL. What may go away, such as a want of memory, changes no choice.
[[nodiscard]] const struct net_engine *net_choose(enum net_choice choice, const char **refused);

// Can this process use an engine? 0 or a negative errno.
[[nodiscard]] int net_try(const struct net_engine *engine);
