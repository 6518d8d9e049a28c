// SPDX-License-Identifier: MIT
#pragma once
#include "core/answer.h"

#include "tests/unit/packet.h"

// Pieces of messages. The question www.example A is 17 octets long and ends at octet 29 (1d); the
// data of a first record with a compressed owner begins at octet 41 (29).
#define NAME       "'www' 'example' 00 "
#define ASK        NAME "0001 0001 "
#define ASK_CNAME  NAME "0005 0001 "
#define ASK_TXT    NAME "0010 0001 "
#define ASK_AAAA   NAME "001c 0001 "
#define ASK_ANY    NAME "00ff 0001 " // to which every record is an answer
#define REPLY      "1234 8180 "
#define KEPT       "0000 8080 "
#define C(a, n, x) "0001 000" #a " 000" #n " 000" #x " "
#define TTL_300    "0000012c "
#define TTL_100    "00000064 "
#define TTL_60     "0000003c "
#define TTL_5      "00000005 "
#define TTL_0      "00000000 "
#define A(ttl)     "c00c 0001 0001 " ttl "0004 c0000201 "
#define A2(ttl)    "c00c 0001 0001 " ttl "0004 c0000202 "
#define AAAA(ttl)  "c00c 001c 0001 " ttl "0010 20010db8000000000000000000000001 "
// An SOA of the zone `example`, written short as a server and as ouzel would.
#define SOA(ttl, minimum) \
    "c010 0006 0001 " ttl "001d 'ns' c010 'a' c010 00000001 00000002 00000003 00000004 " minimum
#define ONE     "0001 0000 0000 0000 "
#define ONE_OPT "0001 0000 0000 0001 "
#define OWN_OPT "00 0029 04d0 00 00 0000 0000 "
#define OPT     "00 0029 04d0 00 00 8000 0000 "
#define L63     "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk' "
#define L61     "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi' "
// Signatures of www.example, covering A or AAAA, with the signer `example` written out.
#define RRSIG(covered, ttl) \
    "c00c 002e 0001 " ttl "001c " covered " 0800 0000012c 00000002 00000001 0001 'example' 00 ff "

static const struct answer_limits usual = {
    .ttl_max_s = 86400, .ttl_negative_max_s = 3600, .ttl_stale_s = 30, .udp_payload_max = 1232};

static inline void key_of(struct key *key, const char *question)
{
    char text[1024];
    snprintf(text, sizeof text, "1234 0100 0001 0000 0000 0000 %s", question);
    struct packet packet = packet_of(text);
    struct query query;
    assert_int_not_equal(query_read(&query, packet.bytes, packet.len), QUERY_SHORT);
    assert_int_not_equal(query.name_len, 0);
    key_make(key, &query, 7);
}
