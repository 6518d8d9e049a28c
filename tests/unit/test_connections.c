// SPDX-License-Identifier: MIT
#include "io/engine/clients.h"
#include "io/net/sockaddr.h"
#include "io/net/udp.h"
#include "io/transport/connections.h"

#include "tests/unit/engines.h"
#include "tests/unit/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

// Connections on both engines and real sockets: when a descriptor is closed, when a slot is free,
// how long a message stays, and when a client is not read from.

enum { GROUP = 0, BUFFERS = 16, BUFFER_SIZE = 4096, SLOTS = 4, NOW_US = 1000000 };

struct bench {
    struct net *net;
    struct connections *tcp;
    unsigned freed; // bits of slots
};

static void slot_freed(void *context, uint32_t slot)
{
    ((struct bench *)context)->freed |= 1u << slot;
}

static struct net *net_begin(void **state)
{
    struct net *net;
    struct net_config config = {.engine = engine_of(state),
                                .places = 8,
                                .groups[GROUP] = {.count = BUFFERS, .size = BUFFER_SIZE}};
    assert_int_equal(net_open(&net, &config), 0);
    assert_int_equal(net_start(net), 0);
    return net;
}

static void begin(struct bench *b, void **state)
{
    *b = (struct bench){.net = net_begin(state)};
    struct connections_config config = {
        .net = b->net,
        .count = SLOTS,
        .group = GROUP,
        .connect = OP_TCP_CONNECT,
        .receive = OP_TCP_RECEIVE,
        .send = OP_TCP_SEND,
        .message_max = 65535,
        .unsent_max = 1 << 20,
        .freed = slot_freed,
        .context = b,
    };
    assert_int_equal(connections_make(&b->tcp, &config), 0);
}

static void end(struct bench *b)
{
    net_end(b->net);
    net_close(b->net);
    connections_free(b->tcp);
}

