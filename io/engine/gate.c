// SPDX-License-Identifier: MIT
#include "io/engine/gate.h"

void gate_init(struct gate *gate)
{
    sem_init(&gate->passes, 0, 0);
}

void gate_free(struct gate *gate)
{
    sem_destroy(&gate->passes);
}

void gate_open(struct gate *gate)
{
    sem_post(&gate->passes);
}

void gate_wait(struct gate *gate)
{
    while (sem_wait(&gate->passes) != 0)
        continue;
}
