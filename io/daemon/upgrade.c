// SPDX-License-Identifier: MIT
#include "io/daemon/upgrade.h"

#include "io/engine/aligned.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// What goes over the pair of sockets are packets of a kind, an octet string and descriptors. The
// two programs may be of different versions: the head says in which form the rest is, and what is
// counted goes by its name.

enum {
    FORM = 4,      // raise it with each change of what is sent, or of core/answer's values
    FDS_MAX = 250, // in a packet; the kernel takes 253
    ROOM = 4096,   // octets in one
    CHILD_FD = 3,  // what the new program finds
    READY_S = 60,  // it may have long lists to read
    STARTED_S = 3, // nobody is heard meanwhile; it has milliseconds of work
    END_MS = 300,  // for one that has said why it cannot start, to put away what it made
};

#define VARIABLE "OUZEL_UPGRADE_FD"

enum kind {
    PACKET_HEAD = 1,
    PACKET_SOCKETS,
    PACKET_STATS,
    PACKET_CONTROL,
    PACKET_END,
    PACKET_READY,
    PACKET_REFUSED,
    PACKET_COUNTED,
    PACKET_GO,
    PACKET_STARTED,
    PACKET_LAST,
    PACKET_LESSONS,
};

struct packet {
    uint32_t kind;
    uint8_t bytes[ROOM];
    size_t len;
    int fds[FDS_MAX];
    size_t fd_count;
};

struct head {
    uint32_t form;
    uint32_t worker_count;
    uint64_t clock_offset_us;
    struct cookie_source cookies;
    uint32_t sandboxed;
    uint32_t unused;
    struct file_mark control_mark;
};

// Descriptors `first` and on of an address.
struct part {
    struct address address;
    uint32_t first;
};

extern char **environ;

// --- packets -------------------------------------------------------------------------------------

