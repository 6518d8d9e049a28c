// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/control.h"

// The subcommands of ouzel. Each gets its own name as argv[0] and returns the exit status.

#define STATUS_FINE   0
#define STATUS_FAILED 1 // at run time
#define STATUS_USAGE  2 // wrong usage or configuration

struct program;

struct command {
    const char *name;    // NULL ends a table
    const char *summary; // one line, no full stop
    const char *usage;   // what follows the name
    bool takes_settings; // has the options of arguments.h
    bool gives_orders;
    int (*run)(const struct program *program, int argc, char **argv);
};

// What the program can do, for its help, man pages and completion.
struct program {
    const struct command *commands;
    const struct order *orders; // of `ouzel ctl`
};
