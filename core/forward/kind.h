// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/budget.h"
#include "core/wire/key.h"
#include "core/wire/siphash.h"

// Kinds of questions. The owner of a domain makes as many names as they like, and decides how each
// is answered: not at all, late, over TCP alone. That counts against the kind, and not against the
// upstream that was asked. A kind is the end of a name that tells its owner, hashed with a secret:
// the last two labels; three where they look like co.uk or com.au; four within in-addr.arpa (a /16)
// and ten within ip6.arpa (a /32). It need not be exact, as an upstream is judged by several kinds
// or by an SOA probe.
//
// Some resources that questions share have a bound for each kind. A secret hash spreads the kinds
// over a table of fixed size, so attackers cannot choose kinds that share an entry.

#define KIND_PROBE  0u // of an SOA probe
#define KIND_SHARES 256

#define KIND_LABELS_IN_ADDR 4
#define KIND_LABELS_IP6     10
#define KIND_LABELS_MAX     10

#define KIND_BUDGET_SENDS 32     // resends of a kind at once, half of those of all
#define KIND_SAMPLES      32     // samples of times and losses that a kind may add at once
#define KIND_SAMPLE_US    50000u // and then one each

#define KIND_STALLS     2         // charges with which a kind is asked apart over TCP
#define KIND_STALLED_US 30000000u // for which it is asked apart

struct kind_share {
    struct budget budget; // of resends
    uint64_t samples_us;  // when `samples` was last filled
    uint16_t samples;
    uint16_t attempts;   // of this kind, sent or queued
    uint8_t stalls;      // connections that stalled or were closed on a question of this kind
    uint64_t stalled_us; // time of the latest of these
};

// How many of a name's last labels tell its owner. `ends[i]` is the offset of the label that is the
// i-th from the end, of `count`; all in lower case.
static inline unsigned kind_labels(const uint8_t *name, const uint8_t *ends, unsigned count)
{
    if (count < 2)
        return count;
    const uint8_t *last = name + ends[0], *before = name + ends[1];
    if (memcmp(last, "\4arpa", 5) == 0 && memcmp(before, "\7in-addr", 8) == 0)
        return KIND_LABELS_IN_ADDR;
    if (memcmp(last, "\4arpa", 5) == 0 && memcmp(before, "\3ip6", 4) == 0)
        return KIND_LABELS_IP6;
    return last[0] == 2 && before[0] <= 3 ? 3 : 2;
}

static inline uint32_t kind_of_key(const struct key *key, uint64_t secret)
{
    const uint8_t *name = key_name(key);
    uint8_t starts[NAME_MAX_LEN / 2 + 1], ends[KIND_LABELS_MAX];
    unsigned count = 0;
    size_t at = 0;
    for (; name[at] != 0; at += 1u + name[at])
        starts[count++] = (uint8_t)at;
    for (unsigned i = 0; i < KIND_LABELS_MAX && i < count; i++)
        ends[i] = starts[count - 1 - i];
    unsigned labels = kind_labels(name, ends, count);
    labels = labels < count ? labels : count;
    size_t begin = labels > 0 ? ends[labels - 1] : at;
    struct siphash hash = siphash_begin(secret, ~secret);
    size_t len = at - begin, all = len;
    for (; len >= 8; len -= 8, begin += 8)
        siphash_word(&hash, load_word(name + begin));
    uint64_t rest = 0;
    for (size_t i = 0; i < len; i++)
        rest |= (uint64_t)name[begin + i] << 8 * i;
    uint32_t kind = (uint32_t)siphash_end(&hash, rest, all);
    return kind == KIND_PROBE ? 1 : kind;
}

static inline void kind_share_init(struct kind_share *share)
{
    *share = (struct kind_share){.samples = KIND_SAMPLES};
    budget_init(&share->budget, KIND_BUDGET_SENDS, KIND_BUDGET_SENDS);
}

// True if this kind may add a sample to what is known of an upstream's times and losses. No kind
// alone may decide that, however many questions it has.
static inline bool kind_share_sample(struct kind_share *share, uint64_t now_us)
{
    uint64_t more = (now_us - share->samples_us) / KIND_SAMPLE_US;
    if (more > 0) {
        share->samples =
            (uint16_t)(share->samples + more < KIND_SAMPLES ? share->samples + more : KIND_SAMPLES);
        share->samples_us = now_us;
    }
    if (share->samples == 0)
        return false;
    share->samples--;
    return true;
}

// A connection stalled or was closed because of a question of this kind.
static inline void kind_share_stall(struct kind_share *share, unsigned charges, uint64_t now_us)
{
    if (now_us - share->stalled_us >= KIND_STALLED_US)
        share->stalls = 0;
    share->stalls =
        (uint8_t)(share->stalls + charges < KIND_STALLS ? share->stalls + charges : KIND_STALLS);
    share->stalled_us = now_us;
}

static inline bool kind_share_stalls(const struct kind_share *share, uint64_t now_us)
{
    return share->stalls >= KIND_STALLS && now_us - share->stalled_us < KIND_STALLED_US;
}

// A small set of kinds: as many as it takes to blame no single one.
#define KINDS_SEVERAL 3

struct kinds {
    uint32_t kinds[KINDS_SEVERAL];
    uint8_t count;
};

static inline bool kinds_have(const struct kinds *kinds, uint32_t kind)
{
    for (unsigned i = 0; i < kinds->count; i++) {
        if (kinds->kinds[i] == kind)
            return true;
    }
    return false;
}

static inline void kinds_add(struct kinds *kinds, uint32_t kind)
{
    if (kinds->count < KINDS_SEVERAL && !kinds_have(kinds, kind))
        kinds->kinds[kinds->count++] = kind;
}

static inline bool kinds_several(const struct kinds *kinds)
{
    return kinds->count == KINDS_SEVERAL;
}
