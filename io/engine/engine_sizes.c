// SPDX-License-Identifier: MIT
#include "io/engine/engine_sizes.h"

enum {
    QUESTIONS_PER_WORKER = 4096,
    QUEUES_OCTETS = 1 << 20, // of all queues to a worker together
    QUEUE_OCTETS_MIN = 1 << 18,
};

uint32_t engine_sizes_questions(void)
{
    return QUESTIONS_PER_WORKER;
}

uint32_t engine_sizes_queue(unsigned worker_count)
{
    uint32_t octets = QUEUES_OCTETS;
    while (octets > QUEUE_OCTETS_MIN && (uint64_t)octets * worker_count > QUEUES_OCTETS)
        octets /= 2;
    return octets;
}

struct clients_held engine_sizes_held(void)
{
    return CLIENTS_HELD_USUAL;
}
