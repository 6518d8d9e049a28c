// SPDX-License-Identifier: MIT
#include "io/engine/steering.h"

#include <errno.h>
#include <linux/filter.h>
#include <pthread.h>
#include <sys/socket.h>

enum {
    PER_CPU = 2, // instructions of the program for each processor
    AROUND = 3,  // and in front of and behind these
};

int steering_init(struct steering *s, enum steering_kind kind, unsigned worker_count)
{
    cpu_set_t set;
    s->kind = kind;
    s->worker_count = worker_count;
    s->cpu_count = 0;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        CPU_ZERO(&set);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &set))
            s->cpus[s->cpu_count++] = (uint16_t)cpu;
    }
    return kind == STEERING_CPU && worker_count > s->cpu_count ? -ERANGE : 0;
}

// Something that the kernel knows of a datagram, as a number.
static struct sock_filter ask(uint32_t what)
{
    return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + what);
}

static unsigned program_make(const struct steering *s, struct sock_filter *program)
{
    unsigned len = 0;
    program[len++] = ask(s->kind == STEERING_CPU ? SKF_AD_CPU : SKF_AD_RANDOM);
    for (unsigned i = 0; s->kind == STEERING_CPU && i < s->cpu_count; i++) {
        program[len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, s->cpus[i], 0, 1);
        program[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, i % s->worker_count);
    }
    // A random number, or a processor that is not ours, which takes in datagrams as well.
    program[len++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, s->worker_count);
    program[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
    return len;
}

int steering_attach(const struct steering *s, int fd)
{
    struct sock_filter filter[PER_CPU * CPU_SETSIZE + AROUND];
    if (s->kind == STEERING_FLOW) {
        // Sockets that were inherited may have a program; where there is none this fails.
        (void)setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &(int){0}, sizeof(int));
        return 0;
    }
    struct sock_fprog program = {.len = (uint16_t)program_make(s, filter), .filter = filter};
    int done = setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
    return done == 0 ? 0 : -errno;
}

void steering_pin(const struct steering *s, unsigned worker)
{
    cpu_set_t set;
    if (s->kind != STEERING_CPU)
        return;
    CPU_ZERO(&set);
    for (unsigned i = worker; i < s->cpu_count; i += s->worker_count)
        CPU_SET(s->cpus[i], &set);
    // Where that is not allowed, its datagrams come from another processor: dearer, no more.
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}
