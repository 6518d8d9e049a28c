// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "io/xdp/plane_maps.h"

#include <stddef.h>

// The XDP plane: loads the program that answers hits in the driver (plane.bpf.c), gives it what it
// has to know, attaches it to interfaces (plane_link.h) and adds its counters up. The program reads
// the cache's region from a map, a shard in each element, so where there is a plane the region is
// that map's memory.
//
// plane_open needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON. Whoever has the descriptors needs none
// of them for the rest, so a process can give them up, and pass the plane on to its successor. The
// program stays attached as long as a process has the link's descriptor, and so ends with the last.
//
// One thread at a time changes a plane; plane_add_up is for any.

struct plane; // opaque

#define PLANE_WHY_SIZE  256 // a sentence that says what is wrong
#define PLANE_LINKS_MAX 16

struct plane_options {
    uint32_t shard_count;
    size_t shard_size; // octets, a multiple of 4096
    // For tests: so many rounds of nothing between finding an entry and copying it; and no room
    // behind a frame.
    uint32_t dawdle;
    uint32_t no_tail;
};

// Loads the program, with a region whose octets are zero. 0 or a negative errno, with the reason in
// `why`.
[[nodiscard]] int plane_open(struct plane **plane, const struct plane_options *options,
                             char why[static PLANE_WHY_SIZE]);

// The descriptors of a plane, in the order in which they are passed to another process. The region
// stays the second of them, in every form.
enum plane_fd {
    PLANE_FD_PROGRAM,
    PLANE_FD_REGION,
    PLANE_FD_CONFIG,
    PLANE_FD_DEVICES,
    PLANE_FD_ADDRESSES,
    PLANE_FD_ALLOWED4,
    PLANE_FD_ALLOWED6,
    PLANE_FD_COUNTERS,
    PLANE_FD_SAMPLES,
    PLANE_FD_COOKIES,
    PLANE_FDS,
};

// A plane as a process passes it to its successor. Descriptors are -1 where there is none. The
// first three numbers are the same in every form.
struct plane_passed {
    uint32_t form; // PLANE_FORM of the program; 0: there is no plane
    uint32_t shard_count;
    uint64_t shard_size;
    uint32_t link_count;
    uint32_t interfaces[PLANE_LINKS_MAX]; // of the links
    uint32_t generic;                     // bits of those that are not in the driver
    int fds[PLANE_FDS + PLANE_LINKS_MAX]; // of the links behind the others
};

// What to pass; the descriptors stay the plane's.
void plane_pass(const struct plane *plane, struct plane_passed *passed);

// Goes on with a plane that was passed, and takes its descriptors out of there. NULL: it is of
// another form, or there is no memory.
[[nodiscard]] struct plane *plane_adopt(struct plane_passed *passed);

// Closes all descriptors; the mapping of the region stays.
void plane_close(struct plane *plane);

[[nodiscard]] int plane_fd(const struct plane *plane, enum plane_fd which);

// Octets of the region, and its mapping, MAP_SHARED, the caller's to unmap; NULL with errno set.
[[nodiscard]] size_t plane_region_size(const struct plane *plane);
[[nodiscard]] void *plane_region_map(const struct plane *plane);

// Each changes what the program knows, from its next frame on. 0 or a negative errno.
// The program may see a part of a config alone: where it is on, turn it off first, and on last.
// plane_check_cookies does so itself, by the time until which the secret is in force.
[[nodiscard]] int plane_configure(struct plane *plane, const struct plane_config *config);
[[nodiscard]] int plane_check_cookies(struct plane *plane, const struct plane_cookies *cookies);
[[nodiscard]] int plane_listen(struct plane *plane, const struct address *address);
[[nodiscard]] int plane_allow(struct plane *plane, const struct prefix *prefix, bool allowed);

// Forgets all addresses, or all prefixes.
[[nodiscard]] int plane_listen_clear(struct plane *plane);
[[nodiscard]] int plane_allow_clear(struct plane *plane);

// Gives each sample that has come since the last call, as long as the call lasts. 0 or a negative
// errno.
[[nodiscard]] int plane_samples(struct plane *plane,
                                void (*take)(void *context, const struct plane_sample *sample),
                                void *context);

// Adds the counters of all CPUs up. 0 or a negative errno.
[[nodiscard]] int plane_add_up(const struct plane *plane, struct plane_counters *sum);
