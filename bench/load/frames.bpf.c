// SPDX-License-Identifier: MIT
#include "bench/load/frames.h"
#include "io/xdp/bpf.h"

// The generator of bench/load/frames.c: `ask` is run in the kernel over and over and sends a frame
// each time one is due, and `take` counts the answers where they arrive and drops them. Nothing of
// this is ever a packet of the kernel's own kind, so it costs less than any answer does.

enum {
    XDP_DROP = 1,
    HEADER_QR = 0x80,
    HEADER_TC = 0x02,
    HEADER_RCODE = 0x0f,
    ETHERTYPE_AT = 12,
    UDP_LEN = 8,
    DNS_HEADER_LEN = 12,
    PS_A_NS = 1000,
};

static uint64_t (*const ktime_ns)(void) = (void *)5;
static long (*const redirect)(uint32_t interface, uint64_t flags) = (void *)23;

const volatile struct frames_constants constants;

struct {
    MAP_NUMBER(type, MAP_ARRAY);
    MAP_NUMBER(map_flags, MAP_MMAPABLE);
    MAP_NUMBER(max_entries, 1);
    MAP_TYPE(key, uint32_t);
    MAP_TYPE(value, struct frame);
} frames SECTION(".maps");

struct {
    MAP_NUMBER(type, MAP_ARRAY);
    MAP_NUMBER(max_entries, 1);
    MAP_TYPE(key, uint32_t);
    MAP_TYPE(value, struct frames_state);
} state SECTION(".maps");

struct {
    MAP_NUMBER(type, MAP_PERCPU_ARRAY);
    MAP_NUMBER(max_entries, 1);
    MAP_TYPE(key, uint32_t);
    MAP_TYPE(value, struct frames_got);
} got SECTION(".maps");

const char licence[] SECTION("license") = "MIT";

// What is late by more than a few frames, as this processor had other work, is not made up for: no
// queue has room for a burst of that.
INLINE int is_due(struct frames_state *now)
{
    uint64_t ns = ktime_ns(), burst_ps = FRAMES_BURST * constants.gap_ps;
    if (now->begin_ns == 0)
        now->begin_ns = ns;
    uint64_t passed_ps = (ns - now->begin_ns) * PS_A_NS;
    if (passed_ps < now->due_ps)
        return 0;
    if (passed_ps - now->due_ps > burst_ps)
        now->due_ps = passed_ps - burst_ps;
    now->due_ps += constants.gap_ps;
    return 1;
}

// What lies in the buffer is whatever was there last, an answer perhaps: all of it is written. Its
// length is that of the answer, too, unless the program changes it: then the kernel takes it from
// here. So each frame begins with FRAMES_EXTRA octets more than it is to have.
SECTION("xdp") int ask(struct xdp_md *at)
{
    uint32_t zero = 0;
    struct frames_state *now = map_lookup(&state, &zero);
    if (!now || !is_due(now))
        return XDP_DROP;
    if (xdp_adjust_tail(at, -FRAMES_EXTRA) != 0)
        return XDP_DROP;
    uint32_t index = now->next;
    now->next = index + 1 < constants.count ? index + 1 : 0;
    const struct frame *frame = map_lookup(&frames, &index);
    uint64_t *to = (void *)(uintptr_t)at->data;
    const void *end = (const void *)(uintptr_t)at->data_end;
    if (!frame)
        return XDP_DROP;
#pragma unroll
    for (unsigned i = 0; i < FRAME_MAX / 8; i++) {
        if ((const void *)(to + i + 1) > end)
            break;
        to[i] = frame->words[i];
    }
    now->asked++;
    return (int)redirect(constants.interface, 0);
}

INLINE int is_own(uint16_t port)
{
    return port >= FRAMES_PORT && port - FRAMES_PORT < FRAMES_PORTS;
}

SECTION("xdp") int take(struct xdp_md *at)
{
    uint32_t zero = 0;
    const uint8_t *frame = (const void *)(uintptr_t)at->data;
    const uint8_t *end = (const void *)(uintptr_t)at->data_end;
    struct frames_got *all = map_lookup(&got, &zero);
    uint32_t dns_at = constants.dns_at;
    if (!all || frame + dns_at + DNS_HEADER_LEN > end)
        return XDP_PASS;
    const uint8_t *dns = frame + dns_at;
    if (*(const uint16_t *)(frame + ETHERTYPE_AT) != constants.protocol ||
        *(const uint16_t *)(dns - UDP_LEN) != constants.port || !(dns[2] & HEADER_QR) ||
        !is_own(swap16(*(const uint16_t *)(dns - UDP_LEN + 2))))
        return XDP_PASS;
    all->answers++;
    all->good += !(dns[2] & HEADER_TC) && !(dns[3] & HEADER_RCODE) && (dns[6] | dns[7]);
    all->octets += (uint64_t)(end - frame);
    return XDP_DROP;
}
