// SPDX-License-Identifier: MIT
// A machine that has slept: the clock that goes on meanwhile (CLOCK_BOOTTIME) is ahead of what it
// would be by as many seconds as stand in the file OUZEL_SLEPT_FILE, and no other clock is. Loaded
// with LD_PRELOAD by test_sockets.py.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long slept_s(void)
{
    const char *path = getenv("OUZEL_SLEPT_FILE");
    FILE *file = path ? fopen(path, "re") : NULL;
    long seconds = 0;
    if (!file)
        return 0;
    if (fscanf(file, "%ld", &seconds) != 1)
        seconds = 0;
    fclose(file);
    return seconds;
}

int clock_gettime(clockid_t which, struct timespec *time)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(which, time);
    if (result == 0 && which == CLOCK_BOOTTIME)
        time->tv_sec += slept_s();
    return result;
}
