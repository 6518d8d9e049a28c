// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// What libbpf and the kernel want of a BPF program, as far as plane.bpf.c needs it: few enough
// lines that it depends on no header of either.

#define SECTION(name) __attribute__((section(name), used))
#define NOINLINE      __attribute__((noinline))
#define INLINE        static inline __attribute__((always_inline))

// A number as the verifier believes it: the compiler must not know how it was made, or it would
// move a check away from the access that needs it.
#define OPAQUE(number) __asm__ volatile("" : "+r"(number))

enum { XDP_PASS = 2, XDP_TX = 3 };

enum {
    MAP_HASH = 1,
    MAP_ARRAY = 2,
    MAP_PERCPU_ARRAY = 6,
    MAP_LPM_TRIE = 11,
    MAP_RINGBUF = 27,
    RINGBUF_NO_WAKEUP = 1,
    MAP_NO_PREALLOC = 1,
    MAP_READ_ONLY = 128, // for programs
    MAP_MMAPABLE = 1024,
};

// As linux/bpf.h has it, so far as it is read here.
struct xdp_md {
    uint32_t data;
    uint32_t data_end;
    uint32_t data_meta;
    uint32_t ingress_ifindex;
};

// A member of a map's declaration: libbpf reads a number as the length of an array.
#define MAP_NUMBER(name, number) int(*name)[number]
#define MAP_TYPE(name, type)     __typeof__(type) *name

// The kernel's helpers, by their numbers (uapi/linux/bpf.h).
static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const xdp_adjust_head)(struct xdp_md *context, int delta) = (void *)44;
static long (*const xdp_adjust_tail)(struct xdp_md *context, int delta) = (void *)65;
static uint64_t (*const ktime_boot_ns)(void) = (void *)125;
static uint64_t (*const jiffies)(void) = (void *)118; // no call: the verifier makes it a load
static long (*const ringbuf_output)(void *map, const void *data, uint64_t size,
                                    uint64_t flags) = (void *)130;
static long (*const xdp_load_bytes)(struct xdp_md *context, uint32_t offset, void *to,
                                    uint32_t len) = (void *)189; // Linux 5.18
static long (*const xdp_store_bytes)(struct xdp_md *context, uint32_t offset, const void *from,
                                     uint32_t len) = (void *)190;

// Keeps the reads before it before those behind it. BPF as clang 14 knows it has no fence, but an
// atomic operation that returns something is one for the kernel's memory model. An x86-64 keeps
// reads in order by itself (Intel SDM 9.2.2, AMD APM 7.2), and such an operation is dear there.
#ifdef READS_KEEP_ORDER
INLINE void reads_order(void)
{
    __asm__ volatile("" : : : "memory");
}
#else
INLINE void reads_order(void)
{
    uint64_t nothing = 0;
    uint64_t old = __sync_fetch_and_add(&nothing, 1);
    OPAQUE(old);
}
#endif

INLINE uint16_t swap16(uint16_t number)
{
    return __builtin_bswap16(number);
}

// One's complement sums (RFC 1071) of 16-bit numbers as they lie in memory, in either byte order.
INLINE uint64_t sum_word(uint64_t sum, uint64_t word)
{
    return sum + (word & 0xffffffff) + (word >> 32);
}

INLINE uint16_t sum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

// What takes a folded sum away again when it is added.
INLINE uint64_t sum_less(uint16_t folded)
{
    return (uint16_t)~folded;
}
