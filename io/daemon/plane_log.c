// SPDX-License-Identifier: MIT
#include "io/daemon/plane_log.h"

#include "io/engine/engine_plane.h"

static void state_log(void *context, const char *interface, const char *state, bool good)
{
    const struct log *log = *(const struct log *const *)context;
    enum log_level level = good ? LOG_INFO : LOG_WARNING;
    if (interface)
        log_write(
            log, level, "xdp",
            (const struct log_field[]){{"interface", interface}, {"state", state}, {NULL, NULL}});
    else
        log_writef(log, level, "the XDP program answers nothing", "reason", "%s", state);
}

void plane_log(const struct log *log, struct engine *engine)
{
    engine_plane_report(engine, state_log, &log);
}