static int packet_send(int fd, enum kind kind, const void *bytes, size_t len, const int *fds,
                       size_t fd_count)
{
    uint32_t word = kind;
    struct iovec parts[] = {{&word, sizeof word}, {(void *)(uintptr_t)bytes, len}};
    _Alignas(struct cmsghdr) uint8_t option[CMSG_SPACE(FDS_MAX * sizeof(int))];
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = len > 0 ? 2 : 1};
    if (fd_count > 0) {
        message.msg_control = option;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        *CMSG_FIRSTHDR(&message) =
            (struct cmsghdr){CMSG_LEN(fd_count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), fds, fd_count * sizeof(int));
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

// 0, -ETIMEDOUT, -EPIPE (the other one has ended) or another negative errno. The descriptors are
// the caller's.
static int packet_receive(int fd, struct packet *packet)
{
    struct iovec parts[] = {{&packet->kind, sizeof packet->kind}, {packet->bytes, ROOM}};
    _Alignas(struct cmsghdr) uint8_t option[CMSG_SPACE(FDS_MAX * sizeof(int))];
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = option, .msg_controllen = sizeof option};
    packet->fd_count = 0;
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (got < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    const struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    if (rights && rights->cmsg_type == SCM_RIGHTS) {
        packet->fd_count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(packet->fds, CMSG_DATA(rights), packet->fd_count * sizeof(int));
    }
    if (got < (ssize_t)sizeof packet->kind)
        return got == 0 ? -EPIPE : -EBADMSG;
    packet->len = (size_t)got - sizeof packet->kind;
    return 0;
}

static void packet_drop(struct packet *packet)
{
    for (size_t i = 0; i < packet->fd_count; i++)
        close(packet->fds[i]);
    packet->fd_count = 0;
}

static void patience_set(int fd, unsigned seconds)
{
    struct timeval time = {.tv_sec = seconds};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

__attribute__((format(printf, 3, 4))) static int fails(char why[static UPGRADE_WHY_SIZE], int error,
                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, UPGRADE_WHY_SIZE, format, arguments);
    va_end(arguments);
    return error;
}

// --- counters ------------------------------------------------------------------------------------

// Lines "METRIC|LABELS|COUNT", and "timing|N:BUCKET|COUNT" for the histograms.
struct lines {
    int fd;
    int error;
    size_t len;
    char text[ROOM];
};

static void lines_flush(struct lines *lines)
{
    if (lines->len > 0 && lines->error == 0)
        lines->error = packet_send(lines->fd, PACKET_COUNTED, lines->text, lines->len, NULL, 0);
    lines->len = 0;
}

static void line_add(struct lines *lines, const char *name, const char *part, uint64_t count)
{
    if (count == 0)
        return;
    for (unsigned round = 0; round < 2; round++) {
        size_t room = sizeof lines->text - lines->len;
        int len = snprintf(lines->text + lines->len, room, "%s|%s|%llu\n", name, part,
                           (unsigned long long)count);
        if (len >= 0 && (size_t)len < room) {
            lines->len += (size_t)len;
            return;
        }
        lines_flush(lines);
    }
}

// The word of a histogram: its buckets and behind them its sum.
static uint64_t *word_of(struct histogram *histogram, unsigned index)
{
    return index < HISTOGRAM_BUCKETS ? &histogram->counts[index] : &histogram->sum_us;
}

// Tells what has been counted beyond what the other one knows.
static int counters_send(struct upgrade *u, const struct engine *engine)
{
    struct lines *lines = calloc(1, sizeof *lines);
    struct counters *now = aligned_take(sizeof *now);
    int error = lines && now ? 0 : -ENOMEM;
    if (error == 0) {
        lines->fd = u->fd;
        engine_counters(engine, now);
        engine_timings(engine, now->timings);
        for (unsigned c = 0; c < COUNTER_COUNT; c++) {
            const struct counter_description *description = &counter_descriptions[c];
            if (!description->gauge)
                line_add(lines, description->metric, description->labels,
                         now->values[c] - u->told.values[c]);
        }
        for (unsigned i = 0; i < TIMING_COUNT * (HISTOGRAM_BUCKETS + 1); i++) {
            unsigned timing = i / (HISTOGRAM_BUCKETS + 1), index = i % (HISTOGRAM_BUCKETS + 1);
            char part[32];
            snprintf(part, sizeof part, "%u:%u", timing, index);
            line_add(lines, "timing", part,
                     *word_of(&now->timings[timing], index) -
                         *word_of(&u->told.timings[timing], index));
        }
        lines_flush(lines);
        error = lines->error;
        u->told = *now;
    }
    free(now);
    free(lines);
    return error;
}

static void line_take(struct counters *counted, const char *name, const char *part, uint64_t count)
{
    unsigned timing, index;
    if (strcmp(name, "timing") == 0) {
        if (sscanf(part, "%u:%u", &timing, &index) == 2 && timing < TIMING_COUNT &&
            index <= HISTOGRAM_BUCKETS)
            *word_of(&counted->timings[timing], index) += count;
        return;
    }
    for (unsigned c = 0; c < COUNTER_COUNT; c++) {
        const struct counter_description *description = &counter_descriptions[c];
        if (strcmp(name, description->metric) == 0 && strcmp(part, description->labels) == 0)
            counted->values[c] += count;
    }
}

static void counters_take(struct counters *counted, const struct packet *packet)
{
    char text[ROOM + 1], *rest = text;
    memcpy(text, packet->bytes, packet->len);
    text[packet->len] = '\0';
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        const char *name = strsep(&line, "|"), *part = line ? strsep(&line, "|") : NULL;
        if (line)
            line_take(counted, name, part, strtoull(line, NULL, 10));
    }
}

// --- the old one ---------------------------------------------------------------------------------

static bool is_named(const char *variable, const char *name)
{
    size_t len = strlen(name);
    return strncmp(variable, name, len) == 0 && variable[len] == '=';
}

