// SPDX-License-Identifier: MIT
#include "io/daemon/plane_log.h"

#include "io/engine/engine_plane.h"

struct telling {
    const struct log *log;
    FILE *report;
};

static void state_log(void *context, const char *interface, const char *state, bool good)
{
    const struct telling *telling = context;
    const struct log *log = telling->log;
    enum log_level level = good ? LOG_INFO : LOG_WARNING;
    if (telling->report && !good)
        fprintf(telling->report, "server.xdp: %s%s\n",
                interface ? "" : "the XDP program answers nothing: ", state);
    if (interface)
        log_write(
            log, level, "xdp",
            (const struct log_field[]){{"interface", interface}, {"state", state}, {NULL, NULL}});
    else
        log_writef(log, level, "the XDP program answers nothing", "reason", "%s", state);
}

void plane_log(const struct log *log, struct engine *engine, FILE *report)
{
    struct telling telling = {log, report};
    engine_plane_report(engine, state_log, &telling);
}
