// SPDX-License-Identifier: MIT
#pragma once

// Learns what the right replies are from an engine in a quiet world, which is asked one question at
// a time, each twice.
void learning_run(void);
