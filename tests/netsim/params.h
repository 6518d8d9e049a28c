// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>

// What differs from seed to seed. Chances are per mille.

struct params {
    unsigned workers;
    bool wildcard; // listens on 0.0.0.0
    bool gentle;   // nothing is lost, so each patient client has to get its answer
    // The engine.
    bool holds;            // requests and places hold their sockets, as io_uring's do
    bool ends_unbuffered;  // a receive ends where there is no buffer, else it waits
    unsigned buffers[3];   // of each group
    unsigned events_max;   // of one wait
    uint32_t questions;    // in flight, of one worker
    uint32_t queue_octets; // of the queue between two workers
    uint32_t held_octets;  // for clients of one network
    uint32_t stall_pm;     // a worker gets no turn for a while
    uint32_t stall_us;     // at most
    uint32_t place_fail_pm;
    uint32_t stop_pm;    // a wait returns though there is more
    uint32_t late_pm;    // what was cancelled ends in a later wait
    uint32_t disarm_pm;  // a receive ends by itself
    uint32_t partial_pm; // a send or a receive of a connection is cut short
    uint32_t wake_fail_pm;
    // The kernel.
    unsigned queue_max;   // datagrams that a socket holds
    uint32_t pipe_size;   // octets of each direction of a connection
    uint32_t shortage_pm; // no descriptor can be had
    uint32_t send_fail_pm;
    // The network.
    uint32_t loss_pm, twice_pm, cut_pm;
    uint32_t delay_us; // at most
    // Clients.
    unsigned askers, callers;
    unsigned rounds; // of each
    uint32_t names;  // that are popular
    bool huge;       // they ask for answers of 20,000 octets
    // Upstreams.
    unsigned resolvers;
    uint32_t silent_pm, refuse_pm, connect_never_pm, end_early_pm;
    uint32_t truncate_pm, slow_pm, stall_connection_pm, close_pm;
    unsigned closes; // of connections in order, at most
    // The operator.
    unsigned reloads, upgrades;
    bool upgrade_fails;
    bool successor_dies; // when it has begun to answer
    bool other_cache;    // the successor has one of another size
    bool answer_log;
    uint64_t connections_max, per_client, idle_ms;
    uint64_t span_us; // in which clients begin
};

void params_draw(struct params *params, uint64_t seed);

// A quiet world with one worker, in which the right replies are learned.
void params_quiet(struct params *params);
