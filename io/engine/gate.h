// SPDX-License-Identifier: MIT
#pragma once
#include <semaphore.h>

// Where one thread waits until another one lets it through. A simulation, which has one thread for
// all, links its own.

struct gate {
    sem_t passes;
};

void gate_init(struct gate *gate);
void gate_free(struct gate *gate);

// Lets one thread through, now or once it comes.
void gate_open(struct gate *gate);
void gate_wait(struct gate *gate);
