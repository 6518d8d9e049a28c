// SPDX-License-Identifier: MIT
#include "io/daemon/daemon.h"
#include "io/edge/command.h"

int command_serve(int argc, char **argv)
{
    return daemon_run(argc, argv);
}
