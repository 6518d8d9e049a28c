// SPDX-License-Identifier: MIT
#include "io/daemon/upgrade_old.h"

#include "io/daemon/counted.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CHILD_FD = 3,  // what the new program finds
    STARTED_S = 3, // neither process receives meanwhile; it has milliseconds of work
    END_MS = 300,  // for one that has said why it cannot start, to put away what it made
};

extern char **environ;

static bool is_named(const char *variable, const char *name)
{
    size_t len = strlen(name);
    return strncmp(variable, name, len) == 0 && variable[len] == '=';
}

// The environment of the new one. The watchdog's note of who we are is not true of it.
static char **environment_make(void)
{
    static char own[] = UPGRADE_VARIABLE "=3";
    _Static_assert(CHILD_FD == 3, "as it says here");
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **out = calloc(count + 2, sizeof *out);
    for (size_t i = 0; out && i < count; i++) {
        if (!is_named(environ[i], UPGRADE_VARIABLE) && !is_named(environ[i], "WATCHDOG_PID"))
            out[kept++] = environ[i];
    }
    if (out)
        out[kept] = own;
    return out;
}

static int child_start(struct upgrade *u, const char *program, char **argv, int fd)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    char **environment = environment_make();
    if (!environment)
        return -ENOMEM;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, CHILD_FD);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int error = posix_spawn(&u->pid, program, &actions, &attributes, argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    free(environment);
    return -error;
}

int upgrade_begin(struct upgrade *u, const char *program, char **argv)
{
    int pair[2];
    memset(u, 0, sizeof *u);
    u->fd = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return upgrade_fails(u->why, -errno, "no sockets to hand over with: %s", strerror(errno));
    int error = child_start(u, program, argv, pair[1]);
    close(pair[1]);
    u->fd = pair[0];
    packet_patience(u->fd, UPGRADE_READY_S);
    if (error == 0)
        return 0;
    u->pid = 0;
    return upgrade_fails(u->why, error, "cannot start %s: %s", program, strerror(-error));
}

static int sockets_send(int fd, const struct listening_sockets *sockets, unsigned count)
{
    int error = 0;
    for (unsigned first = 0; first < count && error == 0; first += PACKET_FDS_MAX) {
        struct packet_part part = {.address = sockets->address, .first = first};
        unsigned some = count - first < PACKET_FDS_MAX ? count - first : PACKET_FDS_MAX;
        error = packet_send(fd, PACKET_SOCKETS, &part, sizeof part, sockets->fds + first, some);
    }
    return error;
}

// What the other one says; 0 if it is of that kind.
static int expect(struct upgrade *u, enum packet_kind kind, const char *what)
{
    struct packet *packet = calloc(1, sizeof *packet);
    int error = packet ? packet_receive(u->fd, packet) : -ENOMEM;
    // It ended without reading all of it; the kernel reports that before its last packets.
    if (error == -ECONNRESET)
        error = packet_receive(u->fd, packet);
    if (error == 0)
        packet_drop(packet);
    u->refused = error == 0 && packet->kind == PACKET_REFUSED;
    u->leaves_plane |= error == 0 && packet->kind == PACKET_READY && packet->len > 0;
    if (u->refused)
        error = upgrade_fails(u->why, -ECANCELED, "the new program cannot start: %.*s",
                              (int)packet->len, (const char *)packet->bytes);
    else if (error == -EPIPE || error == -ECONNRESET)
        (void)upgrade_fails(u->why, error, "the new program ended before it %s", what);
    else if (error < 0)
        (void)upgrade_fails(u->why, error, "the new program has not %s: %s", what,
                            strerror(-error));
    else if (packet->kind != kind)
        error = upgrade_fails(u->why, -EBADMSG, "the new program sent an unknown message");
    free(packet);
    return error;
}

