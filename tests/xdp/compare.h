// SPDX-License-Identifier: MIT
#pragma once
#include "tests/support/beside.h"
#include "tests/xdp/frame.h"

// The program beside a worker of any test (tests/support/beside.h): each query that the worker is
// given is first put into a frame, from the client's address, and given to the program, with the
// same cache, clock and turn, and told of the same settings by what tells it in the daemon. What
// the program answers has to be what the worker answers at once, octet by octet; what it leaves to
// the sockets has to be the frame that came, and no plain query whose answer is cached.
//
// It runs three times for each query: as things are; as if the answer had been asked for often, so
// that the first hits, of which tests have many, show what the program makes of them; and so as if
// other rules were in force, when it must answer nothing.

#define COMPARE_PLANES_MAX 4

enum compare_run { COMPARE_AS_IS, COMPARE_POPULAR, COMPARE_OTHER_RULES, COMPARE_RUNS };

// Shared with processes that are forked.
struct compare_counts {
    uint64_t queries; // over UDP that came to a worker
    uint64_t cached;  // that it has answered from the cache
    uint64_t frames[COMPARE_RUNS][PLANE_REASONS];
};

struct compare_plane {
    struct plane *plane;
    void *region;
    uint32_t shard_count;
    size_t size;
};

struct compare_result {
    bool ran;
    int said;
    enum plane_reason reason;
    struct frame reply;
};

struct compare {
    struct beside beside;
    struct compare_counts *counts;
    struct compare_plane planes[COMPARE_PLANES_MAX];
    unsigned plane_count;
    // Of the cache in use.
    struct plane *plane;
    bool told;
    struct settings settings; // the worker's, with addresses where frames are sent to
    struct address listen[2];
    struct plane_config config;
    uint64_t cookies_until_s; // when it has to be told of the next secret
    uint32_t generation;
    bool withholds; // the worker may keep an answer in the place of another
    // Of the query.
    bool popular; // an answer for it has been asked for so often that the program may give it
    struct address from;
    struct frame_form form;
    struct frame query;
    struct compare_result results[COMPARE_RUNS];
};

void compare_init(struct compare *compare);

// Loads a program for caches of so many shards in at least so many octets. False: it cannot be;
// `why` says why.
[[nodiscard]] bool compare_load(struct compare *compare, uint32_t shard_count, size_t size,
                                char why[static PLANE_WHY_SIZE]);

// Goes on with the program of another, over whose memory the worker's cache is.
void compare_with(struct compare *compare, struct plane *plane);

// Has the program answered so many frames, as things are and as if all answers were popular?
[[nodiscard]] bool compare_answered(const struct compare *compare, uint64_t as_is,
                                    uint64_t popular);

// Prints what was counted, as comments of TAP.
void compare_report(const struct compare *compare);
