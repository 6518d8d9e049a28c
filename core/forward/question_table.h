// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/answer_store.h"
#include "core/forward/wheel.h"
#include "core/forward/zone_table.h"
#include "core/share.h"
#include "core/wire/key.h"

#include <stddef.h>

// The questions that wait for an upstream: one entry for each (equal questions share it, which
// RFC 5452 5 asks for), on whose behalf it is asked, and the attempts to get it answered. Tables of
// fixed size, taken from and given back to free lists; each says when it is full. What a client
// network may take of the attempts has bounds as soon as half of them are gone (share.h).
//
// A question is asked on behalf of clients, or of another question, its parent, whose answer it is
// a part of (subquestion.h).
//
// An attempt may outlive its question: what was sent and is not answered yet when another attempt
// was is an orphan. Its reply is of no use to any client but tells how long the upstream took; that
// it never comes tells that it got lost.

#define QUESTION_ASKERS 4 // in the whole table, for each of its questions

// A client, or a parent, on whose behalf a question is asked. A client's is embedded in its waiter
// (core/serve/waiter_table.h).
struct asker {
    struct asker *next;
    struct question *parent; // NULL: it is a client
    uint32_t share;          // of the client's network; SHARE_NONE: a parent has no client so far
};

// One send of a question to one upstream. It stays until the question ends, and then perhaps as an
// orphan: the first valid reply to any attempt counts.
struct attempt {
    struct timer timer;           // first, as in struct question; of an orphan: when it is given up
    struct question *question;    // NULL: an orphan
    struct attempt *next;         // of the same question, or a younger orphan
    struct attempt *before;       // an older orphan
    struct attempt *next_at_slot; // of the same source port or connection
    struct attempt *next_to_send;
    uint64_t sent_us;       // 0: not sent yet
    uint32_t kind;          // of its question (kind.h)
    uint32_t share;         // of an asker's network, SHARE_NONE: of none, or an orphan
    struct network network; // that it is asked for, also as an orphan
    uint16_t id;
    uint16_t slot;     // of its source port or connection
    uint16_t upstream; // index into zone_table.upstreams
    uint8_t choice;    // place of the upstream in the zone's list
    uint8_t opens;     // source ports tried that could not be opened
    uint8_t transport; // enum transport
    bool plain;        // sent without EDNS
    bool cookied;      // sent with a cookie
    bool random_case;  // sent in the question's 0x20 case
    bool queued;       // waits to be sent
    bool deferred;     // not sent yet: its connection has its batch, and it waits for the next one
    bool duplicate;    // a copy of a send to another upstream; the question does not wait for it
    bool overdue;      // has been counted as such
    bool refused;      // reported unreachable by ICMP; its reply still counts
    bool needed;       // of an orphan: another one got the question answered
};

_Static_assert(ZONE_UPSTREAMS_MAX <= 16, "a question has a bit for each in 16");

// Where a question stands.
enum question_state {
    QUESTION_ASKED,  // has been sent to an upstream, or will be soon
    QUESTION_IDLE,   // waits for an upstream to come back
    QUESTION_PARENT, // waits for its subquestion to end
    // It has ended:
    QUESTION_ANSWERED,    // with the answer that the forwarder holds
    QUESTION_REFUSED,     // an upstream said `rcode`, and none knew better
    QUESTION_SILENT,      // no upstream answered in time
    QUESTION_UNREACHABLE, // as far as was ever heard none is there
    QUESTION_UNASKED,     // no upstream had it for long enough to answer
    QUESTION_ABANDONED,   // it was given up to make room
};

// What a question may wait for another one's end for. Each but once, so that there is an end to it.
enum subquestion {
    SUBQUESTION_ALIAS = 1, // what its CNAMEs lead to
    SUBQUESTION_DNS64 = 2, // the IPv4 addresses of a name that has no IPv6 ones (RFC 6147)
};

struct question {
    struct timer timer;    // first, so that timer_owner finds the question
    struct question *next; // in its chain of the table, or among the free
    struct question *next_ended;
    struct question *next_hopeless;
    struct question *older; // all questions, in the order they came
    struct question *younger;
    struct question *unwaited_before; // both, of those that can be joined and have no askers
    struct question *unwaited_next;
    struct asker *askers; // in the order they came
    struct asker **askers_end;
    struct asker as_parent;   // among the askers of `sub`
    struct question *sub;     // whose end it waits for; NULL: none
    struct attempt *attempts; // latest first
    const struct zone *zone;
    struct network network; // that it was first asked for
    struct network charged; // for a connection that stalled, until it is answered; or none
    uint64_t started_us;
    uint64_t deadline_us;
    uint64_t first_sent_us; // 0: nothing has been sent
    uint64_t in_hand_us;    // since when its answer has been
    uint32_t kind;          // kind.h
    uint32_t recoveries;    // the recovery count when it started
    uint32_t asker_count;
    uint32_t parent_count; // of these
    uint32_t in_hand;      // its answer (answer_store.h), ANSWER_NONE: it has none there
    uint16_t rcode;        // of an upstream that has failed, RCODE_NOERROR: none has said any
    uint8_t state;         // enum question_state
    bool probe;           // was started to see whether an upstream is there; no client waits for it
    bool tcp_only;        // goes over TCP from now on
    bool follows;         // is sent again for what was replied to the attempt that has just ended
    bool apart;           // is asked apart over TCP for nothing but the networks that ask
    bool ending;          // has ended, and is in one of the lists of ended questions
    bool hopeless;        // stands among those that have just been found to be so
    uint8_t in_hand_hash; // of the network whose share of the answers in hand that is
    bool local;           // its answer begins with local records: it is not asked upstream itself
    uint8_t subquestions; // bits of enum subquestion: those that it has had
    uint8_t waits_for;    // enum subquestion, where it is QUESTION_PARENT
    uint8_t depth;        // questions that waited for it in a row when it was begun
    // A bit for each of the zone's upstreams.
    uint16_t out;        // has nothing more to say to this question
    uint16_t failed;     // said SERVFAIL, REFUSED or the like
    uint16_t plain;      // is asked without EDNS, as it did not understand it
    uint16_t no_cookie;  // is asked without a cookie, as it did not understand that
    uint16_t no_case;    // is asked in lower case, as mixed case may be what it fails at
    uint16_t suspect;    // was asked over a connection that ended with it
    uint16_t truncated;  // wants it over TCP, but has not been asked so yet
    uint16_t objected;   // said so of the cookie in a reply that matches
    uint8_t near_misses; // replies that were nearly right
    uint8_t losses;      // sends over TCP that were lost through others' fault

