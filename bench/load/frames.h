// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// What the generator in the driver (frames.bpf.c) and the process that runs it (frames.c) share:
// constants of the program, and the maps' values.

// Queries come from these ports. Answers to others are not this load's.
#define FRAMES_PORT  20000
#define FRAMES_PORTS 1000

// Octets by which the program shortens what it is run with (frames.bpf.c).
#define FRAMES_EXTRA 8

// Frames that are sent one after the other at most, where others were late.
#define FRAMES_BURST 64

#define FRAME_MAX 128 // octets; a whole number of words of 8

struct frame {
    uint64_t words[FRAME_MAX / 8];
};

struct frames_constants {
    uint32_t interface; // at which frames leave, an end of a veth pair
    uint32_t count;     // of different frames, which are sent in turn
    uint64_t gap_ps;    // picoseconds from one frame to the next
    uint32_t dns_at;    // octets of a frame in front of its DNS message
    uint16_t port;      // the server's, in network order
    uint16_t protocol;  // the Ethernet type, in network order
};

struct frames_state {
    uint64_t begin_ns; // CLOCK_MONOTONIC; 0: with the next frame
    uint64_t due_ps;   // from then on, when the next one is to be sent
    uint64_t asked;
    uint32_t next;
    uint32_t unused;
};

// What came back, of each CPU.
struct frames_got {
    uint64_t answers;
    uint64_t good;   // NOERROR with records, whole
    uint64_t octets; // of the answers' frames
};
