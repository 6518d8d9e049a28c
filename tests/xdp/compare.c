// SPDX-License-Identifier: MIT
#include "tests/xdp/compare.h"

#include "cache/layout.h"
#include "core/policy/generation.h"
#include "core/serve/state.h"
#include "io/xdp/plane_cookies.h"
#include "io/xdp/plane_settings.h"
#include "tests/xdp/program.h"

#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>

enum {
    MESSAGE_MAX = 1400,
    TRIES = 5,
    SECOND_NS = 1000000000,
};

static struct compare *compare_of(struct beside *beside)
{
    return (struct compare *)beside;
}

// --- the cache ---------------------------------------------------------------------------------

static size_t shard_size_of(uint32_t shard_count, size_t size)
{
    return size / shard_count / LAYOUT_STRIDE_STEP * LAYOUT_STRIDE_STEP;
}

bool compare_load(struct compare *c, uint32_t shard_count, size_t size,
                  char why[static PLANE_WHY_SIZE])
{
    assert(c->plane_count < COMPARE_PLANES_MAX);
    struct compare_plane *place = &c->planes[c->plane_count];
    struct plane_options options = {.shard_count = shard_count,
                                    .shard_size = shard_size_of(shard_count, size)};
    if (plane_open(&place->plane, &options, why) < 0)
        return false;
    place->region = plane_region_map(place->plane);
    place->shard_count = shard_count;
    place->size = size;
    c->plane_count++;
    return place->region && program_attach(place->plane, WORLD_MTU) == 0;
}

void compare_with(struct compare *c, struct plane *plane)
{
    c->plane = plane;
    c->told = false;
}

static void *region(struct beside *beside, uint32_t shard_count, size_t size)
{
    struct compare *c = compare_of(beside);
    for (unsigned i = 0; i < c->plane_count; i++) {
        struct compare_plane *place = &c->planes[i];
        if (place->shard_count != shard_count || place->size != size)
            continue;
        compare_with(c, place->plane);
        return memset(place->region, 0, plane_region_size(place->plane));
    }
    return NULL;
}

// --- what the program is told ------------------------------------------------------------------

// The worker's clock stands still meanwhile, and the program's goes on: it begins in the middle of
// the same second, as seconds are all that it looks at.
static void clock_set(struct compare *c, uint64_t now_us)
{
    c->config.clock_offset_ns = now_us / 1000000 * SECOND_NS + SECOND_NS / 2 - program_now_ns();
    int error = plane_configure(c->plane, &c->config);
    assert(error == 0);
}

static bool clock_holds(const struct compare *c, uint64_t now_us)
{
    return (program_now_ns() + c->config.clock_offset_ns) / SECOND_NS == now_us / 1000000;
}

static void settings_tell(struct compare *c, const struct serve *serve)
{
    uint64_t sum;
    c->settings = *serve->config.settings;
    c->listen[0] = frame_server(false);
    c->listen[1] = frame_server(true);
    c->settings.server_listen = (struct address_list){c->listen, 2};
    uint32_t generation =
        generation_of(serve->policy.config.zone_table, serve->policy.config.local);
    c->withholds = c->settings.filter_rebind || serve->policy.config.local;
    c->generation = generation;
    c->config = plane_settings_config(&c->settings, generation, 0);
    int error = plane_settings_apply(c->plane, &c->settings, &c->config, &sum);
    assert(error == 0);
    c->cookies_until_s = 0;
    c->told = true;
}

static void cookies_tell(struct compare *c, const struct serve *serve, uint64_t now_us)
{
    const struct cookie_source *source = serve->config.cookies;
    int error = source ? plane_cookies_renew(c->plane, source, c->settings.server_cookies,
                                             now_us / 1000000, &c->cookies_until_s)
                       : 0;
    assert(error == 0);
}

// --- before the worker -------------------------------------------------------------------------

static enum plane_reason reason_of(const struct plane_counters *before,
                                   const struct plane_counters *after)
{
    enum plane_reason reason = PLANE_REASONS;
    for (unsigned i = 0; i < PLANE_REASONS; i++) {
        if (after->frames[i] != before->frames[i])
            reason = (enum plane_reason)i;
    }
    return reason;
}

