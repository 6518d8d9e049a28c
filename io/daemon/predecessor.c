// SPDX-License-Identifier: MIT
#include "io/daemon/predecessor.h"

#include "io/daemon/daemon_state.h"
#include "io/daemon/upgrade_new.h"
#include "io/edge/command.h"
#include "io/engine/aligned.h"
#include "io/engine/engine_plane.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool predecessor_receive(struct daemon *d)
{
    d->predecessor_fd = upgrade_find();
    if (d->predecessor_fd < 0)
        return true;
    d->inheritance = calloc(1, sizeof *d->inheritance);
    if (d->inheritance && upgrade_receive(d->predecessor_fd, d->inheritance) == 0)
        return true;
    upgrade_refuse(d->predecessor_fd, d->inheritance ? d->inheritance->why : "no memory");
    return false;
}

void predecessor_drop(struct daemon *d)
{
    if (d->inheritance)
        daemon_inheritance_free(d->inheritance);
}

void predecessor_replaced(struct daemon *d)
{
    upgrade_started(d->predecessor_fd);
    if (d->control)
        control_own(d->control);
    const char *path = d->inheritance->control;
    // No process listens there any more; anything else there is not ours.
    if (*path && strcmp(path, settings_of(d)->control_socket.text) != 0 &&
        file_mark_is_socket_at(&d->inheritance->control_mark, path))
        (void)unlink(path);
}

void predecessor_heard(struct daemon *d)
{
    struct counters *counted = aligned_malloc(sizeof *counted);
    bool more = counted && upgrade_counted(d->predecessor_fd, counted);
    if (counted)
        engine_carry(d->engine, counted);
    free(counted);
    if (more)
        return;
    close(d->predecessor_fd);
    d->predecessor_fd = -1;
}

bool predecessor_gives_way(struct daemon *d)
{
    struct counters *counted = aligned_malloc(sizeof *counted);
    bool good = counted;
    if (good) {
        upgrade_ready(d->predecessor_fd, engine_has_plane(d->engine));
        good = upgrade_wait(d->predecessor_fd, counted, d->inheritance);
        engine_carry(d->engine, counted);
    }
    free(counted);
    return good;
}

int predecessor_start_fails(const struct daemon *d, const char *why)
{
    if (d->predecessor_fd >= 0)
        upgrade_refuse(d->predecessor_fd, why);
    log_writef(&d->log, LOG_ERROR, "cannot start", "reason", "%s", why);
    return STATUS_FAILED;
}
