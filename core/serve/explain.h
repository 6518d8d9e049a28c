// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/serve.h"

// What this worker knows of a question, and what it would do with it now. What is kept and what is
// under way is known at its home alone: where `home` is another worker, ask that one.
struct serve_kept {
    bool there;
    uint8_t rcode;
    uint8_t hits; // up to CACHE_HITS_MAX
    bool refreshed;
    uint32_t birth_s, expiry_s; // Unix time
    uint32_t len;               // octets of the message
    uint16_t records;           // in its answer section
    struct address upstream;    // that gave it; ADDRESS_NONE: not known
    uint8_t transport;          // enum transport, over which it came
    uint8_t validation;         // enum answer_validation
    bool withheld; // put in the place of what the upstream said, by a list or for its addresses
};

enum serve_outcome {
    OUTCOME_REFUSED,  // by the access lists, or as no zone covers the name
    OUTCOME_DROPPED,  // by the access lists
    OUTCOME_LOCAL,    // from records, hosts files or special names
    OUTCOME_BLOCKED,  // by a block list
    OUTCOME_MEMORY,   // from what is kept
    OUTCOME_DENIED,   // from what is kept of the name: that it does not exist
    OUTCOME_FAILURE,  // it failed a moment ago
    OUTCOME_STALE,    // from what is over, as no upstream is alive
    OUTCOME_JOIN,     // waits with others for what is under way
    OUTCOME_UPSTREAM, // is asked upstream
};

struct serve_explanation {
    uint32_t home;
    uint8_t outcome; // enum serve_outcome
    uint8_t access;  // enum access_verdict, where a client was named
    struct key key;
    const struct zone *zone; // NULL: none covers the name
    bool zone_down;          // all of its upstreams are dead
    struct serve_kept kept, denial;
    uint16_t local_rcode;  // where it is answered here
    uint32_t waiting;      // clients, for what is under way
    uint64_t asked_us;     // when that began; 0: nothing is
    uint8_t sends;         // of it so far
    uint16_t failed_rcode; // of a failure that is remembered
    uint64_t failed_until_us;
};
// `client` may be NULL.
void serve_explain(struct serve *serve, uint64_t now_us, const struct name *name, uint16_t type,
                   const struct address *client, struct serve_explanation *explanation);
