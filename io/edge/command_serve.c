// SPDX-License-Identifier: MIT
#include "io/edge/command.h"
#include "io/edge/daemon.h"

int command_serve(int argc, char **argv)
{
    return daemon_run(argc, argv);
}