static void pair_make(int type, int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

// Takes the events that there are now; returns how many, and the state after the last of them.
static unsigned events_take(struct bench *b, enum connection_state *state)
{
    struct net_event events[32];
    unsigned count = 0;
    int got;
    while ((got = net_wait(b->net, 20000, events, 32)) > 0) {
        for (int i = 0; i < got; i++) {
            if (op_kind(events[i].tag) == OP_CANCEL)
                continue;
            assert_int_not_equal(op_kind(events[i].tag), OP_CLOSE);
            *state = connections_event(b->tcp, &events[i]);
            count++;
        }
    }
    assert_int_equal(got, 0);
    return count;
}

static void test_what_is_queued_leaves_before_its_descriptor_is_closed(void **state)
{
    struct bench b;
    begin(&b, state);
    int first[2], second[2];
    char octets[16];
    pair_make(SOCK_DGRAM, first);
    net_send(b.net, first[0], "answer", 6, op_pack(OP_UPSTREAM_SEND, 0, 0));
    net_close_fd(b.net, first[0], op_pack(OP_CLOSE, 0, 0));
    // A socket opened now gets another number.
    pair_make(SOCK_DGRAM, second);
    assert_int_not_equal(second[0], first[0]);
    assert_int_not_equal(second[1], first[0]);
    assert_true(is_open(first[0]));
    assert_int_equal(net_submit(b.net), 0);
    assert_false(is_open(first[0]));
    assert_int_equal(read(first[1], octets, sizeof octets), 6);
    assert_memory_equal(octets, "answer", 6);
    assert_false(is_readable(second[0]) || is_readable(second[1]));
    close(first[1]);
    close(second[0]);
    close(second[1]);
    end(&b);
}

static void test_many_that_are_closed_do_not_use_up_the_descriptors(void **state)
{
    struct bench b;
    begin(&b, state);
    int highest = 0;
    for (unsigned i = 0; i < 20 * NET_CLOSES_MAX; i++) {
        int fds[2];
        pair_make(SOCK_DGRAM, fds);
        highest = fds[1] > highest ? fds[1] : highest;
        net_close_fd(b.net, fds[0], op_pack(OP_CLOSE, i, 0));
        close(fds[1]);
    }
    assert_true(highest < 3 * NET_CLOSES_MAX);
    end(&b);
}

static void test_a_place_is_filled_when_what_is_queued_has_left(void **state)
{
    struct bench b;
    begin(&b, state);
    struct address address = {.ip = {127, 0, 0, 1}, .family = ADDRESS_IPV4};
    struct sockaddr_in6 to;
    int first = udp_listen(&address), second = udp_listen(&address);
    assert_true(first >= 0 && second >= 0);
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    assert_int_equal(getsockname(first, (struct sockaddr *)&at, &len), 0);
    address.port = ntohs(at.sin_port);
    sockaddr_write(&to, &address);
    assert_int_equal(net_place(b.net, 0, first), 0);
    net_send_to(b.net, 0, "x", 1, (const struct sockaddr *)&to, op_pack(OP_ANSWER, 0, 0));
    assert_int_equal(net_place(b.net, 0, second), 0);
    char octet;
    struct sockaddr_in from;
    len = sizeof from;
    assert_int_equal(recvfrom(first, &octet, 1, 0, (struct sockaddr *)&from, &len), 1);
    assert_int_equal(ntohs(from.sin_port), address.port);
    close(first);
    close(second);
    end(&b);
}

static void test_a_slot_is_free_with_its_last_event(void **state)
{
    struct bench b;
    begin(&b, state);
    int fds[2];
    enum connection_state last = CONNECTION_GOES_ON;
    pair_make(SOCK_STREAM, fds);
    connections_adopt(b.tcp, 2, fds[0]);
    assert_true(connections_send_message(b.tcp, 2, "hello", 5));
    uint32_t generation = connections_generation(b.tcp, 2);
    assert_true(connections_is_open(b.tcp, 2, generation));
    connections_disconnect(b.tcp, 2);
    assert_false(connections_is_open(b.tcp, 2, generation));
    assert_false(connections_send(b.tcp, 2, "x", 1));
    assert_int_equal(b.freed, 0);
    assert_int_equal(events_take(&b, &last), 2); // of the receive and of the send
    assert_int_equal(last, CONNECTION_OLD);
    assert_int_equal(b.freed, 1u << 2);
    assert_false(is_open(fds[0]));
    close(fds[1]);
    end(&b);
}

static void test_a_message_stays_until_it_is_given_back(void **state)
{
    struct bench b;
    begin(&b, state);
    int fds[2];
    enum connection_state last = CONNECTION_BROKEN;
    const uint8_t *message;
    size_t len;
    pair_make(SOCK_STREAM, fds);
    connections_adopt(b.tcp, 0, fds[0]);
    assert_int_equal(write(fds[1], "\0\3abc\0\3def", 10), 10);
    assert_int_equal(events_take(&b, &last), 1);
    assert_int_equal(last, CONNECTION_GOES_ON);
    assert_true(connections_message(b.tcp, 0, &message, &len));
    connections_disconnect(b.tcp, 0);
    assert_int_equal(events_take(&b, &last), 0);
    assert_int_equal(b.freed, 0); // it is being read
    assert_int_equal(len, 3);
    assert_memory_equal(message, "abc", 3);
    assert_false(connections_message(b.tcp, 0, &message, &len)); // the next is not fetched any more
    assert_int_equal(b.freed, 1);
    close(fds[1]);
    end(&b);
}

// Nothing is read that was not asked for.
static void test_receives_come_one_by_one(void **state)
{
    struct bench b;
    begin(&b, state);
    int fds[2];
    enum connection_state last = CONNECTION_BROKEN;
    const uint8_t *message;
    size_t len;
    pair_make(SOCK_STREAM, fds);
    connections_adopt(b.tcp, 0, fds[0]);
    assert_int_equal(write(fds[1], "\0\1a", 3), 3);
    assert_int_equal(events_take(&b, &last), 1);
    assert_int_equal(write(fds[1], "\0\1b", 3), 3);
    assert_int_equal(events_take(&b, &last), 0);
    assert_true(connections_message(b.tcp, 0, &message, &len));
    assert_false(connections_message(b.tcp, 0, &message, &len));
    connections_receive(b.tcp, 0);
    connections_receive(b.tcp, 0);
    assert_int_equal(events_take(&b, &last), 1);
    assert_true(connections_message(b.tcp, 0, &message, &len));
    assert_int_equal(*message, 'b');
    close(fds[1]);
    connections_receive(b.tcp, 0);
    assert_int_equal(events_take(&b, &last), 1);
    assert_int_equal(last, CONNECTION_ENDS);
    connections_receive(b.tcp, 0); // there is nothing more to come
    assert_int_equal(events_take(&b, &last), 0);
    connections_disconnect(b.tcp, 0);
    connections_message_done(b.tcp, 0);
    assert_int_equal(b.freed, 1);
    end(&b);
}

static int listener_make(struct address *address, const char *ip)
{
    assert_true(address_parse(address, ip, strlen(ip), 0));
    int fd = tcp_listen(address);
    assert_true(fd >= 0);
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    address->port = ntohs(at.sin_port);
    fcntl(fd, F_SETFL, 0); // accept waits
    return fd;
}

// A slot that is asked for again at once is connected when the connection before is over, and what
// is sent meanwhile arrives there.
static void test_a_slot_is_connected_again_when_it_can_be(void **state)
{
    struct bench b;
    begin(&b, state);
    struct address address;
    enum connection_state last = CONNECTION_GOES_ON;
    int listener = listener_make(&address, "127.0.0.1");
    assert_int_equal(connections_connect(b.tcp, 1, &address), 0);
    assert_true(connections_send(b.tcp, 1, "one", 3));
    (void)events_take(&b, &last);
    int first = accept(listener, NULL, NULL);
    assert_true(first >= 0);
    for (unsigned i = 0; i < 3; i++) { // in one round, the last one counts
        connections_disconnect(b.tcp, 1);
        assert_int_equal(connections_connect(b.tcp, 1, &address), 0);
        assert_true(connections_send(b.tcp, 1, "two", 3));
    }
    uint32_t generation = connections_generation(b.tcp, 1);
    (void)events_take(&b, &last);
    assert_int_equal(last, CONNECTION_GOES_ON);
    assert_true(connections_is_open(b.tcp, 1, generation));
    int second = accept(listener, NULL, NULL);
    assert_true(second >= 0);
    char octets[16];
    assert_int_equal(read(first, octets, sizeof octets), 3);
    assert_memory_equal(octets, "one", 3);
    assert_int_equal(read(first, octets, sizeof octets), 0);
    assert_int_equal(read(second, octets, sizeof octets), 3);
    assert_memory_equal(octets, "two", 3);
    assert_false(is_readable(listener));
    assert_int_equal(b.freed, 0);
    close(first);
    close(second);
    close(listener);
    end(&b);
}

// --- clients -----------------------------------------------------------------------------------

struct crowd {
    struct net *net;
    struct clients *clients;
    struct address address;
    int listener;
};

static void crowd_begin(struct crowd *c, void **state, unsigned count, unsigned per_client)
{
    *c = (struct crowd){.net = net_begin(state)};
    struct clients_config config = {.net = c->net,
                                    .count = count,
                                    .per_client_max = per_client,
                                    .group = GROUP,
                                    .held = CLIENTS_HELD_USUAL,
                                    .idle_us = 1000000,
                                    .worker = 0};
    assert_int_equal(clients_make(&c->clients, &config), 0);
    c->listener = listener_make(&c->address, "127.0.0.1");
}

static void crowd_end(struct crowd *c)
{
    net_end(c->net);
    net_close(c->net);
    clients_free(c->clients);
    close(c->listener);
}

// A client at 127.0.x.y; returns its socket.
static int client_connect(struct crowd *c, unsigned number, enum clients_verdict *verdict)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in6 to;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001 + number)};
    socklen_t len = sockaddr_write(&to, &c->address);
    assert_int_equal(bind(fd, (const struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, len), 0);
    int accepted = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    *verdict = clients_accepted(c->clients, accepted, 0, NOW_US);
    return fd;
}

