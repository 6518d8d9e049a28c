// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>

// What an upstream supports of what a query may carry: EDNS (RFC 6891), cookies (RFC 7873), and
// names in mixed case (0x20, draft-vixie-dnsext-dns0x20). All of it is assumed until the upstream
// shows otherwise. Two of the three make forgery hard, so no datagram alone ends their use: what
// counts is a reply over TCP or with our cookie, or an answer that matches in full to a query
// without; and what was learned ends after an hour.

#define SUPPORT_LEARNED_US 3600000000u  // for which what was learned counts
#define SUPPORT_CASE_US    86400000000u // for which a name that came back in its case counts

// Questions in a row, after which something is learned: with an error of a header alone that were
// answered without EDNS; answered in lower case alone; and failed in lower case too.
#define SUPPORT_BARE_ERRORS    3
#define SUPPORT_LOWER_ANSWERS  2
#define SUPPORT_LOWER_FAILURES 3

struct support {
    uint64_t no_edns_until_us;
    uint64_t no_cookies_until_us;
    uint64_t no_case_until_us;
    uint64_t case_kept_us; // when it last took a name in mixed case; 0: never
    uint8_t bare_errors;   // as above
    uint8_t lower_answers; // as above
    uint8_t lower_failures;
};

static inline bool support_edns(const struct support *support, uint64_t now_us)
{
    return now_us >= support->no_edns_until_us;
}

static inline bool support_cookies(const struct support *support, uint64_t now_us)
{
    return now_us >= support->no_cookies_until_us;
}

static inline bool support_case(const struct support *support, uint64_t now_us)
{
    return now_us >= support->no_case_until_us;
}

// A name in mixed case came back in that case, with an answer.
static inline void support_case_kept(struct support *support, uint64_t now_us)
{
    support->case_kept_us = now_us;
    support->lower_answers = support->lower_failures = 0;
}

// Has no name in mixed case come back of late? Then one that fails may do so for its case.
static inline bool support_case_doubted(const struct support *support, uint64_t now_us)
{
    return support_case(support, now_us) &&
           (support->case_kept_us == 0 || now_us - support->case_kept_us >= SUPPORT_CASE_US);
}

// A reply that nobody can have forged gave the name in another case than it was asked in.
static inline void support_case_lost(struct support *support, uint64_t now_us)
{
    support->no_case_until_us = now_us + SUPPORT_LEARNED_US;
}

// What failed in mixed case, or was not answered, has been answered in lower case, over TCP or with
// our cookie.
static inline void support_case_failed(struct support *support, uint64_t now_us)
{
    support->lower_failures = 0;
    if (++support->lower_answers < SUPPORT_LOWER_ANSWERS)
        return;
    support->lower_answers = 0;
    support_case_lost(support, now_us);
}

// It failed in lower case as well. When that has happened so often in a row, it is not the case.
static inline void support_case_cleared(struct support *support, uint64_t now_us)
{
    if (++support->lower_failures >= SUPPORT_LOWER_FAILURES)
        support_case_kept(support, now_us);
}

// A query with EDNS got an error and one without got an answer. The error may have been a header
// alone (`bare`), which anyone can send who guesses an ID and a port.
static inline void support_edns_failed(struct support *support, uint64_t now_us, bool bare)
{
    if (bare && ++support->bare_errors < SUPPORT_BARE_ERRORS)
        return;
    support->bare_errors = 0;
    support->no_edns_until_us = now_us + SUPPORT_LEARNED_US;
}

// The same of a query with a cookie, answered with EDNS but without the cookie.
static inline void support_cookies_failed(struct support *support, uint64_t now_us, bool bare)
{
    if (!bare)
        support->no_cookies_until_us = now_us + SUPPORT_LEARNED_US;
}

// A reply had an OPT record.
static inline void support_edns_heard(struct support *support)
{
    support->bare_errors = 0;
}
