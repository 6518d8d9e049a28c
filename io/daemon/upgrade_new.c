// SPDX-License-Identifier: MIT
#include "io/daemon/upgrade_new.h"

#include "io/daemon/counted.h"
#include "io/xdp/plane_passed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int upgrade_find(void)
{
    int type = 0;
    socklen_t len = sizeof type;
    const char *text = getenv(UPGRADE_VARIABLE);
    int fd = text ? (int)strtol(text, NULL, 10) : -1;
    unsetenv(UPGRADE_VARIABLE);
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_SEQPACKET)
        return -1;
    packet_patience(fd, UPGRADE_READY_S);
    return fd;
}

static int head_apply(struct daemon_inheritance *in, const struct packet *packet)
{
    struct packet_head head;
    if (packet->len < sizeof head.form)
        return -EBADMSG;
    memcpy(&head.form, packet->bytes, sizeof head.form);
    if (head.form != PACKET_FORM || packet->len != sizeof head)
        return upgrade_fails(in->why, -EPROTO,
                             "it hands over in form %u and this program reads form %u", head.form,
                             PACKET_FORM);
    memcpy(&head, packet->bytes, sizeof head);
    engine_inheritance_init(&in->engine, head.worker_count);
    in->engine.clock_offset_us = head.clock_offset_us;
    in->engine.cookies = head.cookies;
    in->sandboxed = head.sandboxed;
    in->control_mark = head.control_mark;
    in->engine.region_fd = packet->fd_count == 1 ? packet->fds[0] : -1;
    return 0;
}

static int sockets_apply(struct daemon_inheritance *in, const struct packet *packet)
{
    struct packet_part part;
    struct engine_inheritance *inherited = &in->engine;
    if (packet->len != sizeof part)
        return -EBADMSG;
    memcpy(&part, packet->bytes, sizeof part);
    struct listening_sockets *last =
        inherited->count > 0 ? &inherited->sockets[inherited->count - 1] : NULL;
    if (!last || !address_equal(&last->address, &part.address))
        last = engine_inheritance_add(inherited, &part.address);
    if (!last || part.first + packet->fd_count > LISTENER_SOCKETS * inherited->worker_count)
        return last ? -EBADMSG : -ENOMEM;
    memcpy(last->fds + part.first, packet->fds, packet->fd_count * sizeof(int));
    return 0;
}

static int plane_apply(struct daemon_inheritance *in, const struct packet *packet)
{
    struct plane_passed passed = {0};
    if (packet->len < sizeof passed.form || in->engine.plane.form != 0)
        return -EBADMSG;
    memcpy(&passed.form, packet->bytes, sizeof passed.form);
    if (passed.form != PLANE_FORM && passed.form != 0) {
        plane_passed_foreign(&in->engine.plane, packet->bytes, packet->len, packet->fds,
                             packet->fd_count);
        return 0;
    }
    if (packet->len != sizeof passed)
        return -EBADMSG;
    memcpy(&passed, packet->bytes, sizeof passed);
    if (passed.form == 0 || passed.link_count > PLANE_LINKS_MAX ||
        packet->fd_count != PLANE_FDS + passed.link_count)
        return -EBADMSG;
    memcpy(passed.fds, packet->fds, packet->fd_count * sizeof *passed.fds);
    in->engine.plane = passed;
    return 0;
}

static int packet_apply(struct daemon_inheritance *in, struct packet *packet)
{
    int error = -EBADMSG;
    if (packet->kind == PACKET_HEAD && in->engine.worker_count == 0)
        error = head_apply(in, packet);
    else if (packet->kind == PACKET_SOCKETS && in->engine.worker_count > 0)
        error = sockets_apply(in, packet);
    else if (packet->kind == PACKET_PLANE && in->engine.worker_count > 0)
        error = plane_apply(in, packet);
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

int upgrade_receive(int fd, struct daemon_inheritance *in)
{
    struct packet *packet = calloc(1, sizeof *packet);
    *in = (struct daemon_inheritance){.stats_fd = -1, .control_fd = -1};
    engine_inheritance_init(&in->engine, 0);
    int error = packet ? 0 : -ENOMEM;
    while (error == 0) {
        error = packet_receive(fd, packet);
        if (error == 0 && packet->kind == PACKET_END)
            break;
        if (error == 0)
            error = packet_apply(in, packet);
    }
    free(packet);
    if (error < 0 && in->why[0] == '\0')
        upgrade_fails(in->why, error, "cannot read what is handed over: %s", strerror(-error));
    return error;
}

// An octet says that it leaves the plane. Earlier versions read none.
void upgrade_ready(int fd, bool with_plane)
{
    static const uint8_t leaves_plane = 1;
    (void)packet_send(fd, PACKET_READY, &leaves_plane, with_plane ? 0 : sizeof leaves_plane, NULL,
                      0);
}

void upgrade_refuse(int fd, const char *why)
{
    size_t len = strlen(why);
    (void)packet_send(fd, PACKET_REFUSED, why, len < PACKET_ROOM ? len : PACKET_ROOM, NULL, 0);
}

void upgrade_started(int fd)
{
    (void)packet_send(fd, PACKET_STARTED, NULL, 0, NULL, 0);
}

// What cannot be kept is learned again.
static int lessons_apply(struct daemon_inheritance *in, const struct packet *packet)
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
static int counted_receive(int fd, struct counters *counted, struct daemon_inheritance *in,
                           enum packet_kind end)
{
    struct packet *packet = calloc(1, sizeof *packet);
    int error = packet ? packet_receive(fd, packet) : -ENOMEM;
    if (error == 0) {
        packet_drop(packet);
        if (packet->kind == PACKET_COUNTED)
            counted_apply(counted, packet);
        else if (packet->kind == PACKET_LESSONS)
            error = lessons_apply(in, packet);
        else
            error = packet->kind == end ? 1 : -EBADMSG;
    }
    free(packet);
    return error;
}

bool upgrade_wait(int fd, struct counters *counted, struct daemon_inheritance *in)
{
    int more;
    memset(counted, 0, sizeof *counted);
    while ((more = counted_receive(fd, counted, in, PACKET_GO)) == 0)
        continue;
    return more > 0;
}

bool upgrade_counted(int fd, struct counters *counted)
{
    memset(counted, 0, sizeof *counted);
    return counted_receive(fd, counted, NULL, PACKET_LAST) == 0;
}