    // To each of the zone's upstreams.
    uint8_t sends[ZONE_UPSTREAMS_MAX];
    uint8_t tcp_sends[ZONE_UPSTREAMS_MAX]; // less those it replied to, wanting another way
    uint8_t cuts[ZONE_UPSTREAMS_MAX];      // connections that ended with this question

    struct name_case name_case; // the 0x20 case of the sends
    struct key key;
};

static inline bool choice_in(uint16_t bits, int choice)
{
    return bits >> choice & 1;
}

// Is it sent over a connection?
static inline bool attempt_has_connection(const struct attempt *attempt)
{
    return transport_has_connections(attempt->transport);
}

// Can it be joined, as it has not ended?
static inline bool question_is_open(const struct question *question)
{
    return question->state <= QUESTION_PARENT;
}

static inline bool question_has_failed(const struct question *question)
{
    return question->state > QUESTION_ANSWERED;
}

static inline struct question *timer_owner(struct timer *timer)
{
    return (struct question *)timer;
}

struct question_table {
    struct question *all;
    struct question **chains;
    uint32_t chain_mask;
    uint32_t count;      // of all that are not free
    uint32_t open_count; // of those that can be joined
    uint32_t asker_count;
    uint32_t parent_count; // of these
    uint32_t size;         // questions; attempts and askers are multiples of it
    struct question *free;
    struct question *oldest;
    struct question *youngest;
    struct question *unwaited; // without askers: first the one that has been so longest
    struct question *unwaited_end;
    struct attempt *free_attempts;
    struct attempt *oldest_orphan;
    struct attempt *youngest_orphan;
    struct share_table shares; // askers of each client network, and apart from them attempts
};

// Octets for a table of `size` questions (a power of two).
[[nodiscard]] size_t question_table_size(uint32_t size);
void question_table_init(struct question_table *table, void *memory, uint32_t size,
                         const uint64_t seed[2]);

// How many attempts a table of that size has.
[[nodiscard]] uint32_t question_table_attempts(uint32_t size);

[[nodiscard]] struct question *question_find(const struct question_table *table,
                                             const struct key *key);

// Adds a question that is not there yet; NULL when the table is full.
[[nodiscard]] struct question *question_add(struct question_table *table, const struct key *key);

// Gives a question that waits another key, with the same name, under which alone it is found then.
void question_rekey(struct question_table *table, struct question *question, const struct key *key);

// Takes a question out of the table of those that can be joined, once its state says that it has
// ended; its memory stays until question_free. And puts it back, as the youngest, once its state
// says that it goes on; there must be none with its key.
void question_unlink(struct question_table *table, struct question *question);
void question_link(struct question_table *table, struct question *question);

// Which question is to be given up to make room? One without askers, such as those whose clients
// were given a stale answer, of which any client can have any number; and if there is none, the one
// that has waited longest. No probe (forward.h) while there is another one. NULL: there is none.
[[nodiscard]] struct question *question_to_abandon(const struct question_table *table);

// Gives the question back; it must be unlinked, without askers, attempts and timers.
void question_free(struct question_table *table, struct question *question);

// Which of the table's questions it is.
static inline uint32_t question_index(const struct question_table *table,
                                      const struct question *question)
{
    return (uint32_t)(question - table->all);
}

// Attaches one on behalf of whom the question is asked, of which there are QUESTION_ASKERS for each
// question of the table at most.
void asker_add(struct question_table *table, struct question *question, struct asker *asker,
               const struct address *client);

// Detaches the one that came first, and returns it; NULL: there is none.
[[nodiscard]] struct asker *asker_pop(struct question_table *table, struct question *question);

// Has `sub` be asked on behalf of a parent, at the expense of the parent's network; and no longer.
void parent_add(struct question_table *table, struct question *sub, struct question *parent);
void parent_remove(struct question_table *table, struct question *parent);

// The attempt is charged to no one until attempt_charge (core/share.h), an asker's share; it is
// free of that when its question ends.
[[nodiscard]] struct attempt *attempt_add(struct question_table *table, struct question *question);
void attempt_charge(struct question_table *table, struct attempt *attempt, uint32_t share);
void attempt_free(struct question_table *table, struct attempt *attempt);

// Parts an attempt from its question and keeps it as the youngest orphan.
void attempt_orphan(struct question_table *table, struct attempt *attempt);
