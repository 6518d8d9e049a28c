// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/command.h"

#include <stdio.h>

// `ouzel ctl`: gives an order to a running ouzel.

int command_ctl(const struct program *program, int argc, char **argv);

void help_orders(const struct order *orders, FILE *to);
