// SPDX-License-Identifier: MIT
#pragma once
#include "core/client.h"
#include "core/forward/question_table.h"

// The clients that wait for the forwarder's questions, in a table of fixed size next to the table
// of questions. What a client network may take of the questions, of the waiters and of the waiters
// of one question has bounds as soon as half of them are gone.

#define WAITERS_PER_QUESTION_MAX 256

struct waiter {
    struct asker asker; // first, as its question has a list of them
    uint64_t since_us;
    struct client client;
    struct name_case spelling;
    uint16_t id;
    uint16_t udp_size;
    uint8_t flags; // the query header's third octet
    bool edns;
    bool proven;                       // comes from where it says
    uint8_t asks;                      // enum query_asks
    uint8_t cookie[COOKIE_CLIENT_LEN]; // the client's part, where it asks for one
};

// What concerns the clients of one question. All zeros where there is no question.
struct waiting {
    struct timer patience;      // first; when they are given something else (RFC 8767 5)
    struct question *next_told; // both, while its waiters are being told
    bool told;
    bool tell_stale; // they are being given a stale answer
    bool has_stale;  // there was a stale answer in memory
    bool stale_due;  // they have waited so long that clients get that at once
    bool refresh;    // the question was begun to keep an answer fresh
};

struct waiter_table {
    struct waiting *waiting; // by the number of the question (question_index)
    struct waiter *free;
};

// Octets of a table that goes with one of `size` questions.
[[nodiscard]] size_t waiter_table_size(uint32_t size);
void waiter_table_init(struct waiter_table *table, void *memory, uint32_t size);

// May this client wait for this question, or for one that is yet to be asked (NULL)? Where half of
// the questions, of the waiters or of the waiters of this question are there, a network
// (core/share.h) that has more than one part in SHARE_PART of them may not. Before that any may.
[[nodiscard]] bool waiter_may_be_added(const struct question_table *questions,
                                       const struct question *question,
                                       const struct address *client);

// The same of a parent, which may where one of those may on whose behalf it is asked; where there
// is none, as long as half of the questions are free.
[[nodiscard]] bool waiter_parent_may_be_added(const struct question_table *questions,
                                              const struct question *question,
                                              const struct question *parent);

// Attaches a client; NULL when the question or the table has no place left.
[[nodiscard]] struct waiter *waiter_add(struct waiter_table *table,
                                        struct question_table *questions, struct question *question,
                                        const struct address *client);

// Gives back the waiter of an asker that was taken off its question, and is no parent. It is valid
// until the next waiter_add.
[[nodiscard]] struct waiter *waiter_give(struct waiter_table *table, struct asker *asker);

// Notes of a query what its reply needs, and gives it back as query_read would have read it; the
// message is written to `message`.
void waiter_fill(struct waiter *waiter, const struct client *client, const struct query *query,
                 uint64_t now_us);
[[nodiscard]] struct query waiter_query(const struct waiter *waiter, const struct key *key,
                                        uint8_t message[static UPSTREAM_QUERY_MAX]);
