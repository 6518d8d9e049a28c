// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

#include <stdlib.h>

// Connections from workers to upstream servers. What is lost is sent again by TCP itself, so here
// it only comes later; nothing overtakes what was sent before it, unless a server answers in any
// order. Whole messages travel: how they are cut into pieces is io's to know.

static bool deaf(const struct sim *sim, const struct server *server)
{
    return server->mode == MODE_DEAD || server->tcp == TCP_SILENT ||
           (!server->steady && sim->now_us < sim->outage_until_us);
}

static struct event event_of(const struct sim *sim, unsigned worker, uint16_t slot,
                             enum event_kind kind)
{
    const struct wire *wire = &sim->nodes[worker].wires[slot];
    return (struct event){
        .kind = (uint8_t)kind,
        .worker = (uint8_t)worker,
        .server = wire->server,
        .port = slot,
        .generation = wire->generation,
    };
}

// The server closes: the worker hears of it when all that was sent before has arrived.
static void server_closes(struct sim *sim, unsigned worker, uint16_t slot)
{
    struct wire *wire = &sim->nodes[worker].wires[slot];
    uint64_t at_us = sim->now_us + link_surely_us(sim, &sim->servers[wire->server].back);
    struct event event = event_of(sim, worker, slot, EVENT_TCP_CLOSED);
    wire->silent = true;
    event_push(sim, &event, at_us > wire->back_us ? at_us : wire->back_us);
}

void tcp_close(struct sim *sim, const struct event *asked)
{
    if (!sim->nodes[asked->worker].wires[asked->port].silent)
        server_closes(sim, asked->worker, asked->port);
}

void tcp_connect(struct sim *sim, unsigned worker, uint16_t slot, unsigned number)
{
    struct wire *wire = &sim->nodes[worker].wires[slot];
    struct server *server = &sim->servers[number];
    *wire = (struct wire){
        .generation = wire->generation + 1,
        .server = (uint8_t)number,
        .open = true,
        .silent = deaf(sim, server),
        .used_us = sim->now_us,
    };
    wire->there_us = sim->now_us + link_surely_us(sim, &server->there);
    wire->back_us = wire->there_us + link_surely_us(sim, &server->back);
    if (wire->silent)
        return;
    if (server->mode == MODE_CLOSED || server->tcp == TCP_REFUSED) {
        server_closes(sim, worker, slot);
        return;
    }
    wire->there_us = wire->back_us; // before it is established nothing is sent
    struct event opened = event_of(sim, worker, slot, EVENT_TCP_OPEN);
    event_push(sim, &opened, wire->back_us);
    if (server->tcp != TCP_CLOSES_IDLE)
        return;
    struct event event = event_of(sim, worker, slot, EVENT_TCP_IDLE);
    event_push(sim, &event, wire->there_us + server->tcp_after);
}

void tcp_send(struct sim *sim, unsigned worker, uint16_t slot, uint32_t question,
              const uint8_t *bytes, size_t len)
{
    struct wire *wire = &sim->nodes[worker].wires[slot];
    struct event event = event_of(sim, worker, slot, EVENT_TCP_ASKED);
    uint64_t at_us = sim->now_us + link_surely_us(sim, &sim->servers[wire->server].there);
    wire->there_us = at_us > wire->there_us ? at_us : wire->there_us;
    event.number = question;
    event.packet = packet_make(bytes, len);
    event_push(sim, &event, wire->there_us);
}

void tcp_disconnect(struct sim *sim, unsigned worker, uint16_t slot)
{
    sim->nodes[worker].wires[slot].open = false;
}

void tcp_reply(struct sim *sim, const struct event *asked, struct packet *packet, uint32_t number,
               uint64_t after_us)
{
    struct wire *wire = &sim->nodes[asked->worker].wires[asked->port];
    struct server *server = &sim->servers[wire->server];
    struct event event = event_of(sim, asked->worker, asked->port, EVENT_TCP_REPLY);
    uint64_t at_us = sim->now_us + after_us + link_surely_us(sim, &server->back);
    if (!server->unordered)
        at_us = at_us > wire->back_us ? at_us : wire->back_us;
    wire->back_us = at_us > wire->back_us ? at_us : wire->back_us;
    event.number = number;
    event.packet = packet;
    event_push(sim, &event, at_us);
    wire->replies++;
    if (server->tcp == TCP_CLOSES_AFTER && wire->replies >= server->tcp_after && !wire->silent)
        server_closes(sim, asked->worker, asked->port);
}

// A query arrives at a server, if there is one.
static void asked_arrives(struct sim *sim, const struct event *event)
{
    struct wire *wire = &sim->nodes[event->worker].wires[event->port];
    const struct server *server = &sim->servers[event->server];
    wire->used_us = sim->now_us;
    if (wire->silent || deaf(sim, server))
        return;
    if (server->tcp == TCP_CLOSES_EARLY && dice_chance(&sim->dice, 500)) {
        sim_trace(sim, "server %u closes a connection instead of answering", event->server);
        server_closes(sim, event->worker, event->port);
        return;
    }
    server_asked(sim, event);
}

static void idle_look(struct sim *sim, const struct event *event)
{
    const struct wire *wire = &sim->nodes[event->worker].wires[event->port];
    uint64_t rest_us = sim->servers[event->server].tcp_after;
    if (wire->silent)
        return;
    if (sim->now_us - wire->used_us >= rest_us)
        server_closes(sim, event->worker, event->port);
    else
        event_push(sim, event, wire->used_us + rest_us);
}

void tcp_event(struct sim *sim, struct event *event)
{
    struct node *node = &sim->nodes[event->worker];
    struct wire *wire = &node->wires[event->port];
    if (wire->open && wire->generation == event->generation) {
        switch (event->kind) {
        case EVENT_TCP_ASKED:
            asked_arrives(sim, event);
            break;
        case EVENT_TCP_REPLY:
            world_reply(sim, event->worker, event->port, true, event->packet, event->number);
            break;
        case EVENT_TCP_OPEN:
            serve_connected(node->serve, sim->now_us, event->port);
            worker_drain(sim, event->worker);
            break;
        case EVENT_TCP_CLOSED:
            sim_trace(sim, "worker %u learns that connection %u has ended", event->worker,
                      event->port);
            wire->open = false;
            sim->tally.ends++;
            asking_credit_all(sim, event->worker, event->port, true);
            serve_closed(node->serve, sim->now_us, event->port);
            asking_look(sim, event->worker);
            worker_drain(sim, event->worker);
            break;
        default: // EVENT_TCP_IDLE
            idle_look(sim, event);
            break;
        }
    }
    free(event->packet);
}
