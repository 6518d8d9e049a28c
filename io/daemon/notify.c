// SPDX-License-Identifier: MIT
#include "io/daemon/notify.h"

#include "io/net/clock.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// It is no failure if no manager listens.
static void say(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@') // an abstract socket
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
                          (const struct sockaddr *)&address, size);
    (void)sent;
    close(fd);
}

void notify_ready(void)
{
    say("READY=1\nSTATUS=answering");
}

void notify_successor(int pid)
{
    char text[64];
    snprintf(text, sizeof text, "MAINPID=%d\nREADY=1\nSTATUS=answering", pid);
    say(text);
}

void notify_reloading(void)
{
    char text[96];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)clock_us(CLOCK_MONOTONIC));
    say(text);
}

void notify_stopping(void)
{
    say("STOPPING=1");
}

void notify_alive(void)
{
    say("WATCHDOG=1");
}

uint64_t notify_watchdog_us(void)
{
    const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!us || (pid && strtol(pid, NULL, 10) != (long)getpid()))
        return 0;
    return strtoull(us, NULL, 10);
}