// Takes what happens until nothing does for so long; counts the queries of `slot` and keeps their
// clients.
static unsigned queries_wait(struct crowd *c, uint64_t wait_us, uint32_t slot, struct client *asked,
                             unsigned most)
{
    struct net_event events[32];
    const uint8_t *bytes;
    size_t len;
    uint32_t ready;
    unsigned count = 0;
    bool more = true;
    while (more) {
        int got = net_wait(c->net, wait_us, events, 32);
        assert_true(got >= 0);
        for (int i = 0; i < got; i++) {
            if (op_kind(events[i].tag) != OP_CANCEL)
                clients_event(c->clients, &events[i], NOW_US);
        }
        more = got > 0;
        while (clients_ready(c->clients, &ready))
            more = true;
        struct client client;
        while (count < most && clients_query(c->clients, slot, &client, &bytes, &len))
            asked[count++] = client;
        clients_receive(c->clients);
    }
    return count;
}

// Until nothing more can be expected to happen.
static unsigned queries_take(struct crowd *c, uint32_t slot, struct client *asked, unsigned most)
{
    return queries_wait(c, 20000, slot, asked, most);
}

// What has happened so far, for a loop that comes back.
static unsigned queries_poll(struct crowd *c, uint32_t slot, struct client *asked, unsigned most)
{
    return queries_wait(c, 0, slot, asked, most);
}