// The environment of the new one. The watchdog's note of who we are is not true of it.
static char **environment_make(void)
{
    static char own[] = VARIABLE "=3";
    _Static_assert(CHILD_FD == 3, "as it says here");
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **out = calloc(count + 2, sizeof *out);
    for (size_t i = 0; out && i < count; i++) {
        if (!is_named(environ[i], VARIABLE) && !is_named(environ[i], "WATCHDOG_PID"))
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
        return fails(u->why, -errno, "no sockets to hand over with: %s", strerror(errno));
    int error = child_start(u, program, argv, pair[1]);
    close(pair[1]);
    u->fd = pair[0];
    patience_set(u->fd, READY_S);
    if (error == 0)
        return 0;
    u->pid = 0;
    return fails(u->why, error, "cannot start %s: %s", program, strerror(-error));
}

static int sockets_send(int fd, const struct listening_sockets *sockets, unsigned count)
{
    int error = 0;
    for (unsigned first = 0; first < count && error == 0; first += FDS_MAX) {
        struct part part = {.address = sockets->address, .first = first};
        unsigned some = count - first < FDS_MAX ? count - first : FDS_MAX;
        error = packet_send(fd, PACKET_SOCKETS, &part, sizeof part, sockets->fds + first, some);
    }
    return error;
}

// What the other one says; 0 if it is of that kind.
static int expect(struct upgrade *u, enum kind kind, const char *what)
{
    struct packet *packet = calloc(1, sizeof *packet);
    int error = packet ? packet_receive(u->fd, packet) : -ENOMEM;
    // It ended without taking all, which is told before what it said.
    if (error == -ECONNRESET)
        error = packet_receive(u->fd, packet);
    if (error == 0)
        packet_drop(packet);
    u->refused = error == 0 && packet->kind == PACKET_REFUSED;
    if (u->refused)
        error = fails(u->why, -ECANCELED, "the new program cannot start: %.*s", (int)packet->len,
                      (const char *)packet->bytes);
    else if (error == -EPIPE || error == -ECONNRESET)
        (void)fails(u->why, error, "the new program ended before it %s", what);
    else if (error < 0)
        (void)fails(u->why, error, "the new program has not %s: %s", what, strerror(-error));
    else if (packet->kind != kind)
        error = fails(u->why, -EBADMSG, "the new program says what is not understood");
    free(packet);
    return error;
}

int upgrade_give(struct upgrade *u, const struct inheritance *inheritance)
{
    const struct estate *estate = &inheritance->estate;
    struct head head = {
        .form = FORM,
        .worker_count = estate->worker_count,
        .clock_offset_us = estate->clock_offset_us,
        .cookies = estate->cookies,
        .sandboxed = inheritance->sandboxed,
        .control_mark = inheritance->control_mark,
    };
    int error = packet_send(u->fd, PACKET_HEAD, &head, sizeof head, &estate->region_fd, 1);
    for (size_t i = 0; i < estate->count && error == 0; i++)
        error = sockets_send(u->fd, &estate->sockets[i], LISTENER_SOCKETS * estate->worker_count);
    if (error == 0 && inheritance->stats_fd >= 0)
        error = packet_send(u->fd, PACKET_STATS, &inheritance->stats, sizeof inheritance->stats,
                            &inheritance->stats_fd, 1);
    if (error == 0 && inheritance->control_fd >= 0)
        error = packet_send(u->fd, PACKET_CONTROL, inheritance->control,
                            sizeof inheritance->control, &inheritance->control_fd, 1);
    if (error == 0)
        error = packet_send(u->fd, PACKET_END, NULL, 0, NULL, 0);
    // Where nobody takes it, what was said last says why.
    if (error < 0 && error != -EPIPE && error != -ECONNRESET)
        return fails(u->why, error, "cannot hand over: %s", strerror(-error));
    return expect(u, PACKET_READY, "got ready");
}

// As many as fit into each packet.
static int lessons_send(struct upgrade *u, struct engine *engine)
{
    enum { EACH = ROOM / sizeof(struct engine_lesson) };
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
    int error = counters_send(u, engine);
    if (error == 0)
        error = lessons_send(u, engine);
    if (error == 0)
        error = packet_send(u->fd, PACKET_GO, NULL, 0, NULL, 0);
    if (error < 0)
        return fails(u->why, error, "cannot hand over: %s", strerror(-error));
    return 0;
}

int upgrade_wait_started(struct upgrade *u)
{
    patience_set(u->fd, STARTED_S);
    return expect(u, PACKET_STARTED, "started");
}

void upgrade_last(struct upgrade *u, const struct engine *engine)
{
    if (counters_send(u, engine) == 0)
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

// --- the new one ---------------------------------------------------------------------------------

int upgrade_find(void)
{
    int type = 0;
    socklen_t len = sizeof type;
    const char *text = getenv(VARIABLE);
    int fd = text ? (int)strtol(text, NULL, 10) : -1;
    unsetenv(VARIABLE);
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_SEQPACKET)
        return -1;
    patience_set(fd, READY_S);
    return fd;
}

static int head_take(struct inheritance *in, const struct packet *packet)
{
    struct head head;
    if (packet->len < sizeof head.form)
        return -EBADMSG;
    memcpy(&head.form, packet->bytes, sizeof head.form);
    if (head.form != FORM || packet->len != sizeof head)
        return fails(in->why, -EPROTO, "it hands over in form %u and this program takes form %u",
                     head.form, FORM);
    memcpy(&head, packet->bytes, sizeof head);
    estate_init(&in->estate, head.worker_count);
    in->estate.clock_offset_us = head.clock_offset_us;
    in->estate.cookies = head.cookies;
    in->sandboxed = head.sandboxed;
    in->control_mark = head.control_mark;
    in->estate.region_fd = packet->fd_count == 1 ? packet->fds[0] : -1;
    return 0;
}

static int sockets_take(struct inheritance *in, const struct packet *packet)
{
    struct part part;
    struct estate *estate = &in->estate;
    if (packet->len != sizeof part)
        return -EBADMSG;
    memcpy(&part, packet->bytes, sizeof part);
    struct listening_sockets *last = estate->count > 0 ? &estate->sockets[estate->count - 1] : NULL;
    if (!last || !address_equal(&last->address, &part.address))
        last = estate_add(estate, &part.address);
    if (!last || part.first + packet->fd_count > LISTENER_SOCKETS * estate->worker_count)
        return last ? -EBADMSG : -ENOMEM;
    memcpy(last->fds + part.first, packet->fds, packet->fd_count * sizeof(int));
    return 0;
}

static int packet_take(struct inheritance *in, struct packet *packet)
{
    int error = -EBADMSG;
    if (packet->kind == PACKET_HEAD && in->estate.worker_count == 0)
        error = head_take(in, packet);
    else if (packet->kind == PACKET_SOCKETS && in->estate.worker_count > 0)
        error = sockets_take(in, packet);
    else if (packet->kind == PACKET_STATS && packet->len == sizeof in->stats &&
             packet->fd_count == 1 && in->stats_fd < 0) {
        memcpy(&in->stats, packet->bytes, sizeof in->stats);
        in->stats_fd = packet->fds[0];
        error = 0;
    } else if (packet->kind == PACKET_CONTROL && packet->len == sizeof in->control &&
               packet->fd_count == 1 && in->control_fd < 0) {
        memcpy(in->control, packet->bytes, sizeof in->control);
        in->control_fd = packet->fds[0];
        error = 0;
    }
    if (error < 0)
        packet_drop(packet);
    return error;
}

int upgrade_take(int fd, struct inheritance *in)
{
    struct packet *packet = calloc(1, sizeof *packet);
    *in = (struct inheritance){.stats_fd = -1, .control_fd = -1};
    estate_init(&in->estate, 0);
    int error = packet ? 0 : -ENOMEM;
    while (error == 0) {
        error = packet_receive(fd, packet);
        if (error == 0 && packet->kind == PACKET_END)
            break;
        if (error == 0)
            error = packet_take(in, packet);
    }
    free(packet);
    if (error < 0 && in->why[0] == '\0')
        fails(in->why, error, "what is handed over is not understood: %s", strerror(-error));
    return error;
}

void inheritance_free(struct inheritance *in)
{
    estate_free(&in->estate);
    if (in->stats_fd >= 0)
        close(in->stats_fd);
    if (in->control_fd >= 0)
        close(in->control_fd);
    in->stats_fd = in->control_fd = -1;
    free(in->lessons);
    in->lessons = NULL;
    in->lesson_count = 0;
}

void upgrade_ready(int fd)
{
    (void)packet_send(fd, PACKET_READY, NULL, 0, NULL, 0);
}

void upgrade_refuse(int fd, const char *why)
{
    size_t len = strlen(why);
    (void)packet_send(fd, PACKET_REFUSED, why, len < ROOM ? len : ROOM, NULL, 0);
}

void upgrade_started(int fd)
{
    (void)packet_send(fd, PACKET_STARTED, NULL, 0, NULL, 0);
}

// What cannot be kept is learned again.
static int lessons_take(struct inheritance *in, const struct packet *packet)
{
    size_t some = packet->len / sizeof *in->lessons;
    if (!in || packet->len % sizeof *in->lessons != 0)
        return -EBADMSG;
    struct engine_lesson *more =
        reallocarray(in->lessons, in->lesson_count + some, sizeof *in->lessons);
    if (!more)
        return 0;
    in->lessons = more;
    memcpy(more + in->lesson_count, packet->bytes, packet->len);
    in->lesson_count += some;
    return 0;
}

// Takes one packet of counters, or of what was learned (where `in` is not NULL); 0, or 1 for one of
// the kind that ends them.
static int counted_take(int fd, struct counters *counted, struct inheritance *in, enum kind end)
{
    struct packet *packet = calloc(1, sizeof *packet);
    int error = packet ? packet_receive(fd, packet) : -ENOMEM;
    if (error == 0) {
        packet_drop(packet);
        if (packet->kind == PACKET_COUNTED)
            counters_take(counted, packet);
        else if (packet->kind == PACKET_LESSONS)
            error = lessons_take(in, packet);
        else
            error = packet->kind == end ? 1 : -EBADMSG;
    }
    free(packet);
    return error;
}

bool upgrade_wait(int fd, struct counters *counted, struct inheritance *in)
{
    int more;
    memset(counted, 0, sizeof *counted);
    while ((more = counted_take(fd, counted, in, PACKET_GO)) == 0)
        continue;
    return more > 0;
}

bool upgrade_counted(int fd, struct counters *counted)
{
    memset(counted, 0, sizeof *counted);
    return counted_take(fd, counted, NULL, PACKET_LAST) == 0;
}
