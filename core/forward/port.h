// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/question_table.h"
#include "core/forward/rng.h"

// Source ports. Each attempt leaves from a socket whose port was drawn at random from the whole
// range (RFC 5452 9.2), connected to its upstream so that the kernel drops what comes from
// elsewhere. Opening a socket costs more than a query, so one carries a few attempts before it is
// retired: of the hundreds that are open at a time each attempt draws one at random, and opens a
// new one while the table has room, or where it has drawn none to its upstream.
//
// A port stays open while one of its attempts waits, and whoever owns a zone decides how long that
// is. So where few are free some give their places up (forward.c), whatever still waits there: a
// port is held for PORT_KEPT_US after its latest attempt, and for longer only while nobody wants
// it.
//
// A port is a slot of a table here; io holds the socket under the same number.

#define PORT_LOWEST      1024
#define PORT_USES        16        // attempts per socket
#define PORT_LIFE_US     10000000u // age after which it gets no new ones
#define PORT_DRAWS       16        // slots looked at before giving up
#define PORT_SPARE_SHARE 8         // one slot in so many is only opened where none was drawn
#define PORT_ROOM_SHARE  16        // and one in so many is to be free
#define PORT_KEPT_US     400000u   // since its latest attempt, for which a port is left alone
#define PORT_NONE        UINT16_MAX

struct port {
    struct attempt *attempts; // in flight here
    uint64_t opened_us;
    uint64_t used_us;          // when its latest attempt came
    uint16_t upstream;         // index into zone_table.upstreams
    uint16_t number;           // the UDP source port
    uint16_t listed_next;      // of those to close
    uint16_t ended[PORT_USES]; // IDs of what is over: a reply may come twice, or too late
    uint8_t ended_count;
    uint8_t uses;
    bool open;
    bool retired; // no new attempts; closes with its last one
    bool to_open; // io has not been told to open it yet
};

struct port_table {
    struct port *ports;
    uint16_t size;
    uint16_t free_count;
    uint16_t *free;    // slots that are not open
    uint16_t to_close; // first of the list of slots to close, PORT_NONE: none
    uint16_t closing_count;
};

[[nodiscard]] size_t port_size(uint16_t size);
void port_init(struct port_table *table, void *memory, uint16_t size);

// Chooses the source port and the message ID for an attempt to `upstream` and attaches it there.
// Returns the slot, with `to_open` set where io has yet to open it, or PORT_NONE where none can be
// had.
[[nodiscard]] uint16_t port_attach(struct port_table *table, struct rng *rng,
                                   struct attempt *attempt, uint16_t upstream, uint64_t now_us);

// Ends an attempt's stay at its port.
void port_detach(struct port_table *table, struct attempt *attempt);

// Does the ID belong to one that left from here and is over, by a reply or without?
[[nodiscard]] bool port_has_ended(const struct port_table *table, uint16_t port, uint16_t id);

// The attempt at this port that went out with this message ID, or NULL.
[[nodiscard]] struct attempt *port_find(const struct port_table *table, uint16_t port, uint16_t id);

// The next slot whose socket is to be closed, free from now on; PORT_NONE: there is none.
[[nodiscard]] uint16_t port_next_closing(struct port_table *table);

// Retires all that are older than PORT_LIFE_US. Returns whether any is open still.
bool ports_retire_old(struct port_table *table, uint64_t now_us);

// Is less than one slot in PORT_ROOM_SHARE free, or about to be?
[[nodiscard]] bool ports_short(const struct port_table *table);

// Draws a slot that can give its place up, as its latest attempt came PORT_KEPT_US ago or before.
// PORT_NONE: the one that was drawn cannot.
[[nodiscard]] uint16_t port_draw_kept(const struct port_table *table, struct rng *rng,
                                      uint64_t now_us);

// io could not open this one, or its socket broke: it takes no new attempts.
void port_retire(struct port_table *table, uint16_t port);