static uint32_t slot_of_first(void)
{
    return 0; // slots are taken from the first on
}

static void queries_send(int fd, unsigned count)
{
    uint8_t query[2 + 20] = {0, 20};
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(send(fd, query, sizeof query, MSG_NOSIGNAL), sizeof query);
}

static void test_a_client_that_waits_for_many_is_not_read_from(void **state)
{
    struct crowd c;
    enum clients_verdict verdict;
    struct client asked[2 * CLIENTS_WAITING_MAX];
    crowd_begin(&c, state, 4, 4);
    int fd = client_connect(&c, 0, &verdict);
    assert_int_equal(verdict, CLIENTS_TAKEN);
    queries_send(fd, 2 * CLIENTS_WAITING_MAX);
    unsigned count = queries_take(&c, slot_of_first(), asked, 2 * CLIENTS_WAITING_MAX);
    assert_int_equal(count, CLIENTS_WAITING_MAX);
    // It goes on as soon as one is done, whether with a reply or without.
    clients_no_reply(c.clients, &asked[0]);
    assert_int_equal(queries_take(&c, slot_of_first(), asked + count, 10), 1);
    clients_reply(c.clients, &asked[1], (const uint8_t *)"reply", 5, NOW_US);
    assert_int_equal(queries_take(&c, slot_of_first(), asked + count, 10), 1);
    // A client that has closed its side is answered all the same, and what it has not been asked
    // for is not forgotten.
    shutdown(fd, SHUT_WR);
    unsigned left = CLIENTS_WAITING_MAX - 2, open = clients_open(c.clients);
    assert_int_equal(open, 1);
    for (unsigned i = 2; i < CLIENTS_WAITING_MAX; i++)
        clients_no_reply(c.clients, &asked[i]);
    assert_int_equal(queries_take(&c, slot_of_first(), asked, left), left);
    close(fd);
    crowd_end(&c);
}

