// SPDX-License-Identifier: MIT
#include "io/net/net_choice.h"

#include "io/net/mmsg.h"
#include "io/net/net.h"
#include "io/net/uring.h"

#include <errno.h>

// Only all that a worker does with it shows that it can be used: a filter of system calls may allow
// one of io_uring's and not another, and what an older kernel lacks shows when buffers are
// registered.
int net_try(const struct net_engine *engine)
{
    struct net *net;
    struct net_config config = {
        .engine = engine,
        .places = 1,
        .groups[0] = {.count = 1, .size = 64},
    };
    int error = net_open(&net, &config);
    if (error < 0)
        return error;
    struct net_event event;
    error = net_start(net);
    if (error == 0)
        error = net_wait(net, 0, &event, 1); // a submission of nothing would make no call
    net_close(net);
    return error < 0 ? error : 0;
}

const struct net_engine *net_choose(enum net_choice choice, const char **refused)
{
    *refused = NULL;
    if (choice == NET_EPOLL)
        return &net_epoll;
    if (choice == NET_IO_URING)
        return &net_uring;
    int error = net_try(&net_uring);
    if (error != -EPERM && error != -EACCES && error != -ENOSYS && error != -EINVAL)
        return &net_uring;
    *refused = net_why(&net_uring, error);
    return &net_epoll;
}