static void program_try(struct compare *c, const struct serve *serve, uint64_t now_us,
                        enum compare_run run)
{
    struct compare_result *result = &c->results[run];
    struct plane_counters before, after;
    c->config.generation = c->generation + (run == COMPARE_OTHER_RULES);
    result->ran = false;
    for (unsigned i = 0; i < TRIES && !result->ran; i++) {
        result->reply = c->query;
        clock_set(c, now_us);
        program_turn_set(c->plane, serve->turn);
        int error = plane_add_up(c->plane, &before);
        result->said =
            program_run(c->plane, result->reply.bytes, &result->reply.len, WORLD_FRAME_MAX);
        error |= plane_add_up(c->plane, &after);
        result->ran = error == 0 && clock_holds(c, now_us);
    }
    result->reason = reason_of(&before, &after);
}

static uint64_t *entry_find(const struct cache *cache, const struct key *key)
{
    struct cache_key wanted = key_for_cache(key);
    struct cache_hit hit;
    uint8_t value[8];
    if (cache_peek(cache, &wanted, value, sizeof value, &hit) != CACHE_HIT)
        return NULL;
    uint8_t *shard = cache->region + cache_shard_of(cache, key->hash) * cache->shard_stride;
    return (uint64_t *)(shard + hit.offset);
}

static void popular_try(struct compare *c, const struct serve *serve, uint64_t now_us,
                        const struct query *query)
{
    const struct cache *cache = serve->config.cache;
    struct key key, denial;
    key_make(&key, query, cache->seed);
    key_make_denial(&denial, &key);
    uint64_t *entries[] = {entry_find(cache, &key), entry_find(cache, &denial)};
    uint64_t words[2] = {0};
    for (unsigned i = 0; i < 2; i++) {
        if (!entries[i])
            continue;
        words[i] = *entries[i];
        c->popular |= (words[i] & LAYOUT_MARKS_FULL) == LAYOUT_MARKS_FULL;
        *entries[i] |= LAYOUT_MARKS_FULL;
    }
    program_try(c, serve, now_us, COMPARE_POPULAR);
    program_try(c, serve, now_us, COMPARE_OTHER_RULES);
    for (unsigned i = 0; i < 2; i++) {
        if (entries[i])
            *entries[i] = words[i];
    }
}

// A datagram from the network, which is there as a whole.
static bool is_compared(const struct serve_item *item)
{
    return item->client.transport == TRANSPORT_UDP && item->in_len <= MESSAGE_MAX && !item->cut &&
           !item->handed_over;
}

static void before(struct beside *beside, const struct serve *serve, uint64_t now_us,
                   const struct serve_item *item)
{
    struct compare *c = compare_of(beside);
    struct query query;
    c->popular = false;
    for (unsigned i = 0; i < COMPARE_RUNS; i++)
        c->results[i].ran = false;
    if (!is_compared(item))
        return;
    if (!c->told)
        settings_tell(c, serve);
    cookies_tell(c, serve, now_us);
    c->from = item->client.from;
    c->form = (struct frame_form){.from = &c->from, .ipv6 = c->from.family == ADDRESS_IPV6};
    frame_write(&c->query, &c->form, item->in, item->in_len);
    program_try(c, serve, now_us, COMPARE_AS_IS);
    if (query_read(&query, item->in, item->in_len) == QUERY_GOOD)
        popular_try(c, serve, now_us, &query);
}

// --- behind it ---------------------------------------------------------------------------------

static bool is_cached(const struct serve_item *item)
{
    return item->verdict == SERVE_ANSWERED && item->source == COUNTER_answers_cache;
}

static const char *answer_same(struct compare *c, struct compare_result *result,
                               const struct serve_item *item)
{
    const char *wrong = frame_check(&c->query, &c->form, &result->reply);
    if (wrong)
        return wrong;
    if (!is_cached(item))
        return "the program answers, though the worker has no cached answer";
    size_t len = result->reply.len - result->reply.message_at;
    if (item->out_len != len ||
        memcmp(item->out, result->reply.bytes + result->reply.message_at, len) != 0)
        return "the octets of the answers differ";
    return NULL;
}

// One question for data of this class, and behind it nothing or an EDNS record without options.
static bool is_plain(const struct serve_item *item)
{
    struct query query;
    if (query_read(&query, item->in, item->in_len) != QUERY_GOOD || !(query.flags & HEADER_RD))
        return false;
    size_t len = MESSAGE_HEADER_LEN + query.name_len + 4u + (query.edns ? OPT_LEN : 0);
    return len == item->in_len && query.type < 249;
}