static void test_a_client_that_does_not_read_is_not_read_from(void **state)
{
    enum { QUERIES = 1000, REPLY = 40000, FEW = 8 };
    static uint8_t reply[REPLY];
    struct crowd c;
    enum clients_verdict verdict;
    struct client asked[FEW];
    crowd_begin(&c, state, 4, 4);
    int fd = client_connect(&c, 0, &verdict);
    queries_send(fd, QUERIES);
    unsigned answered = 0, count;
    // One after the other until nothing more is taken: some fit into the kernel's buffers.
    while ((count = queries_take(&c, slot_of_first(), asked, 1)) == 1) {
        clients_reply(c.clients, &asked[0], reply, sizeof reply, NOW_US);
        assert_int_equal(clients_open(c.clients), 1);
        answered++;
        assert_true(answered < QUERIES);
    }
    // It reads, and everything comes.
    size_t got = 0;
    uint8_t octets[65536];
    while (got < QUERIES * (size_t)(REPLY + 2)) {
        if (answered < QUERIES && queries_poll(&c, slot_of_first(), asked, 1) == 1) {
            clients_reply(c.clients, &asked[0], reply, sizeof reply, NOW_US);
            answered++;
        }
        ssize_t len = recv(fd, octets, sizeof octets, MSG_DONTWAIT);
        assert_true(len > 0 || (len < 0 && errno == EAGAIN));
        got += len > 0 ? (size_t)len : 0;
        if (answered == QUERIES)
            (void)queries_poll(&c, slot_of_first(), asked, 1);
    }
    assert_int_equal(answered, QUERIES);
    assert_int_equal(clients_open(c.clients), 1);
    close(fd);
    crowd_end(&c);
}

// What one network may leave unread has a bound; another one's connection is not concerned.
static void test_unread_answers_have_a_bound_for_each_network(void **state)
{
    enum { REPLY = 65000, CONNECTIONS = 2 };
    static uint8_t reply[REPLY];
    struct crowd c;
    enum clients_verdict verdict;
    struct client asked[CONNECTIONS][CLIENTS_WAITING_MAX], other;
    int fds[CONNECTIONS];
    crowd_begin(&c, state, 8, 8);
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        fds[i] = client_connect(&c, 0, &verdict);
        queries_send(fds[i], CLIENTS_WAITING_MAX);
        assert_int_equal(queries_take(&c, i, asked[i], CLIENTS_WAITING_MAX), CLIENTS_WAITING_MAX);
    }
    int last = client_connect(&c, 1, &verdict);
    queries_send(last, 1);
    assert_int_equal(queries_take(&c, CONNECTIONS, &other, 1), 1);
    assert_int_equal(clients_open(c.clients), CONNECTIONS + 1);
    for (unsigned i = 0; i < CLIENTS_WAITING_MAX; i++) {
        for (unsigned j = 0; j < CONNECTIONS; j++)
            clients_reply(c.clients, &asked[j][i], reply, sizeof reply, NOW_US);
    }
    assert_in_range(clients_open(c.clients), 1, CONNECTIONS); // one at least is closed
    clients_reply(c.clients, &other, reply, sizeof reply, NOW_US);
    assert_int_equal(queries_take(&c, CONNECTIONS, &other, 1), 0);
    uint8_t octets[2];
    assert_int_equal(recv(last, octets, sizeof octets, MSG_WAITALL), 2);
    assert_int_equal(load_be16(octets), REPLY);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        close(fds[i]);
    close(last);
    crowd_end(&c);
}

