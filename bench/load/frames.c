// SPDX-License-Identifier: MIT
// Queries by the million and next to nothing of a processor's time for them: the kernel runs a
// program of ours (frames.bpf.c) that sends frames to the other end of a veth pair as drivers send
// them to each other, and another that counts the answers and drops them. Frames have a whole page
// of room behind them, so that an answer in the driver can be as long as on a network card.
//
//   frames INTERFACE SERVER-MAC ADDRESS SERVER:PORT RATE SECONDS QUESTIONS
//
// asks the server from this address with the file's questions in turn, over and over, and prints
// one line: queries sent, answers, how many of these were good (NOERROR with records, not
// truncated), the octets of an answer's frame, and the seconds that it took. At the other end of
// the pair there has to be an XDP program, or GRO has to be on; else it takes no such frames.
#include "bench/load/driver.h"
#include "bench/load/frames_make.h"
#include "bench/load/load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum {
    ARGUMENTS = 8,
    RUNS = 200000, // of the program between two looks at the clock: some 10 ms
    BATCH = 64,    // frames that the kernel sends at once
    CPUS_MAX = 1024,
};

struct order {
    const char *interface, *questions;
    struct frames_form form;
    double rate, seconds;
};

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "frames: %s: %s\n", what, why);
    exit(1);
}

static bool mac_parse(uint8_t mac[static 6], const char *text)
{
    return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
                  &mac[4], &mac[5]) == 6;
}

static bool own_mac(uint8_t mac[static 6], const char *interface)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    bool done = fd >= 0 && ioctl(fd, SIOCGIFHWADDR, &request) == 0;
    memcpy(mac, request.ifr_hwaddr.sa_data, 6);
    close(fd);
    return done;
}

static bool order_parse(struct order *order, char **argv, int argc)
{
    struct frames_form *form = &order->form;
    if (argc != ARGUMENTS || !mac_parse(form->to_mac, argv[2]) ||
        !address_parse(&form->from, argv[3], strlen(argv[3]), 0) ||
        !address_parse(&form->to, argv[4], strlen(argv[4]), 53) ||
        form->from.family != form->to.family)
        return false;
    order->interface = argv[1];
    order->rate = strtod(argv[5], NULL);
    order->seconds = strtod(argv[6], NULL);
    order->questions = argv[7];
    return order->rate >= 1 && order->seconds > 0;
}

static struct bpf_object *load(const struct order *order, const struct frames *frames)
{
    bool ipv6 = order->form.to.family == ADDRESS_IPV6;
    struct frames_constants constants = {
        .interface = if_nametoindex(order->interface),
        .count = (uint32_t)frames->count,
        .gap_ps = (uint64_t)(1e12 / order->rate),
        .dns_at = 14 + (ipv6 ? 40 : 20) + 8,
        .port = htons(order->form.to.port),
        .protocol = htons(ipv6 ? 0x86dd : 0x0800),
    };
    struct bpf_object *object = driver_object_open("frames.bpf.o");
    if (!object)
        return NULL;
    struct bpf_map *rodata = bpf_object__find_map_by_name(object, ".rodata");
    struct bpf_map *map = bpf_object__find_map_by_name(object, "frames");
    if (bpf_map__set_initial_value(rodata, &constants, sizeof constants) != 0 ||
        bpf_map__set_max_entries(map, constants.count) != 0)
        return NULL;
    return bpf_object__load(object) == 0 ? object : NULL;
}

static int map_fd(const struct bpf_object *object, const char *name)
{
    return bpf_object__find_map_fd_by_name(object, name);
}

static int program_fd(const struct bpf_object *object, const char *name)
{
    return bpf_program__fd(bpf_object__find_program_by_name(object, name));
}

// The kernel gives the memory of such a map in whole pages.
static bool frames_hand_over(const struct bpf_object *object, const struct frames *frames)
{
    size_t size = frames->count * sizeof *frames->frame, page = (size_t)getpagesize();
    size_t whole = (size + page - 1) / page * page;
    void *at = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd(object, "frames"), 0);
    if (at == MAP_FAILED)
        return false;
    memcpy(at, frames->frame, size);
    munmap(at, whole);
    return true;
}

// Returns the seconds that it took, somewhat more than were wanted, or 0 with errno set.
static double run(const struct bpf_object *object, const struct order *order, size_t len)
{
    uint8_t first[FRAME_MAX + FRAMES_EXTRA] = {0};
    uint64_t begin_ns = load_now_ns();
    uint64_t end_ns = begin_ns + (uint64_t)(order->seconds * LOAD_NS_A_SECOND);
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = first,
                .data_size_in = (uint32_t)len + FRAMES_EXTRA, .repeat = RUNS, .batch_size = BATCH,
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
    while (load_now_ns() < end_ns)
        if (bpf_prog_test_run_opts(program_fd(object, "ask"), &options) != 0)
            return 0;
    return (double)(load_now_ns() - begin_ns) / LOAD_NS_A_SECOND;
}

static struct frames_got got_read(const struct bpf_object *object)
{
    static struct frames_got each[CPUS_MAX];
    struct frames_got sum = {0};
    uint32_t zero = 0;
    if (get_nprocs_conf() > CPUS_MAX ||
        bpf_map_lookup_elem(map_fd(object, "got"), &zero, each) != 0)
        fail("counters", strerror(errno));
    for (int i = 0; i < get_nprocs_conf(); i++) {
        sum.answers += each[i].answers;
        sum.good += each[i].good;
        sum.octets += each[i].octets;
    }
    return sum;
}

static void report(const struct bpf_object *object, double seconds)
{
    struct frames_state state;
    uint32_t zero = 0;
    if (bpf_map_lookup_elem(map_fd(object, "state"), &zero, &state) != 0)
        fail("state", strerror(errno));
    struct frames_got got = got_read(object);
    uint64_t octets = got.answers ? got.octets / got.answers : 0;
    printf("%llu %llu %llu %llu %.6f\n", (unsigned long long)state.asked,
           (unsigned long long)got.answers, (unsigned long long)got.good,
           (unsigned long long)octets, seconds);
}

int main(int argc, char **argv)
{
    struct order order;
    struct frames frames;
    if (!order_parse(&order, argv, argc)) {
        fprintf(stderr,
                "usage: %s INTERFACE SERVER-MAC ADDRESS SERVER:PORT RATE SECONDS QUESTIONS\n",
                argv[0]);
        return 2;
    }
    if (!own_mac(order.form.from_mac, order.interface))
        fail(order.interface, strerror(errno));
    const char *wrong = frames_make(&frames, &order.form, order.questions);
    if (wrong)
        fail(order.questions, wrong);
    struct bpf_object *object = load(&order, &frames);
    if (!object || !frames_hand_over(object, &frames))
        fail("the kernel does not take the program", strerror(errno));
    free(frames.frame);
    const struct bpf_program *take = bpf_object__find_program_by_name(object, "take");
    if (driver_attach(take, if_nametoindex(order.interface)) < 0)
        fail("it cannot be attached to the driver", strerror(errno));
    double seconds = run(object, &order, frames.len);
    if (seconds == 0)
        fail("frames cannot be sent", strerror(errno));
    usleep(100000); // until the last answers are here
    report(object, seconds);
    return 0;
}