int upgrade_give(struct upgrade *u, const struct daemon_inheritance *inheritance)
{
    const struct engine_inheritance *inherited = &inheritance->engine;
    struct packet_head head = {
        .form = PACKET_FORM,
        .worker_count = inherited->worker_count,
        .clock_offset_us = inherited->clock_offset_us,
        .cookies = inherited->cookies,
        .sandboxed = inheritance->sandboxed,
        .control_mark = inheritance->control_mark,
    };
    int error = packet_send(u->fd, PACKET_HEAD, &head, sizeof head, &inherited->region_fd,
                            inherited->region_fd >= 0);
    const struct plane_passed *plane = &inherited->plane;
    if (error == 0 && plane->form != 0)
        error = packet_send(u->fd, PACKET_PLANE, plane, sizeof *plane, plane->fds,
                            PLANE_FDS + plane->link_count);
    for (size_t i = 0; i < inherited->count && error == 0; i++)
        error =
            sockets_send(u->fd, &inherited->sockets[i], LISTENER_SOCKETS * inherited->worker_count);
    if (error == 0 && inheritance->stats_fd >= 0)
        error = packet_send(u->fd, PACKET_STATS, &inheritance->stats, sizeof inheritance->stats,
                            &inheritance->stats_fd, 1);
    if (error == 0 && inheritance->control_fd >= 0)
        error = packet_send(u->fd, PACKET_CONTROL, inheritance->control,
                            sizeof inheritance->control, &inheritance->control_fd, 1);
    if (error == 0)
        error = packet_send(u->fd, PACKET_END, NULL, 0, NULL, 0);
    // Where the other process has ended, its last packet says why.
    if (error < 0 && error != -EPIPE && error != -ECONNRESET)
        return upgrade_fails(u->why, error, "cannot hand over: %s", strerror(-error));
    return expect(u, PACKET_READY, "got ready");
}

// As many as fit into each packet.
static int lessons_send(struct upgrade *u, struct engine *engine)
{
    enum { EACH = PACKET_ROOM / sizeof(struct engine_lesson) };
    struct engine_lesson *lessons;
    size_t count = engine_lessons(engine, &lessons);
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i += EACH) {
        size_t some = count - i < EACH ? count - i : EACH;
        error = packet_send(u->fd, PACKET_LESSONS, lessons + i, some * sizeof *lessons, NULL, 0);
    }
    free(lessons);
    return error;
}

int upgrade_go(struct upgrade *u, struct engine *engine)
{
    int error = counted_send(u->fd, &u->told, engine, u->leaves_plane);
    if (error == 0)
        error = lessons_send(u, engine);
    if (error == 0)
        error = packet_send(u->fd, PACKET_GO, NULL, 0, NULL, 0);
    if (error < 0)
        return upgrade_fails(u->why, error, "cannot hand over: %s", strerror(-error));
    return 0;
}

int upgrade_wait_started(struct upgrade *u)
{
    packet_patience(u->fd, STARTED_S);
    return expect(u, PACKET_STARTED, "started");
}

void upgrade_last(struct upgrade *u, const struct engine *engine)
{
    if (counted_send(u->fd, &u->told, engine, u->leaves_plane) == 0)
        (void)packet_send(u->fd, PACKET_LAST, NULL, 0, NULL, 0);
    close(u->fd);
    u->fd = -1;
}

void upgrade_cut(const struct upgrade *u)
{
    (void)shutdown(u->fd, SHUT_RD);
}

bool upgrade_wait_ended(struct upgrade *u, unsigned limit_ms)
{
    for (unsigned i = 0; i < limit_ms; i++) {
        if (waitpid(u->pid, NULL, WNOHANG) == u->pid) {
            u->pid = 0;
            return true;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return false;
}

void upgrade_end(struct upgrade *u)
{
    if (u->fd >= 0)
        close(u->fd);
    u->fd = -1;
    // One that ends by itself takes with it what it has made, as another control socket.
    if (u->pid <= 0 || (u->refused && upgrade_wait_ended(u, END_MS)))
        return;
    kill(u->pid, SIGKILL);
    while (waitpid(u->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    u->pid = 0;
}
