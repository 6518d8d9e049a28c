// SPDX-License-Identifier: MIT
#include "tests/mixed/report.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { TOLD_MAX = 20, SHOWN_MAX = 160 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

uint64_t report_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void show(const char *what, const uint8_t *bytes, size_t len)
{
    if (!bytes)
        return;
    printf("wrong:   %s %zu octets ", what, len);
    for (size_t i = 0; i < len && i < SHOWN_MAX; i++)
        printf("%02x", bytes[i]);
    printf("%s\n", len > SHOWN_MAX ? "..." : "");
}

static size_t first_difference(const uint8_t *bytes, size_t len, const uint8_t *right,
                               size_t right_len)
{
    size_t at = 0;
    while (at < len && at < right_len && bytes[at] == right[at])
        at++;
    return at;
}

void report_wrong(struct report *report, const uint8_t *bytes, size_t len, const uint8_t *right,
                  size_t right_len, const char *format, ...)
{
    uint64_t none = 0, now = report_now_us() - report->began_us;
    atomic_compare_exchange_strong(&report->first_us, &none, now ? now : 1);
    if (atomic_fetch_add(&report->wrong, 1) >= TOLD_MAX)
        return;
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&lock);
    printf("wrong: after %.3f s: ", (double)now / 1e6);
    vprintf(format, arguments);
    printf("\n");
    show("came ", bytes, len);
    show("right", right, right_len);
    if (right)
        printf("wrong:   they differ from octet %zu on\n",
               first_difference(bytes, len, right, right_len));
    fflush(stdout);
    pthread_mutex_unlock(&lock);
    va_end(arguments);
}
