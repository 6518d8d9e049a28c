// SPDX-License-Identifier: MIT
#include "io/daemon/upgrade.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void daemon_inheritance_free(struct daemon_inheritance *in)
{
    engine_inheritance_free(&in->engine);
    if (in->stats_fd >= 0)
        close(in->stats_fd);
    if (in->control_fd >= 0)
        close(in->control_fd);
    in->stats_fd = in->control_fd = -1;
    free(in->lessons);
    in->lessons = NULL;
    in->lesson_count = 0;
}

int upgrade_fails(char why[static UPGRADE_WHY_SIZE], int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, UPGRADE_WHY_SIZE, format, arguments);
    va_end(arguments);
    return error;
}