// More connections that always have something to say than there are buffers: all have their turn.
static void test_connections_take_turns_where_buffers_are_few(void **state)
{
    enum { CLIENTS = 5 * BUFFERS, ROUNDS = 60, QUERIES = 4000 };
    struct crowd c;
    enum clients_verdict verdict;
    int fds[CLIENTS];
    unsigned counts[CLIENTS] = {0}, least = UINT32_MAX;
    crowd_begin(&c, state, CLIENTS, CLIENTS);
    for (unsigned i = 0; i < CLIENTS; i++) {
        fds[i] = client_connect(&c, i, &verdict);
        queries_send(fds[i], QUERIES);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct net_event events[32];
        int got = net_wait(c.net, 20000, events, 32);
        assert_true(got >= 0);
        for (int i = 0; i < got; i++) {
            const uint8_t *bytes;
            size_t len;
            struct client client;
            uint32_t slot = op_slot(events[i].tag);
            clients_event(c.clients, &events[i], NOW_US);
            while (clients_query(c.clients, slot, &client, &bytes, &len)) {
                clients_no_reply(c.clients, &client);
                counts[slot]++;
            }
        }
        clients_receive(c.clients);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        least = counts[i] < least ? counts[i] : least;
        close(fds[i]);
    }
    assert_true(least > 0);
    crowd_end(&c);
}

