// SPDX-License-Identifier: MIT
#include "io/daemon/signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

// Only a handler ends process 1, with the status by which others say that a signal ended them.
static void end_at_once(int signal)
{
    _exit(128 + signal);
}

void signals_begin(void)
{
    if (getpid() != 1)
        return;
    signal(SIGTERM, end_at_once);
    signal(SIGINT, end_at_once);
}

int signals_open(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a snapshot that may not grow is an error, not the end
    // Process 1 of a container inherits orphans, such as those of an exec there. Ignored like this,
    // they leave no zombies; process 1 has no children of its own (no upgrade), so it misses none.
    if (getpid() == 1)
        signal(SIGCHLD, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0)
        return -1;
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

bool signals_ask_for_end(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) > 0 || sigismember(&pending, SIGINT) > 0);
}
