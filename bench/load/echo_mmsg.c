// SPDX-License-Identifier: MIT
// The measure of all answers: a UDP server that does nothing but send each datagram back, many per
// system call (recvmmsg, sendmmsg). It sets QR, so that generators of DNS queries count what comes
// back as replies. Whatever a name server needs beyond this is its own work.
//
//   echo_mmsg [-a ADDRESS] [-p PORT] [-b BATCH] [-t THREADS] [-c CPU]
//
// Each thread has a socket of its own (SO_REUSEPORT). With -c the threads are pinned, the first to
// CPU, the next to the one after it. Runs until SIGTERM or SIGINT.
#include "bench/load/datagrams.h"
#include "bench/load/number.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 64

struct options {
    const char *address;
    uint16_t port;
    unsigned batch;
    unsigned threads;
    int cpu; // -1: not pinned
};

struct echo {
    pthread_t thread;
    int fd;
    unsigned batch;
    int cpu;
};

static bool read_options(struct options *options, int argc, char **argv)
{
    int letter;
    *options = (struct options){
        .address = "127.0.0.1", .port = 5353, .batch = 64, .threads = 1, .cpu = -1};
    while ((letter = getopt(argc, argv, "a:p:b:t:c:")) != -1) {
        long value = 0;
        if (letter == 'a')
            options->address = optarg;
        else if (letter == 'p' && number_parse(optarg, 1, 65535, &value))
            options->port = (uint16_t)value;
        else if (letter == 'b' && number_parse(optarg, 1, DATAGRAMS_MAX, &value))
            options->batch = (unsigned)value;
        else if (letter == 't' && number_parse(optarg, 1, THREADS_MAX, &value))
            options->threads = (unsigned)value;
        else if (letter == 'c' && number_parse(optarg, 0, CPU_SETSIZE - 1, &value))
            options->cpu = (int)value;
        else
            return false;
    }
    return optind == argc;
}

// Returns the descriptor or a negative errno.
static int open_socket(const struct options *options)
{
    struct sockaddr_storage address;
    socklen_t len = datagrams_address(&address, options->address, options->port);
    int one = 1;
    int octets = 4 << 20;
    if (len == 0)
        return -EINVAL;
    int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&address, len) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        fprintf(stderr, "echo_mmsg: cannot run on CPU %d: %s\n", cpu, strerror(errno));
}

static void *serve(void *argument)
{
    const struct echo *echo = argument;
    struct datagrams *datagrams = calloc(1, sizeof *datagrams);
    if (!datagrams)
        return NULL;
    if (echo->cpu >= 0)
        pin(echo->cpu);
    int count;
    while ((count = datagrams_receive(echo->fd, datagrams, echo->batch)) >= 0) {
        for (int i = 0; i < count; i++) {
            if (datagrams->messages[i].msg_len > 2)
                datagrams->bytes[i][2] |= 0x80; // QR
        }
        datagrams_send(echo->fd, datagrams, (unsigned)count);
    }
    free(datagrams);
    return NULL;
}

int main(int argc, char **argv)
{
    struct options options;
    static struct echo echoes[THREADS_MAX];
    sigset_t ends;
    int which;
    if (!read_options(&options, argc, argv)) {
        fprintf(stderr, "usage: %s [-a ADDRESS] [-p PORT] [-b 1..%d] [-t 1..%d] [-c CPU]\n",
                argv[0], DATAGRAMS_MAX, THREADS_MAX);
        return 2;
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    for (unsigned i = 0; i < options.threads; i++) {
        int fd = open_socket(&options);
        if (fd < 0) {
            fprintf(stderr, "echo_mmsg: cannot listen on %s port %u: %s\n", options.address,
                    options.port, strerror(-fd));
            return 1;
        }
        echoes[i] = (struct echo){
            .fd = fd, .batch = options.batch, .cpu = options.cpu < 0 ? -1 : options.cpu + (int)i};
        if (pthread_create(&echoes[i].thread, NULL, serve, &echoes[i]) != 0) {
            fprintf(stderr, "echo_mmsg: cannot start thread %u\n", i);
            return 1;
        }
    }
    sigwait(&ends, &which);
    return 0; // the threads end with the process
}
