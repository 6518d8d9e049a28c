// SPDX-License-Identifier: MIT
#pragma once
#include <sys/time.h>

// Ends the process by SIGPROF once it has used so many seconds of the processor: what has no end
// has used them, and what a busy machine only delays has not.
static inline void patience_begin(unsigned seconds)
{
    (void)setitimer(ITIMER_PROF, &(struct itimerval){.it_value.tv_sec = seconds}, NULL);
}
