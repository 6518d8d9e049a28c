// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/plan.h"
#include "core/forward/wheel.h"
#include "core/share.h"
#include "core/wire/key.h"

// The questions that wait for an upstream: one entry for each question (equal questions share it,
// which RFC 5452 5 asks for), the clients that wait for it, and the attempts to get it answered.
// Three tables of fixed size, taken from and given back to free lists; each says when it is full.
// What a client network may take of the questions, of the waiters, of the waiters of one question
// and of the attempts has bounds as soon as half of them are gone.
//
// An attempt may outlive its question: what was sent and is not answered yet when another attempt
// was is an orphan. Its reply is of no use to anybody but tells how long the upstream took; that it
// never comes tells that it got lost.

#define QUESTION_WAITERS_MAX 256 // waiters of one question
#define QUESTION_SHARE       4   // one network may have one part in so many

// Where a query came from: all that is needed to send the answer back.
struct client {
    struct address from;
    uint8_t local[16]; // where it was sent to, if the listen address is a wildcard (RFC 2181 4)
    uint16_t listener; // index of the listen address it arrived at
    bool tcp;          // came over a connection, which worker `worker` holds in that slot
    uint16_t worker;
    uint32_t connection;
    uint32_t generation; // which use of the slot
};

struct waiter {
    struct waiter *next;
    uint64_t since_us;
    struct client client;
    struct name_case spelling;
    uint32_t share; // of the client's network
    uint16_t id;
    uint16_t udp_size;
    uint8_t flags; // the query header's third octet
    bool edns;
    bool proven;                       // comes from where it says
    uint8_t asks;                      // enum query_asks
    uint8_t cookie[COOKIE_CLIENT_LEN]; // the client's part, where it asks for one
};

// One send of a question to one upstream. It stays until the question ends, and then perhaps as an
// orphan: the first valid reply to any attempt counts.
struct attempt {
    struct timer timer;           // first, as in struct question; of an orphan: when it is given up
    struct question *question;    // NULL: an orphan
    struct attempt *next;         // of the same question, or a younger orphan
    struct attempt *before;       // an older orphan
    struct attempt *next_at_port; // of the same source port or connection
    struct attempt *next_to_send;
    uint64_t sent_us; // 0: not sent yet
    uint32_t kind;    // of its question (kind.h)
    uint32_t share;   // of a client's network that waits for it, SHARE_NONE: nobody's, or an orphan
    struct network network; // that it is asked for, also as an orphan
    uint16_t id;
    uint16_t port;     // source port, or connection where `tcp`
    uint16_t upstream; // index into plan.upstreams
    uint8_t choice;    // place of the upstream in the zone's list
    uint8_t opens;     // source ports tried that could not be opened
    bool tcp;
    bool plain;   // sent without EDNS
    bool cookied; // sent with a cookie
    bool spelled; // sent with the question's own spelling (0x20)
    bool queued;  // waits to be sent
    bool held;    // waits for the next connection: this one takes no more
    bool beside;  // a copy beside another one, for which the question does not wait
    bool overdue; // has been counted as such
    bool refused; // the network says that nobody is there; its reply still counts
    bool needed;  // of an orphan: another one got the question answered
};

_Static_assert(PLAN_ZONE_UPSTREAMS_MAX <= 16, "a question has a bit for each in 16");

// What a finished question has ended with.
enum question_end {
    QUESTION_WAITS,
    QUESTION_ANSWERED, // with the answer that the forwarder holds
    QUESTION_FAILED,   // with `rcode`: an upstream's word, or SERVFAIL when there was none
};

