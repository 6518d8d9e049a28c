// SPDX-License-Identifier: MIT
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench/hash.h"
#include "core/wire/key.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

// What the hashes of bench/hash.bpf.c cost in the kernel: the instructions of each program, those
// that the verifier walked through, and the nanoseconds of a call, the least of some rounds, for
// names of some lengths. Needs the right to load BPF programs.
//
//   hash_bpf OBJECT

enum { ROUNDS = 9, CALLS = 1000000, LENS = 4 };

static const uint32_t lens[LENS] = {12, 30, 60, 255};

static _Noreturn void fail(const char *why)
{
    fprintf(stderr, "hash_bpf: %s\n", why);
    exit(1);
}

static uint32_t call_ns(int program)
{
    uint32_t least = UINT32_MAX;
    uint8_t packet[64] = {0};
    for (unsigned round = 0; round < ROUNDS; round++) {
        LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof packet,
                    .repeat = CALLS);
        if (bpf_prog_test_run_opts(program, &options) != 0)
            fail("a program cannot be run");
        least = options.duration < least ? options.duration : least;
    }
    return least;
}

// Whether the program says the same as its like in user space.
static void hash_check(const char *name, const struct hash_exchange *exchange)
{
    uint64_t wanted = exchange->hash;
    if (strcmp(name, "xxh64") == 0)
        wanted = XXH64(exchange->name, exchange->len, exchange->seed);
    if (strcmp(name, "siphash13") == 0)
        wanted = key_hash(exchange->head, KEY_HEAD_LEN + exchange->len, exchange->seed);
    if (wanted != exchange->hash)
        fail("a program computes another hash");
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    struct bpf_object *object = bpf_object__open_file(argv[1], NULL);
    if (!object || bpf_object__load(object) != 0)
        fail("the programs cannot be loaded");
    int map = bpf_object__find_map_fd_by_name(object, "exchange_map");
    struct hash_exchange *exchange =
        mmap(NULL, sizeof *exchange, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    if (exchange == MAP_FAILED)
        fail("no memory");
    exchange->seed = 0x1234567890abcdef;
    for (size_t i = 0; i < sizeof exchange->name; i++)
        exchange->name[i] = (uint8_t)('a' + i % 26);
    printf("| program | instructions | walked through | 12 octets, ns | 30 | 60 | 255 |\n"
           "|-|-|-|-|-|-|-|\n");
    struct bpf_program *program;
    bpf_object__for_each_program(program, object)
    {
        struct bpf_prog_info info = {0};
        uint32_t info_len = sizeof info;
        int fd = bpf_program__fd(program);
        if (bpf_obj_get_info_by_fd(fd, &info, &info_len) != 0)
            fail("no information about a program");
        printf("| %s | %zu | %u |", bpf_program__name(program), bpf_program__insn_cnt(program),
               info.verified_insns);
        for (unsigned i = 0; i < LENS; i++) {
            exchange->len = lens[i];
            printf(" %u |", call_ns(fd));
            hash_check(bpf_program__name(program), exchange);
        }
        printf("\n");
    }
    bpf_object__close(object);
    return 0;
}
