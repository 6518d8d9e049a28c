// SPDX-License-Identifier: MIT
#pragma once
#include "io/xdp/bpf.h"
#include "io/xdp/plane_maps.h"

#include "cache/layout.h"

// What the parts of the XDP program share: the forms of headers, its maps, and what is known of the
// frame that is being looked at. All of it is the program's alone; plane_maps.h is what it shares
// with the process that loads it.

// Set before the program is loaded; the verifier takes them for constants.
const volatile uint32_t shard_size = LAYOUT_HEADER_LEN;
const volatile uint32_t shard_count = 1;
// For tests; at 0 the verifier leaves out what they are for.
const volatile uint32_t dawdle = 0;
const volatile uint32_t no_tail = 0;

enum {
    ETHERNET_LEN = 14,
    VLAN_LEN = 4,
    VLAN_TAGS_MAX = 2,
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_QINQ = 0x88a8,
    IPV4_LEN = 20,
    IPV6_LEN = 40,
    UDP_LEN = 8,
    PROTOCOL_UDP = 17,
    HOP_LIMIT = 64,
    DNS_HEADER_LEN = 12,
    QUESTION_REST = 4, // type and class
    NAME_MAX = 255,
    OPT_LEN = 11, // without options
    COOKIE_LEN = 24,
    COOKIE_HASH_AT = 16, // its octets that are hashed
    COOKIE_OPTION_LEN = 4 + COOKIE_LEN,
    OPT_MAX = OPT_LEN + COOKIE_OPTION_LEN,
    EDNS_COOKIE = 10,
    TYPE_OPT = 41,
    TYPE_ANY = 255,
    CLASS_IN = 1,
    QUERY_MAX = DNS_HEADER_LEN + NAME_MAX + QUESTION_REST + OPT_MAX,
    QUESTION_MAX = QUERY_MAX - DNS_HEADER_LEN, // and an OPT record
    ROOM = 512,                                // for it, and what is read in whole words
    ADDRESS_WORDS = sizeof(struct plane_address) / 4,
    ANSWER_MASK = 2047, // a power of two less one, above PLANE_ANSWER_MAX
    FLAG_RD = 0x01,
    FLAG_CD = 0x10,
    FLAGS_NOT_PLAIN = 0xfa, // QR, opcode, TC
    KEY_DO = 1,
    KEY_CD = 2,
    HEAD_LEN = 5, // of a key
    TRAILER_LEN = 20,
    TRAILER_WITHHELD = 0x40,
    TRAILER_IPV6 = 0x80,
    UDP_PAYLOAD_MIN = 512, // without EDNS
    FRONT_MAX = ETHERNET_LEN + VLAN_TAGS_MAX * VLAN_LEN + IPV6_LEN + UDP_LEN + DNS_HEADER_LEN +
                NAME_MAX + QUESTION_REST,
};

struct ethernet {
    uint16_t to[3], from[3];
    uint16_t type;
};

struct vlan {
    uint16_t tag;
    uint16_t type;
};

struct ipv4 {
    uint8_t version_len, service;
    uint16_t len, id, fragment;
    uint8_t hops, protocol;
    uint16_t checksum;
    uint32_t from, to;
};

struct ipv6 {
    uint32_t version_class_flow;
    uint16_t len;
    uint8_t protocol, hops;
    uint32_t from[4], to[4];
};

struct udp {
    uint16_t from, to, len, checksum;
};

// An entry's trailer, as docs/cache-layout.md has it.
struct trailer {
    uint32_t generation, zone;
    uint16_t upstream, sum, message_len, ttl_count, rotate_at;
    uint8_t rotate_count, flags;
};

// What is known of the frame that is being looked at.
struct work {
    // Found in this tick; a family of 0 and an interface of 0 stand for none.
    uint64_t tick, clock_offset_ns;
    uint64_t sampled_tick; // that of the latest sample
    uint64_t weight;       // hits since that
    uint32_t now_s;
    uint32_t interface;
    struct plane_device device;
    uint32_t to_found[ADDRESS_WORDS];
    // Of the frame.
    uint32_t ip_at, udp_at, dns_at; // in the frame
    uint32_t ip_len;                // of the whole IP packet
    uint32_t frame_len;
    uint32_t query_len; // of the DNS message
    uint32_t question_end;
    uint32_t name_len;
    uint32_t type;
    uint32_t reply_max;
    uint32_t reply_len; // with our OPT record
    int moved;          // by so many octets the frame began later
    uint32_t is_ipv6;
    uint32_t from[4];     // the client's address; of IPv4 its first word
    uint16_t datagram_id; // of a reply over IPv4
    uint32_t doubt;       // why it goes up, if it is for one of our sockets
    uint8_t opt_len;      // of the query's OPT record, and of the reply's; 0: there is none
    uint8_t wants_dnssec, checking_disabled, unused;
    uint64_t addresses_sum; // of both IP addresses and the protocol
    uint32_t opt_sum;       // of the query's OPT record, from its second octet on, most significant
                            // octet first
    uint64_t rest_sum;      // of all that UDP's checksum covers but the message; 0: no checksum
    uint64_t query_sum;     // of the DNS message
    uint64_t records_sum;   // of what is behind the question of the reply
    uint64_t reply_sum;     // of the reply's DNS message
    uint64_t name_hash;
    uint64_t head; // of the key, first octet lowest
    uint64_t hash;
    // The entry, whose bucket had this sequence word before it was read.
    uint32_t shard;
    uint64_t bucket, sequence, entry;
    uint64_t value_at;     // in the shard
    uint64_t answer_front; // of its message's header
    uint32_t answer_back;
    uint32_t age_s;
    struct trailer trailer;
    uint32_t to[ADDRESS_WORDS]; // a struct plane_address, in words
    // The query: its header, and from the question on words, zero behind the end.
    uint64_t header_front;
    uint32_t header_back;
    uint64_t question[ROOM / 8];
    uint8_t padding[PLANE_PADDING_MAX];
    uint8_t front[FRONT_MAX]; // of the frame, up to the question's end, where that has moved
    struct plane_sample sample;
    uint64_t name[ROOM / 8]; // in lower case
    // Of a query that has one:
    uint64_t cookie[COOKIE_LEN / 8];
    uint64_t option_sum; // of its option, and of its length in the OPT record
};