struct question {
    struct timer timer;         // first, so that timer_owner finds the question
    struct timer stale_timer;   // when its waiters get a stale answer (RFC 8767 5)
    struct question *next;      // in its chain of the table, or among the free
    struct question *next_told; // both, where it ends while its waiters are being told
    struct question *next_ended;
    struct question *older; // all questions, in the order they came
    struct question *younger;
    struct question *unwaited_before; // both, of those that can be joined and nobody waits for
    struct question *unwaited_next;
    struct waiter *waiters;
    struct waiter **waiters_end;
    struct attempt *attempts; // latest first
    const struct plan_zone *zone;
    struct network network; // that it was first asked for
    struct network charged; // for a connection that stalled, where `is_charged`
    uint64_t started_us;
    uint64_t deadline_us;
    uint64_t first_sent_us; // where `sent`
    uint32_t kind;          // kind.h
    uint32_t era;           // how often upstreams had come back when it started
    uint32_t waiter_count;
    uint16_t rcode;   // once finished
    uint8_t end;      // enum question_end
    bool open;        // can be joined
    bool has_stale;   // there was an answer in memory that is over
    bool stale_due;   // it has waited so long that clients get that at once
    bool tell_stale;  // its waiters are being given it
    bool told;        // stands among those whose waiters are being told
    bool refresh;     // was started to keep an answer fresh
    bool probe;       // was started to see whether an upstream is there; no client waits for it
    bool abandoned;   // was given up to make room
    bool sent;        // at least one attempt was sent
    bool unreachable; // all that was ever heard is that nobody is there
    bool unasked;     // it has failed before anybody had it for long enough
    bool heard_rcode; // an upstream said what `rcode` is
    bool stream_only; // goes over TCP from now on
    bool follows;     // is sent again for what was replied to the attempt that has just ended
    bool idle;        // waits for an upstream to come back
    bool is_charged;  // to be forgiven when it is answered
    bool apart;       // is asked apart over TCP for nothing but the networks that ask
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
    uint8_t sends[PLAN_ZONE_UPSTREAMS_MAX];
    uint8_t tcp_sends[PLAN_ZONE_UPSTREAMS_MAX]; // less those it replied to, wanting another way
    uint8_t cuts[PLAN_ZONE_UPSTREAMS_MAX];      // connections that ended with this question

    struct name_case spelling; // in which upstreams are asked
    struct key key;
};

static inline bool choice_in(uint16_t bits, int choice)
{
    return bits >> choice & 1;
}

static inline struct question *stale_timer_owner(struct timer *timer)
{
    return (struct question *)((uint8_t *)timer - offsetof(struct question, stale_timer));
}

static inline struct question *timer_owner(struct timer *timer)
{
    return (struct question *)timer;
}

struct question_table {
    struct question **chains;
    uint32_t chain_mask;
    uint32_t count;      // of all that are not free
    uint32_t open_count; // of those that can be joined
    uint32_t waiter_count;
    uint32_t size; // questions; attempts and waiters are multiples of it
    struct question *free;
    struct question *oldest;
    struct question *youngest;
    struct question
        *unwaited; // nobody waits for these: first the one of which that is true longest
    struct question *unwaited_end;
    struct waiter *free_waiters;
    struct attempt *free_attempts;
    struct attempt *oldest_orphan;
    struct attempt *youngest_orphan;
    struct share_table shares; // waiters of each client network, and apart from them attempts
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

// Takes a question out of the table of those that can be joined; its memory stays until
// question_free.
void question_unlink(struct question_table *table, struct question *question);

// Which question is to be given up to make room? One that nobody waits for, such as those whose
// clients were given what is over, which anybody can have in any number; and if there is none, the
// one that has waited longest. No probe (forward.h) while there is another one. NULL: there is
// none.
[[nodiscard]] struct question *question_to_abandon(const struct question_table *table);

// Gives the question back; it must be unlinked, without waiters, attempts and timers.
void question_free(struct question_table *table, struct question *question);

// May this client have another waiter, at this question or at one that is yet to be asked (NULL)?
// Where half of the questions, of the waiters or of the waiters of this question are there, a
// network (core/share.h) that has more than a QUESTION_SHARE of them may not. Before that anybody
// may.
[[nodiscard]] bool question_share_left(const struct question_table *table,
                                       const struct question *question,
                                       const struct address *client);

// Attaches a client; NULL when the question or the table has no place left.
[[nodiscard]] struct waiter *waiter_add(struct question_table *table, struct question *question,
                                        const struct address *client);

// Detaches the first waiter (the first come), or returns NULL. It is valid until the next
// waiter_add.
[[nodiscard]] struct waiter *waiter_take(struct question_table *table, struct question *question);

// Moves all waiters of one question to another, behind those that are there; it may then have more
// than QUESTION_WAITERS_MAX.
void waiters_move(struct question_table *table, struct question *to, struct question *from);

// Notes of a query what its reply needs, and gives it back as query_read would have read it; the
// message is written to `message`.
void waiter_fill(struct waiter *waiter, const struct client *client, const struct query *query,
                 uint64_t now_us);
[[nodiscard]] struct query waiter_query(const struct waiter *waiter, const struct key *key,
                                        uint8_t message[static UPSTREAM_QUERY_MAX]);

// The attempt is nobody's until it is charged to a share (core/share.h), one of a waiter's; it is
// free of that when its question ends.
[[nodiscard]] struct attempt *attempt_add(struct question_table *table, struct question *question);
void attempt_charge(struct question_table *table, struct attempt *attempt, uint32_t share);
void attempt_free(struct question_table *table, struct attempt *attempt);

// Parts an attempt from its question and keeps it as the youngest orphan.
void attempt_orphan(struct question_table *table, struct attempt *attempt);
