// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/question_table.h"
#include "core/forward/rng.h"

// Source ports. Each attempt leaves from a socket whose port was drawn at random from the whole
// range (RFC 5452 9.2), connected to its upstream so that the kernel drops what comes from
// elsewhere. Opening a socket costs more than a query, so one carries some attempts before it is
// retired: of the hundreds that are open at a time one is drawn at random, and a new one opened
// while the table has room, or where none was drawn to the upstream.
//
// Attempts to one upstream that are attached before any of them is sent share what the first one
// has drawn: those of a batch of queries, or of timers. They leave by one system call, and their
// replies are read by one (docs/decisions/0016). None is easier to guess for that: each still has a
// port that was drawn among all and an ID of its own, and whoever forges a reply sees neither.
//
// A port stays open while one of its attempts waits, and the servers of a zone decide how long that
// is. So where few slots are free, some ports are closed early (forward.c), though attempts still
// wait there: a port is safe for SOURCE_PORT_KEPT_US after its latest attempt, and after that until
// its slot is needed.
//
// A port is a slot of a table here; io keeps the socket under the same number.

#define SOURCE_PORT_LOWEST      1024
#define SOURCE_PORT_USES        64        // attempts of a socket's life
#define SOURCE_PORT_WAITING     16        // of them at a time
#define SOURCE_PORT_LIFE_US     10000000u // after which it gets no new attempts
#define SOURCE_PORT_DRAWS       16        // slots drawn before giving up
#define SOURCE_PORT_SPARE_SHARE 8         // the last one in N is opened only where none was drawn
#define SOURCE_PORT_ROOM_SHARE  16        // one in N is kept free
#define SOURCE_PORT_KEPT_US     400000u   // for which a port is safe after its latest attempt
#define SOURCE_PORT_NONE        UINT16_MAX

struct source_port {
    struct attempt *attempts; // in flight here
    uint64_t opened_us;
    uint64_t used_us;                 // time of its latest attempt
    uint16_t upstream;                // index into zone_table.upstreams
    uint16_t number;                  // the UDP source port
    uint16_t listed_next;             // in the list of those to close
    uint16_t ended[SOURCE_PORT_USES]; // IDs of attempts that ended: a late or second reply may
                                      // still come
    uint8_t ended_count;
    uint8_t waiting; // attempts in flight here
    uint8_t uses;
    bool open;
    bool retired; // no new attempts; closes with its last one
    bool to_open; // OUTGOING_OPEN is still to be handed out
};

struct source_port_table {
    struct source_port *slots;
    uint16_t size;
    uint16_t free_count;
    uint16_t *free;     // slots that are not open
    uint16_t to_close;  // first of the list of slots to close, SOURCE_PORT_NONE: none
    uint16_t gathering; // slot of the latest attempt; SOURCE_PORT_NONE: one was sent since
    uint16_t closing_count;
};

[[nodiscard]] size_t source_port_size(uint16_t size);
void source_port_init(struct source_port_table *table, void *memory, uint16_t size);

// Chooses the source port and the message ID of an attempt to `upstream`, and attaches it there.
// Returns the slot, with `to_open` set where it is new; SOURCE_PORT_NONE: there is none.
[[nodiscard]] uint16_t source_port_attach(struct source_port_table *table, struct rng *rng,
                                          struct attempt *attempt, uint16_t upstream,
                                          uint64_t now_us);

// An attempt was sent: those attached from now on leave from another port.
void source_port_sent(struct source_port_table *table);

// Detaches an attempt from its port.
void source_port_detach(struct source_port_table *table, struct attempt *attempt);

// True if an attempt with this ID was sent from here and has ended, with a reply or without.
[[nodiscard]] bool source_port_has_ended(const struct source_port_table *table, uint16_t slot,
                                         uint16_t id);

// The attempt that was sent from this port with this message ID; NULL: there is none.
[[nodiscard]] struct attempt *source_port_find(const struct source_port_table *table, uint16_t slot,
                                               uint16_t id);

// The next slot whose socket is to be closed, which becomes free; SOURCE_PORT_NONE: there is none.
[[nodiscard]] uint16_t source_port_next_closing(struct source_port_table *table);

// Retires all that are older than SOURCE_PORT_LIFE_US. Returns whether any is still open.
bool source_ports_retire_old(struct source_port_table *table, uint64_t now_us);

// True if less than one slot in SOURCE_PORT_ROOM_SHARE is free or about to be.
[[nodiscard]] bool source_ports_short(const struct source_port_table *table);

// Draws one slot. SOURCE_PORT_NONE: it cannot be closed early, as its latest attempt is younger
// than SOURCE_PORT_KEPT_US.
[[nodiscard]] uint16_t source_port_draw_kept(const struct source_port_table *table, struct rng *rng,
                                             uint64_t now_us);

// Retires a port: it gets no new attempts. For one whose socket io could not open, or that failed.
void source_port_retire(struct source_port_table *table, uint16_t slot);