// However many have sent something, or found no buffer: a round has room for what is no connection.
static void test_a_round_asks_few_for_more(void **state)
{
    enum { CLIENTS = 2 * CLIENTS_RECEIVES_MAX + 20 };
    struct crowd c;
    enum clients_verdict verdict;
    struct net_event events[CLIENTS];
    int fds[CLIENTS], count;
    crowd_begin(&c, state, CLIENTS, 1);
    for (unsigned i = 0; i < CLIENTS; i++) {
        fds[i] = client_connect(&c, i, &verdict);
        assert_int_equal(verdict, CLIENTS_TAKEN);
        queries_send(fds[i], 1);
    }
    while ((count = net_wait(c.net, 20000, events, CLIENTS)) > 0) {
        for (int i = 0; i < count; i++) {
            struct client client;
            const uint8_t *bytes;
            size_t len;
            clients_event(c.clients, &events[i], NOW_US);
            while (clients_query(c.clients, op_slot(events[i].tag), &client, &bytes, &len))
                clients_no_reply(c.clients, &client);
        }
        assert_int_equal(c.net->queued, 0);
    }
    for (unsigned left = CLIENTS, asked; left > 0; left -= asked) {
        assert_int_equal(clients_expire(c.clients, NOW_US), 0);
        clients_receive(c.clients);
        asked = c.net->queued;
        assert_in_range(asked, 1, CLIENTS_RECEIVES_MAX);
        assert_int_equal(net_submit(c.net), 0);
    }
    assert_true(clients_expire(c.clients, NOW_US) > 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        close(fds[i]);
    crowd_end(&c);
}

// A query that never ends delays no other client and takes no memory beyond a
// bound.
static void test_queries_that_never_end_have_a_bound(void **state)
{
    enum { CONNECTIONS = 200, SENT = 65000 };
    static uint8_t octets[SENT] = {0xff, 0xff};
    struct crowd c;
    enum clients_verdict verdict;
    struct client client;
    int fds[CONNECTIONS];
    crowd_begin(&c, state, CONNECTIONS, CONNECTIONS);
    uint32_t count = 0;
    for (; count < CONNECTIONS && clients_open(c.clients) == count; count++) {
        fds[count] = client_connect(&c, 0, &verdict);
        assert_int_equal(verdict, CLIENTS_TAKEN);
        for (size_t sent = 0; sent < SENT;) {
            ssize_t len = send(fds[count], octets + sent, SENT - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (len <= 0 && errno != EAGAIN)
                break; // it was closed
            sent += len > 0 ? (size_t)len : 0;
            (void)queries_take(&c, count, &client, 1);
        }
    }
    assert_int_equal(count, CLIENTS_HELD_USUAL.most / SENT + 1);
    assert_int_equal(clients_open(c.clients), count - 1);
    // An octet now and then does not keep one open.
    for (unsigned i = 0; i < count; i++)
        (void)send(fds[i], octets + 2, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)queries_take(&c, 0, &client, 1);
    (void)clients_expire(c.clients, NOW_US + 1000000);
    assert_int_equal(clients_open(c.clients), 0);
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    crowd_end(&c);
}

// A network has so many connections and no more; no other one is counted with it.
static void test_connections_are_counted_for_each_network(void **state)
{
    enum { NETWORKS = 500, EACH = 2 };
    struct crowd c;
    enum clients_verdict verdict;
    static int fds[NETWORKS * EACH];
    crowd_begin(&c, state, NETWORKS * EACH, EACH);
    for (unsigned i = 0; i < NETWORKS * EACH; i++) {
        fds[i] = client_connect(&c, i % NETWORKS, &verdict);
        assert_int_equal(verdict, CLIENTS_TAKEN);
    }
    close(client_connect(&c, 3, &verdict));
    assert_int_equal(verdict, CLIENTS_TOO_MANY);
    // With one closed there is room for one again, as soon as that is known.
    close(fds[3]);
    struct client client;
    (void)queries_take(&c, 3, &client, 1);
    close(client_connect(&c, 3, &verdict));
    assert_int_equal(verdict, CLIENTS_TAKEN);
    for (unsigned i = 0; i < NETWORKS * EACH; i++) {
        if (i != 3)
            close(fds[i]);
    }
    crowd_end(&c);
}

// Sends a query on a connection and takes it: no connection is idle from then on.
static void query_leave(struct crowd *c, int fd)
{
    struct client client;
    queries_send(fd, 1);
    for (uint32_t slot = 0; slot < 8; slot++)
        (void)queries_take(c, slot, &client, 1);
}

// Where none of a full table is idle, the networks with the most make room for those with less.
static void test_a_full_table_takes_from_those_with_the_most(void **state)
{
    enum { COUNT = 4 };
    static const unsigned networks[] = {1, 1, 2, 2, 3, 4};
    struct crowd c;
    enum clients_verdict verdict;
    int fds[COUNT_OF(networks)];
    crowd_begin(&c, state, COUNT, COUNT);
    for (unsigned i = 0; i < COUNT_OF(networks); i++) {
        fds[i] = client_connect(&c, networks[i], &verdict);
        assert_int_equal(verdict, CLIENTS_TAKEN);
        query_leave(&c, fds[i]);
    }
    assert_int_equal(clients_open(c.clients), COUNT);
    close(client_connect(&c, 3, &verdict)); // all have one
    assert_int_equal(verdict, CLIENTS_FULL);
    close(client_connect(&c, 5, &verdict));
    assert_int_equal(verdict, CLIENTS_FULL);
    for (unsigned i = 0; i < COUNT_OF(networks); i++)
        close(fds[i]);
    crowd_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BOTH_ENGINES(test_what_is_queued_leaves_before_its_descriptor_is_closed),
        WITH_BOTH_ENGINES(test_many_that_are_closed_do_not_use_up_the_descriptors),
        WITH_BOTH_ENGINES(test_a_place_is_filled_when_what_is_queued_has_left),
        WITH_BOTH_ENGINES(test_a_slot_is_free_with_its_last_event),
        WITH_BOTH_ENGINES(test_a_message_stays_until_it_is_given_back),
        WITH_BOTH_ENGINES(test_receives_come_one_by_one),
        WITH_BOTH_ENGINES(test_a_slot_is_connected_again_when_it_can_be),
        WITH_BOTH_ENGINES(test_a_client_that_waits_for_many_is_not_read_from),
        WITH_BOTH_ENGINES(test_a_client_that_does_not_read_is_not_read_from),
        WITH_BOTH_ENGINES(test_unread_answers_have_a_bound_for_each_network),
        WITH_BOTH_ENGINES(test_connections_take_turns_where_buffers_are_few),
        WITH_BOTH_ENGINES(test_a_round_asks_few_for_more),
        WITH_BOTH_ENGINES(test_queries_that_never_end_have_a_bound),
        WITH_BOTH_ENGINES(test_connections_are_counted_for_each_network),
        WITH_BOTH_ENGINES(test_a_full_table_takes_from_those_with_the_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