struct {
    MAP_NUMBER(type, MAP_ARRAY);
    MAP_NUMBER(map_flags, MAP_MMAPABLE);
    MAP_NUMBER(max_entries, 1);
    MAP_NUMBER(key_size, sizeof(uint32_t));
    MAP_NUMBER(value_size, LAYOUT_HEADER_LEN);
} region SECTION(".maps");

struct {
    MAP_NUMBER(type, MAP_ARRAY);
    MAP_NUMBER(max_entries, 1);
    MAP_TYPE(key, uint32_t);
    MAP_TYPE(value, struct plane_config);
} config SECTION(".maps");

struct {
    MAP_NUMBER(type, MAP_ARRAY);
    MAP_NUMBER(map_flags, MAP_READ_ONLY);
    MAP_NUMBER(max_entries, 1);
    MAP_TYPE(key, uint32_t);
    MAP_TYPE(value, struct plane_cookies);
} cookies SECTION(".maps");

struct {
    MAP_NUMBER(type, MAP_HASH);
    MAP_NUMBER(max_entries, 64);
    MAP_TYPE(key, uint32_t);
    MAP_TYPE(value, struct plane_device);
} devices SECTION(".maps");

struct {
    MAP_NUMBER(type, MAP_HASH);
    MAP_NUMBER(max_entries, 1024);
    MAP_TYPE(key, struct plane_address);
    MAP_TYPE(value, uint32_t);
} addresses SECTION(".maps");

struct {
    MAP_NUMBER(type, MAP_LPM_TRIE);
    MAP_NUMBER(map_flags, MAP_NO_PREALLOC);
    MAP_NUMBER(max_entries, 65536);
    MAP_TYPE(key, struct plane_prefix4);
    MAP_TYPE(value, uint8_t);
} allowed4 SECTION(".maps");

struct {
    MAP_NUMBER(type, MAP_LPM_TRIE);
    MAP_NUMBER(map_flags, MAP_NO_PREALLOC);
    MAP_NUMBER(max_entries, 65536);
    MAP_TYPE(key, struct plane_prefix6);
    MAP_TYPE(value, uint8_t);
} allowed6 SECTION(".maps");

struct {
    MAP_NUMBER(type, MAP_PERCPU_ARRAY);
    MAP_NUMBER(max_entries, 1);
    MAP_TYPE(key, uint32_t);
    MAP_TYPE(value, struct plane_counters);
} counters SECTION(".maps");

struct {
    MAP_NUMBER(type, MAP_PERCPU_ARRAY);
    MAP_NUMBER(max_entries, 1);
    MAP_TYPE(key, uint32_t);
    MAP_TYPE(value, struct work);
} works SECTION(".maps");

struct {
    MAP_NUMBER(type, MAP_RINGBUF);
    MAP_NUMBER(max_entries, PLANE_SAMPLES_SIZE);
} samples SECTION(".maps");

INLINE struct work *work_of(void)
{
    uint32_t first = 0;
    return map_lookup(&works, &first);
}

INLINE const struct plane_config *config_of(void)
{
    uint32_t first = 0;
    return map_lookup(&config, &first);
}

INLINE const struct plane_cookies *cookies_of(void)
{
    uint32_t first = 0;
    return map_lookup(&cookies, &first);
}

INLINE struct plane_counters *counters_of(void)
{
    uint32_t first = 0;
    return map_lookup(&counters, &first);
}

INLINE void *frame_begin(const struct xdp_md *context)
{
    return (void *)(long)context->data;
}

INLINE void *frame_end(const struct xdp_md *context)
{
    return (void *)(long)context->data_end;
}

// A header of so many octets in the frame; NULL: the frame ends before it does.
INLINE void *header_at(const struct xdp_md *context, uint32_t at, uint32_t len)
{
    void *frame = frame_begin(context), *end = frame_end(context);
    if (at > ETHERNET_LEN + VLAN_TAGS_MAX * VLAN_LEN + IPV6_LEN)
        return 0;
    return frame + at + len <= end ? frame + at : 0;
}
