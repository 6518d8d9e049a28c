// SPDX-License-Identifier: MIT
#include "io/xdp/plane_cache.h"
#include "io/xdp/plane_cookie.h"
#include "io/xdp/plane_frame.h"
#include "io/xdp/plane_question.h"
#include "io/xdp/plane_reply.h"

// Answers hits in the driver, from the cache's own octets, as the sockets would answer them: the
// octets of both are equal. It decides nothing. What is not plainly a hit goes up to the sockets as
// it came (XDP_PASS), and so does everything that it is not sure of.
//
// It writes nothing into the cache. An entry whose marks are not full goes up, so the sockets count
// the first hits of each, and those after which the cache has taken a mark away; they learn what is
// popular, and refresh it. So an answer costs no line of the cache that another processor has.
//
// The header and the question of the query stay where they are, with the client's ID and spelling;
// only what is behind the question is copied, straight from the cache to the frame. The entry may
// change meanwhile (docs/cache-layout.md, "How to read"). Until it is known that it has not, no
// octet in front of the question's end is touched, and those behind can be written back.
//
// Functions that are not static are checked by the verifier once, not at each call. Each has one
// loop at most: several in a row would multiply its paths. They share a struct work, one for each
// CPU: nothing else runs there meanwhile, as XDP programs do not interrupt each other.

const char licence[] SECTION("license") = "MIT";

// Reads the clock once a tick, some milliseconds, and forgets then what was found in the one
// before: each call of the kernel costs as much as all that is done between two of them.
INLINE void clock_read(struct work *w, const struct plane_config *c)
{
    uint64_t tick = jiffies();
    if (w->tick == tick && w->clock_offset_ns == c->clock_offset_ns)
        return;
    w->tick = tick;
    w->clock_offset_ns = c->clock_offset_ns;
    w->now_s = (uint32_t)((ktime_boot_ns() + c->clock_offset_ns) / 1000000000);
    w->interface = 0;
    w->to_found[4] = 0;
}

// Is there a plain query in this frame, for which there is an answer? Touches nothing.
INLINE int frame_read(struct xdp_md *context, struct work *w)
{
    const struct layout_header *header;
    int reason = link_read(context, w);
    if (!reason)
        reason = w->is_ipv6 ? ipv6_read(context, w) : ipv4_read(context, w);
    if (!reason)
        reason = udp_read(context, w);
    if (!reason)
        reason = message_copy(context, w);
    if (!reason)
        reason = query_read();
    if (!reason && w->opt_len > OPT_LEN)
        reason = cookie_check(context);
    header = (const struct layout_header *)shard_at(0);
    if (!reason)
        reason = header ? name_hash(header->seed) : PLANE_FRAME;
    return reason ? reason : answer_find();
}

// Writes the answer behind the question. What fails here is to be undone.
INLINE int answer_write(struct xdp_md *context, const struct work *w, uint32_t turn)
{
    const struct plane_config *c = config_of();
    if (dawdle)
        records_dawdle();
    int reason = c ? frame_resize(context) : PLANE_FRAME;
    if (!reason)
        reason = records_copy(context);
    if (!reason)
        reason = ttls_lessen(context);
    if (!reason && c && c->rotate && w->trailer.rotate_count > 1)
        reason = addresses_rotate(context, turn);
    if (!reason && !entry_holds())
        reason = PLANE_TORN;
    return reason;
}

INLINE int frame_finish(struct xdp_md *context, const struct work *w)
{
    int reason = message_finish(context);
    if (!reason && w->opt_len > OPT_LEN)
        reason = cookie_finish(context);
    if (!reason)
        reason = w->is_ipv6 ? ipv6_finish(context, w) : ipv4_finish(context, w);
    return reason ? reason : udp_finish(context, w);
}

// An ID for a packet: other than those of the packets before, and not to be guessed (RFC 6864 4.3),
// by the secret that is in the hash of the name.
INLINE uint16_t id_of(const struct work *w, uint64_t turn)
{
    return (uint16_t)((w->name_hash ^ turn) * 0x9e3779b97f4a7c15ull >> 48);
}

// Puts this hit into the ring, for all since the last that was. Without waking anybody: a process
// looks there from time to time.
NOINLINE int sample_put(void)
{
    struct work *w = work_of();
    if (!w)
        return 0;
    struct plane_sample *sample = &w->sample;
    sample->weight = w->weight;
    for (int i = 0; i < 4; i++)
        ((uint32_t *)sample->ip)[i] = w->from[i];
    sample->family = w->is_ipv6 ? 6 : 4;
    sample->name_len = (uint8_t)w->name_len;
    sample->type = (uint16_t)w->type;
    for (int i = 0; i < (NAME_MAX + 1) / 8; i++)
        ((uint64_t *)sample->name)[i] = w->name[i];
    w->sampled_tick = w->tick;
    if (ringbuf_output(&samples, sample, sizeof *sample, RINGBUF_NO_WAKEUP) == 0)
        w->weight = 0;
    return 0;
}

SECTION("xdp") int plane(struct xdp_md *context)
{
    struct plane_counters *counts = counters_of();
    const struct plane_config *c = config_of();
    struct work *w = work_of();
    if (!counts || !c || !w)
        return XDP_PASS;
    clock_read(w, c);
    int reason = frame_read(context, w);
    uint64_t turn = counts->turn;
    if (!reason) {
        w->datagram_id = id_of(w, turn);
        reason = answer_write(context, w, (uint32_t)turn);
        if (reason)
            frame_undo(context);
    }
    if (!reason) {
        counts->turn = turn + 1;
        reason = frame_finish(context, w);
        w->weight++;
        if (w->sampled_tick != w->tick)
            sample_put();
    }
    uint32_t index = (uint32_t)reason;
    OPAQUE(index);
    if (index < PLANE_REASONS)
        counts->frames[index]++;
    return reason ? XDP_PASS : XDP_TX;
}
