// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdlib.h>

// The queue is a binary heap, ordered by time and, at the same time, by when an event was added:
// so nothing depends on where memory lies.

struct packet *packet_make(const uint8_t *bytes, size_t len)
{
    struct packet *packet = malloc(sizeof *packet + len);
    assert(packet);
    packet->len = len;
    if (len)
        memcpy(packet->bytes, bytes, len);
    return packet;
}

static bool sooner(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void sift_up(struct event *heap, size_t at)
{
    struct event event = heap[at];
    while (at > 0 && sooner(&event, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = event;
}

static void sift_down(struct event *heap, size_t count)
{
    struct event event = heap[0];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && sooner(&heap[child + 1], &heap[child]))
            child++;
        if (!sooner(&heap[child], &event))
            break;
        heap[at] = heap[child];
    }
    heap[at] = event;
}

static void push(struct sim *sim, const struct event *event)
{
    if (sim->event_count == EVENTS_MAX) {
        sim_fail(sim, "the simulator's event queue is full");
        free(event->packet);
        return;
    }
    sim->events[sim->event_count] = *event;
    sim->events[sim->event_count].order = ++sim->order;
    sift_up(sim->events, sim->event_count++);
}

void event_push(struct sim *sim, const struct event *event, uint64_t at_us)
{
    struct event placed = *event;
    placed.at_us = at_us;
    push(sim, &placed);
}

bool event_take(struct sim *sim, struct event *event)
{
    if (sim->event_count == 0)
        return false;
    *event = sim->events[0];
    sim->events[0] = sim->events[--sim->event_count];
    if (sim->event_count > 0)
        sift_down(sim->events, sim->event_count);
    return true;
}

uint64_t event_next_us(const struct sim *sim)
{
    return sim->event_count ? sim->events[0].at_us : NEVER;
}

void events_clear(struct sim *sim)
{
    for (size_t i = 0; i < sim->event_count; i++)
        free(sim->events[i].packet);
    sim->event_count = 0;
}

static uint64_t delay_us(struct sim *sim, const struct link *link)
{
    uint64_t delay = link->base_us + dice_skewed(&sim->dice, link->jitter_us);
    if (dice_chance(&sim->dice, link->reorder_pm))
        delay += dice_below(&sim->dice, 3 * link->jitter_us + 1);
    return delay;
}

static bool lost(struct sim *sim, struct link *link)
{
    if (link->burst_left > 0) {
        link->burst_left--;
        return true;
    }
    if (dice_chance(&sim->dice, link->burst_pm))
        link->burst_left = (uint16_t)dice_between(&sim->dice, 1, 12);
    return dice_chance(&sim->dice, link->loss_pm);
}

uint64_t link_surely_us(struct sim *sim, struct link *link)
{
    uint64_t delay = delay_us(sim, link);
    // The time before it is sent again doubles, as in RFC 6298.
    for (uint64_t wait_us = 200000; lost(sim, link) && wait_us < 5000000; wait_us *= 2)
        delay += wait_us;
    return delay;
}

// What is too long for the link: false where it is lost. What is cut no longer is what a server
// said.
static bool fits(const struct link *link, struct event *event)
{
    if (!event->packet || link->mtu == 0 || event->packet->len <= link->mtu)
        return true;
    if (!link->cuts)
        return false;
    struct packet *cut = packet_make(event->packet->bytes, link->mtu);
    free(event->packet);
    event->packet = cut;
    event->number = 0;
    return true;
}

void link_carry(struct sim *sim, struct link *link, const struct event *event, uint64_t after_us)
{
    struct event first = *event;
    first.at_us = sim->now_us + after_us + delay_us(sim, link);
    bool fitted = fits(link, &first);
    if (dice_chance(&sim->dice, link->duplicate_pm) && fitted) {
        struct event second = first;
        second.at_us = sim->now_us + after_us + delay_us(sim, link);
        if (first.packet)
            second.packet = packet_make(first.packet->bytes, first.packet->len);
        push(sim, &second);
    }
    if (lost(sim, link) || !fitted) {
        sim_trace(sim, "lost on its way");
        free(first.packet);
        return;
    }
    push(sim, &first);
}
