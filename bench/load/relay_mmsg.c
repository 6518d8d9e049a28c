// SPDX-License-Identifier: MIT
// The measure of all forwarded questions: passes each question on to one upstream under an ID of
// its own and each reply back to its client, many per system call (recvmmsg, sendmmsg). It keeps
// nothing, waits for nothing, sends nothing twice and believes everything, so whatever a forwarder
// needs beyond this is its own work.
//
//   relay_mmsg [-a ADDRESS] [-p PORT] [-b BATCH] UPSTREAM UPSTREAM-PORT
//
// One thread, two sockets. An ID is used again after 65,536 questions, whatever has become of the
// first. Runs until a signal ends it.
#include "bench/load/datagrams.h"
#include "bench/load/number.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define IDS    65536
#define HEADER 12 // octets of a DNS message's

struct options {
    const char *address;
    uint16_t port;
    unsigned batch;
    const char *upstream;
    uint16_t upstream_port;
};

struct asked {
    struct sockaddr_storage from;
    socklen_t from_len; // 0: no question has this ID
    uint8_t id[2];      // the client's
};

struct relay {
    int clients;
    int upstream;
    unsigned batch;
    uint16_t next;
    struct asked asked[IDS];
    struct datagrams datagrams;
};

static bool read_options(struct options *options, int argc, char **argv)
{
    int letter;
    long value = 0;
    *options = (struct options){.address = "127.0.0.1", .port = 5353, .batch = 64};
    while ((letter = getopt(argc, argv, "a:p:b:")) != -1) {
        if (letter == 'a')
            options->address = optarg;
        else if (letter == 'p' && number_parse(optarg, 1, 65535, &value))
            options->port = (uint16_t)value;
        else if (letter == 'b' && number_parse(optarg, 1, DATAGRAMS_MAX, &value))
            options->batch = (unsigned)value;
        else
            return false;
    }
    if (optind + 2 != argc || !number_parse(argv[optind + 1], 1, 65535, &value))
        return false;
    options->upstream = argv[optind];
    options->upstream_port = (uint16_t)value;
    return true;
}

// Binds, or connects, a socket. Returns the descriptor or a negative errno.
static int open_socket(const char *text, uint16_t port,
                       int (*attach)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_storage address;
    socklen_t len = datagrams_address(&address, text, port);
    if (len == 0)
        return -EINVAL;
    int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4 << 20}, sizeof(int));
    if (attach(fd, (struct sockaddr *)&address, len) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

// Gives a question an ID of its own, and remembers whose it is.
static bool question_readdress(struct relay *relay, struct msghdr *message, uint8_t *bytes)
{
    struct asked *asked = &relay->asked[relay->next];
    memcpy(&asked->from, message->msg_name, message->msg_namelen);
    asked->from_len = message->msg_namelen;
    memcpy(asked->id, bytes, sizeof asked->id);
    bytes[0] = (uint8_t)(relay->next >> 8);
    bytes[1] = (uint8_t)relay->next++;
    message->msg_name = NULL; // the socket is connected
    message->msg_namelen = 0;
    return true;
}

// Gives a reply back its client and ID. False: no question has this ID.
static bool reply_readdress(struct relay *relay, struct msghdr *message, uint8_t *bytes)
{
    struct asked *asked = &relay->asked[bytes[0] << 8 | bytes[1]];
    if (asked->from_len == 0)
        return false;
    memcpy(message->msg_name, &asked->from, asked->from_len);
    message->msg_namelen = asked->from_len;
    asked->from_len = 0;
    memcpy(bytes, asked->id, sizeof asked->id);
    return true;
}

// Passes a batch on, with those that are to be sent moved to the front.
static void pass(struct relay *relay, int from, int to,
                 bool (*readdress)(struct relay *, struct msghdr *, uint8_t *))
{
    struct mmsghdr *messages = relay->datagrams.messages;
    int count = datagrams_receive(from, &relay->datagrams, relay->batch);
    unsigned kept = 0;
    for (int i = 0; i < count; i++) {
        struct mmsghdr message = messages[i];
        const struct iovec *part = message.msg_hdr.msg_iov;
        if (part->iov_len < HEADER || !readdress(relay, &message.msg_hdr, part->iov_base))
            continue;
        messages[i] = messages[kept];
        messages[kept++] = message;
    }
    datagrams_send(to, &relay->datagrams, kept);
}

static int relay_run(struct relay *relay)
{
    struct pollfd fds[] = {{.fd = relay->clients, .events = POLLIN},
                           {.fd = relay->upstream, .events = POLLIN}};
    for (;;) {
        int ready = poll(fds, 2, -1);
        if (ready < 0 && errno != EINTR)
            return -errno;
        if (ready > 0 && fds[1].revents)
            pass(relay, relay->upstream, relay->clients, reply_readdress);
        if (ready > 0 && fds[0].revents)
            pass(relay, relay->clients, relay->upstream, question_readdress);
    }
}

int main(int argc, char **argv)
{
    struct options options;
    static struct relay relay;
    if (!read_options(&options, argc, argv)) {
        fprintf(stderr, "usage: %s [-a ADDRESS] [-p PORT] [-b 1..%d] UPSTREAM UPSTREAM-PORT\n",
                argv[0], DATAGRAMS_MAX);
        return 2;
    }
    relay.batch = options.batch;
    relay.clients = open_socket(options.address, options.port, bind);
    relay.upstream = open_socket(options.upstream, options.upstream_port, connect);
    int error = relay.clients < 0 ? relay.clients : relay.upstream;
    if (error >= 0)
        error = relay_run(&relay);
    fprintf(stderr, "relay_mmsg: %s\n", strerror(-error));
    return 1;
}
