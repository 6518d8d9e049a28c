// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/kind.h"

// What an upstream supports: EDNS (RFC 6891), cookies (RFC 7873), and names in mixed case (0x20,
// draft-vixie-dnsext-dns0x20). All three are assumed until the upstream shows otherwise. Two of
// them protect from forgery, so no datagram alone ends their use. What counts is a reply over TCP
// or with our cookie, or a full match to a query without them; and what was learned expires after
// an hour.
//
// An upstream may pass on what a name's servers say, errors and changed case too, and the owner of
// the name controls these. So a query that succeeds without a feature with which another failed, or
// that is answered in another case, counts for its kind (kind.h). A feature counts as unsupported
// only after several kinds, and only if the upstream has not supported it of late; until then it is
// left out for that one question. One reply that shows support ends that.

#define SUPPORT_LEARNED_US 3600000000u  // for which what was learned or shown counts
#define SUPPORT_CASE_US    86400000000u // for which a name returned in its case counts

struct support {
    uint64_t no_edns_until_us;
    uint64_t no_cookies_until_us;
    uint64_t no_case_until_us;
    uint64_t edns_shown_us;    // when a reply last had an OPT record; 0: never
    uint64_t cookies_shown_us; // when a query with a cookie was last answered; 0: never
    uint64_t case_kept_us;     // when it last returned a name in its mixed case; 0: never
    // The kinds of questions, since the last reply that shows otherwise:
    struct kinds edns_failed;    // failed with EDNS and answered without
    struct kinds cookies_failed; // the same with cookies
    struct kinds case_failed;    // failed in mixed case and answered in lower case
    struct kinds case_lost;      // answered in another case than was sent
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

// An answer had the name in the mixed case that was sent.
static inline void support_case_kept(struct support *support, uint64_t now_us)
{
    support->case_kept_us = now_us;
    support->case_failed.count = support->case_lost.count = support->lower_failed.count = 0;
}

// True if no name came back in its mixed case of late; then the case may be why a question fails.
static inline bool support_case_doubted(const struct support *support, uint64_t now_us)
{
    return support_case(support, now_us) &&
           (support->case_kept_us == 0 || now_us - support->case_kept_us >= SUPPORT_CASE_US);
}

// True if support was shown so lately that failures have other reasons.
static inline bool support_is_shown(uint64_t shown_us, uint64_t now_us)
{
    return shown_us != 0 && now_us - shown_us < SUPPORT_LEARNED_US;
}

// Records a kind; with several kinds the feature counts as unsupported until `*until_us`.
static inline void support_note(struct kinds *seen, uint32_t kind, uint64_t *until_us,
                                uint64_t now_us)
{
    kinds_add(seen, kind);
    if (!kinds_several(seen))
        return;
    seen->count = 0;
    *until_us = now_us + SUPPORT_LEARNED_US;
}

// An answer that cannot be forged had a name of that kind in another case than was sent.
static inline void support_case_lost(struct support *support, uint32_t kind, uint64_t now_us)
{
    if (!support_is_shown(support->case_kept_us, now_us))
        support_note(&support->case_lost, kind, &support->no_case_until_us, now_us);
}

// A question that failed in mixed case, or got no reply, was answered in lower case, over TCP or
// with our cookie.
static inline void support_case_failed(struct support *support, uint32_t kind, uint64_t now_us)
{
    support->lower_failed.count = 0;
    support_note(&support->case_failed, kind, &support->no_case_until_us, now_us);
}

// It failed in lower case as well. After several kinds in a row, the case is not the reason.
static inline void support_case_cleared(struct support *support, uint32_t kind, uint64_t now_us)
{
    kinds_add(&support->lower_failed, kind);
    if (kinds_several(&support->lower_failed))
        support_case_kept(support, now_us);
}

// A question of that kind got an error with EDNS, and an answer without.
static inline void support_edns_failed(struct support *support, uint32_t kind, uint64_t now_us)
{
    if (!support_is_shown(support->edns_shown_us, now_us))
        support_note(&support->edns_failed, kind, &support->no_edns_until_us, now_us);
}

// A question of that kind got an error with a cookie, and an answer with EDNS but without the
// cookie.
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

// For a successor, which hashes kinds with another secret.
static inline void support_forget_kinds(struct support *support)
{
    support->edns_failed = support->cookies_failed = (struct kinds){0};
    support->case_failed = support->case_lost = support->lower_failed = (struct kinds){0};
}
