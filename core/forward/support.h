// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/kind.h"

// What an upstream supports of what a query may carry: EDNS (RFC 6891), cookies (RFC 7873), and
// names in mixed case (0x20, draft-vixie-dnsext-dns0x20). All of it is assumed until the upstream
// shows otherwise. Two of the three make forgery hard, so no datagram alone ends their use: what
// counts is a reply over TCP or with our cookie, or an answer that matches in full to a query
// without; and what was learned ends after an hour.
//
// An upstream may pass on what the servers of a name say, errors among them and the name in another
// case, and whoever owns the name decides that. So that a query succeeds without what another
// failed with, or is answered in another case, counts for its kind
// (kind.h), and something is learned from several kinds, and only where the upstream has not shown
// of late that it understands. Until then it holds for that one question. One such reply ends what
// was learned.

#define SUPPORT_LEARNED_US 3600000000u  // for which what was learned or shown counts
#define SUPPORT_CASE_US    86400000000u // for which a name that came back in its case counts

struct support {
    uint64_t no_edns_until_us;
    uint64_t no_cookies_until_us;
    uint64_t no_case_until_us;
    uint64_t edns_shown_us;    // when a reply last had an OPT record; 0: never
    uint64_t cookies_shown_us; // when a query with a cookie was last answered; 0: never
    uint64_t case_kept_us;     // when it last took a name in mixed case; 0: never
    // The kinds of questions, since the last reply that shows otherwise:
    struct kinds edns_failed;    // failed with EDNS and answered without
    struct kinds cookies_failed; // the same of a cookie
    struct kinds case_failed;    // failed in mixed case and answered in lower case
    struct kinds case_lost;      // answered in another case than asked
    struct kinds lower_failed;   // failed in lower case too
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
    support->case_failed.count = support->case_lost.count = support->lower_failed.count = 0;
}

// Has no name in mixed case come back of late? Then one that fails may do so for its case.
static inline bool support_case_doubted(const struct support *support, uint64_t now_us)
{
    return support_case(support, now_us) &&
           (support->case_kept_us == 0 || now_us - support->case_kept_us >= SUPPORT_CASE_US);
}

// Was it shown so lately that failures have other reasons?
static inline bool support_is_shown(uint64_t shown_us, uint64_t now_us)
{
    return shown_us != 0 && now_us - shown_us < SUPPORT_LEARNED_US;
}

// What was seen of one kind is learned when it was seen of several, and ends with this.
static inline void support_note(struct kinds *seen, uint32_t kind, uint64_t *until_us,
                                uint64_t now_us)
{
    kinds_add(seen, kind);
    if (!kinds_several(seen))
        return;
    seen->count = 0;
    *until_us = now_us + SUPPORT_LEARNED_US;
}

// An answer that nobody can have forged gave a name of that kind in another case than it was asked
// in.
static inline void support_case_lost(struct support *support, uint32_t kind, uint64_t now_us)
{
    if (!support_is_shown(support->case_kept_us, now_us))
        support_note(&support->case_lost, kind, &support->no_case_until_us, now_us);
}

// What failed in mixed case, or was not answered, has been answered in lower case, over TCP or with
// our cookie.
static inline void support_case_failed(struct support *support, uint32_t kind, uint64_t now_us)
{
    support->lower_failed.count = 0;
    support_note(&support->case_failed, kind, &support->no_case_until_us, now_us);
}

// It failed in lower case as well. When that has happened to several kinds in a row, it is not the
// case.
static inline void support_case_cleared(struct support *support, uint32_t kind, uint64_t now_us)
{
    kinds_add(&support->lower_failed, kind);
    if (kinds_several(&support->lower_failed))
        support_case_kept(support, now_us);
}

// A query of that kind got an error with EDNS, and an answer without.
static inline void support_edns_failed(struct support *support, uint32_t kind, uint64_t now_us)
{
    if (!support_is_shown(support->edns_shown_us, now_us))
        support_note(&support->edns_failed, kind, &support->no_edns_until_us, now_us);
}

// A query of that kind got an error with a cookie, and an answer with EDNS but without the cookie.
static inline void support_cookies_failed(struct support *support, uint32_t kind, uint64_t now_us)
{
    if (!support_is_shown(support->cookies_shown_us, now_us))
        support_note(&support->cookies_failed, kind, &support->no_cookies_until_us, now_us);
}

// A reply had an OPT record.
static inline void support_edns_shown(struct support *support, uint64_t now_us)
{
    support->edns_shown_us = now_us;
    support->no_edns_until_us = 0;
    support->edns_failed.count = 0;
}

// A query with a cookie was answered.
static inline void support_cookies_shown(struct support *support, uint64_t now_us)
{
    support->cookies_shown_us = now_us;
    support->no_cookies_until_us = 0;
    support->cookies_failed.count = 0;
}

// Whoever takes over what was learned tells kinds apart by another secret.
static inline void support_forget_kinds(struct support *support)
{
    support->edns_failed = support->cookies_failed = (struct kinds){0};
    support->case_failed = support->case_lost = support->lower_failed = (struct kinds){0};
}
