// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/command.h"

// `ouzel check`: says what is wrong with the settings, or prints those in force.

int command_check(const struct program *program, int argc, char **argv);