// Has this answer more records than the program takes?
static bool is_many(const struct serve_item *item)
{
    struct query query;
    unsigned answers = load_be16(item->out + 6);
    unsigned others = load_be16(item->out + 8) + load_be16(item->out + 10);
    enum query_verdict verdict = query_read(&query, item->in, item->in_len);
    bool rotate = verdict == QUERY_GOOD && (query.type == TYPE_A || query.type == TYPE_AAAA);
    return answers + others > PLANE_TTLS_MAX || (rotate && answers > PLANE_ROTATE_MAX);
}

// May the program leave a plain query to the worker that has this cached answer?
static bool may_pass(const struct compare *c, enum compare_run run, enum plane_reason reason,
                     const struct serve_item *item)
{
    const uint8_t *answer = item->out;
    switch (reason) {
    case PLANE_FIRST:
        return run == COMPARE_AS_IS;
    case PLANE_OFF:
        return plane_settings_aside(&c->settings);
    case PLANE_RULES: // other ones, or in the place of a withheld one
        return run == COMPARE_OTHER_RULES || c->withholds;
    case PLANE_SIZE:
        return answer[2] & HEADER_TC || item->out_len > PLANE_ANSWER_MAX || is_many(item);
    default:
        return false;
    }
}

static const char *pass_check(const struct compare *c, enum compare_run run,
                              const struct compare_result *result, const struct serve_item *item)
{
    const struct frame *left = &result->reply;
    if (left->len != c->query.len || memcmp(left->bytes, c->query.bytes, left->len) != 0)
        return "a frame that goes up is changed";
    if (result->reason == PLANE_TORN || result->reason == PLANE_FRAME)
        return "torn, or no room for it, though nothing else runs";
    if (is_cached(item) && is_plain(item) && !may_pass(c, run, result->reason, item)) {
        printf("# reason %d\n", (int)result->reason);
        return "the program leaves a plain query to the worker, which has a cached answer";
    }
    return NULL;
}

static const char *result_check(struct compare *c, enum compare_run run,
                                const struct serve_item *item)
{
    struct compare_result *result = &c->results[run];
    if (!result->ran)
        return NULL;
    if (result->said != PROGRAM_PASS && result->said != PROGRAM_TX)
        return "the program says something else";
    if ((result->said == PROGRAM_TX) != (result->reason == PLANE_ANSWERED))
        return "it is counted as something else";
    c->counts->frames[run][result->reason]++;
    if (result->said == PROGRAM_PASS)
        return pass_check(c, run, result, item);
    if (run == COMPARE_OTHER_RULES)
        return "the program gives an answer that was made under other rules";
    if (run == COMPARE_AS_IS && !c->popular)
        return "the program gives an answer that few have asked for";
    return answer_same(c, result, item);
}

static const char *after(struct beside *beside, const struct serve_item *item)
{
    struct compare *c = compare_of(beside);
    if (!is_compared(item))
        return NULL;
    c->counts->queries++;
    c->counts->cached += is_cached(item);
    const char *wrong = NULL;
    for (enum compare_run run = 0; run < COMPARE_RUNS && !wrong; run++)
        wrong = result_check(c, run, item);
    return wrong;
}

void compare_init(struct compare *c)
{
    memset(c, 0, sizeof *c);
    c->beside = (struct beside){region, before, after};
    c->counts =
        mmap(NULL, sizeof *c->counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(c->counts != MAP_FAILED);
}

bool compare_answered(const struct compare *c, uint64_t as_is, uint64_t popular)
{
    return c->counts->frames[COMPARE_AS_IS][PLANE_ANSWERED] >= as_is &&
           c->counts->frames[COMPARE_POPULAR][PLANE_ANSWERED] >= popular;
}

void compare_report(const struct compare *c)
{
    static const char *const names[] = {"as it is", "as if popular", "under other rules"};
    printf("# %llu queries, %llu of them answered from the cache\n",
           (unsigned long long)c->counts->queries, (unsigned long long)c->counts->cached);
    for (unsigned run = 0; run < COMPARE_RUNS; run++) {
        printf("# %s, by reason:", names[run]);
        for (unsigned i = 0; i < PLANE_REASONS; i++)
            printf(" %llu", (unsigned long long)c->counts->frames[run][i]);
        printf("\n");
    }
}
