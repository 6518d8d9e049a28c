// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/serve.h"

// What this worker knows about a question, and how it would answer it now. Only the home of the
// question knows what is cached and in flight: if `home` is another worker, ask that one.

struct serve_cached {
    bool there;
    uint8_t rcode;
    uint8_t hits; // up to CACHE_HITS_MAX
    bool refreshed;
    uint32_t birth_s, expiry_s; // Unix time
    uint32_t len;               // octets of the message
    uint16_t records;           // in its answer section
    struct address upstream;    // that it came from; ADDRESS_NONE: not known
    uint8_t transport;          // enum transport that it came over
    uint8_t validation;         // enum answer_validation
    bool withheld; // it replaces the upstream's answer, because of a list or of rebinding
};

enum serve_outcome {
    OUTCOME_REFUSED,  // by the access lists, or as no zone covers the name
    OUTCOME_DROPPED,  // by the access lists
    OUTCOME_LOCAL,    // from records, hosts files or special names
    OUTCOME_BLOCKED,  // by a block list
    OUTCOME_MEMORY,   // from the cache
    OUTCOME_DENIED,   // from a cached denial of the name
    OUTCOME_FAILURE,  // from a cached failure
    OUTCOME_STALE,    // a stale answer, as no upstream is alive
    OUTCOME_JOIN,     // joins the question in flight
    OUTCOME_UPSTREAM, // an upstream is asked
};

struct serve_explanation {
    uint32_t home;
    uint8_t outcome; // enum serve_outcome
    uint8_t access;  // enum access_verdict, where a client was named
    struct key key;
    const struct zone *zone; // NULL: none covers the name
    bool zone_down;          // all of its upstreams are dead
    struct serve_cached cached, denial;
    uint16_t local_rcode;  // of OUTCOME_LOCAL and OUTCOME_BLOCKED
    uint32_t waiting;      // clients that wait for the question in flight
    uint64_t asked_us;     // when that started; 0: there is none
    uint8_t sends;         // of it so far
    uint16_t failed_rcode; // of a cached failure
    uint64_t failed_until_us;
};

// `client` may be NULL.
void serve_explain(struct serve *serve, uint64_t now_us, const struct name *name, uint16_t type,
                   const struct address *client, struct serve_explanation *explanation);
