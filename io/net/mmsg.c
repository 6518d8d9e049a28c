// SPDX-License-Identifier: MIT
#include "io/net/mmsg.h"

#include "io/net/mmsg_batch.h"
#include "io/net/net.h"
#include "io/net/sockaddr.h"
#include "io/net/wake.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

// A descriptor has two places for requests: `in` for what reads, accepts or watches, `out` for what
// sends octets or connects. Whatever can be done at once is done when it is submitted; the rest is
// armed.
//
// A descriptor stays registered with epoll, edge-triggered, from its first armed request until it
// is closed; but where other processes may have the same socket (receives at a place, accepts) only
// as long as the request is armed, or the engine would be woken for theirs. `readable` says that
// it may have something to read: an edge has come, and no call has found it empty since. Those that
// are readable and have something armed stand in a list. Each round takes one batch from each of
// them, in their order, and those that are not empty go to its end: so none starves the others.
//
// A number may be used again at once. An edge that comes late, for a socket that is closed and
// still open in another process, is known by the number's use and ignored.

enum {
    EDGES_MAX = 128,
    ACCEPTS_MAX = 16, // of one socket in one round
    SOCKETS_FIRST = 256,
    LATER_FIRST = 64,
    NOTHING = -1,
};

struct armed {
    uint64_t tag;
    uint8_t kind; // enum net_kind
    bool is;      // armed
};

struct socket_state {
    struct armed in;
    struct armed out;
    const uint8_t *bytes; // of `out`, where it sends
    uint32_t len;
    uint32_t use;  // of this number
    int next;      // in the list
    int place;     // of `in`, where that is a receive at one
    uint8_t group; // of `in`
    bool local;    // of `in`
    bool registered;
    bool readable;
    bool ended; // there is an end or an error to be read, behind whatever else there is
    bool listed;
};

// Descriptors, in order.
struct list {
    int first, last;
};

struct later {
    uint64_t tag;
    int32_t result;
};

struct mmsg {
    struct net net;
    int epoll_fd;
    int wake_fd;
    bool coarse;                  // the kernel has no epoll_pwait2
    int *places;                  // descriptors
    struct socket_state *sockets; // by their descriptors
    unsigned socket_count;
    struct list list;
    struct later *later; // events without octets that have not been given yet, in a circle
    unsigned later_first, later_count, later_size;
    struct receive_batch receives[NET_GROUPS];
    struct send_batch sends;
    struct epoll_event edges[EDGES_MAX];
};

#define WAKE_DATA UINT64_MAX

static struct mmsg *mmsg_of(struct net *net)
{
    return (struct mmsg *)(void *)net;
}

// --- events without octets ---------------------------------------------------------------------

static bool later_grow(struct mmsg *m)
{
    unsigned size = m->later_size ? 2 * m->later_size : LATER_FIRST;
    struct later *later = calloc(size, sizeof *later);
    if (!later)
        return false;
    for (unsigned i = 0; i < m->later_count; i++)
        later[i] = m->later[(m->later_first + i) % m->later_size];
    free(m->later);
    m->later = later;
    m->later_size = size;
    m->later_first = 0;
    return true;
}

static void event_later(struct mmsg *m, uint64_t tag, int result)
{
    if (m->later_count == m->later_size && !later_grow(m)) {
        m->net.error = -ENOMEM;
        return;
    }
    m->later[(m->later_first + m->later_count++) % m->later_size] = (struct later){tag, result};
}

static unsigned later_take(struct mmsg *m, struct net_event *events, unsigned max)
{
    unsigned count = 0;
    for (; count < max && m->later_count > 0; count++, m->later_count--) {
        const struct later *later = &m->later[m->later_first];
        events[count] = (struct net_event){.tag = later->tag, .result = later->result};
        m->later_first = (m->later_first + 1) % m->later_size;
    }
    return count;
}

// --- sockets -----------------------------------------------------------------------------------

// NULL: there is no memory.
static struct socket_state *socket_at(struct mmsg *m, int fd)
{
    unsigned number = (unsigned)fd;
    if (number < m->socket_count)
        return &m->sockets[number];
    unsigned count = m->socket_count;
    while (count <= number)
        count *= 2;
    struct socket_state *sockets = realloc(m->sockets, count * sizeof *sockets);
    if (!sockets)
        return NULL;
    memset(sockets + m->socket_count, 0, (count - m->socket_count) * sizeof *sockets);
    m->sockets = sockets;
    m->socket_count = count;
    return &sockets[number];
}

static void list_add(struct mmsg *m, struct list *list, int fd)
{
    struct socket_state *socket = &m->sockets[fd];
    if (socket->listed)
        return;
    socket->listed = true;
    socket->next = NOTHING;
    if (list->first == NOTHING)
        list->first = fd;
    else
        m->sockets[list->last].next = fd;
    list->last = fd;
}

static int list_take(struct mmsg *m, struct list *list)
{
    int fd = list->first;
    list->first = m->sockets[fd].next;
    m->sockets[fd].listed = false;
    return fd;
}

// Puts another list in front.
static void list_join(struct mmsg *m, struct list *list, const struct list *front)
{
    if (front->first == NOTHING)
        return;
    m->sockets[front->last].next = list->first;
    list->last = list->first == NOTHING ? front->last : list->last;
    list->first = front->first;
}

static uint32_t edges_of(enum net_kind kind)
{
    switch (kind) {
    case NET_WATCH:
        return EPOLLIN | EPOLLONESHOT;
    case NET_RECEIVE_FROM:
    case NET_RECEIVE:
    case NET_ACCEPT:
        return EPOLLIN | EPOLLET;
    default:
        return EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    }
}

// 0 or a negative errno.
static int socket_register(struct mmsg *m, int fd, enum net_kind kind)
{
    struct socket_state *socket = &m->sockets[fd];
    if (socket->registered && kind != NET_WATCH)
        return 0;
    struct epoll_event event = {
        .events = edges_of(kind),
        .data.u64 = (uint64_t)socket->use << 32 | (uint32_t)fd,
    };
    int operation = socket->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(m->epoll_fd, operation, fd, &event) != 0)
        return -errno;
    socket->registered = true;
    return 0;
}

static void socket_forget(struct socket_state *socket)
{
    assert(!socket->in.is && !socket->out.is);
    socket->use++;
    socket->registered = socket->readable = socket->ended = false;
}

// --- requests ----------------------------------------------------------------------------------

// Arms what reads, at a descriptor.
static void in_arm(struct mmsg *m, int fd, const struct net_request *request)
{
    struct socket_state *socket = fd >= 0 ? socket_at(m, fd) : NULL;
    int error = fd < 0 ? -EBADF : -ENOMEM;
    if (socket) {
        assert(!socket->in.is);
        error = socket_register(m, fd, (enum net_kind)request->kind);
    }
    if (error < 0) {
        event_later(m, request->tag, error);
        return;
    }
    socket->in = (struct armed){request->tag, request->kind, true};
    socket->group = request->group;
    socket->place = request->kind == NET_RECEIVE_FROM ? request->socket : NOTHING;
    socket->local = request->kind == NET_RECEIVE_FROM && request->local;
    if (socket->readable)
        list_add(m, &m->list, fd);
}

// Arms what sends or connects and could not be done at once.
static void out_arm(struct mmsg *m, const struct net_request *request)
{
    int fd = request->socket;
    struct socket_state *socket = socket_at(m, fd);
    int error = -ENOMEM;
    if (socket) {
        assert(!socket->out.is);
        error = socket_register(m, fd, (enum net_kind)request->kind);
    }
    if (error < 0) {
        event_later(m, request->tag, error);
        return;
    }
    socket->out = (struct armed){request->tag, request->kind, true};
    socket->bytes = request->bytes;
    socket->len = request->len;
}

static int octets_send(int fd, const void *bytes, size_t len)
{
    ssize_t sent;
    do {
        sent = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : (int)sent;
}

static void request_connection_send(struct mmsg *m, const struct net_request *request)
{
    int sent = octets_send(request->socket, request->bytes, request->len);
    if (sent == -EAGAIN)
        out_arm(m, request);
    else
        event_later(m, request->tag, sent);
}

static void request_connect(struct mmsg *m, const struct net_request *request)
{
    if (connect(request->socket, request->to, sockaddr_len(request->to)) == 0)
        event_later(m, request->tag, 0);
    else if (errno == EINPROGRESS)
        out_arm(m, request);
    else
        event_later(m, request->tag, -errno);
}

static void request_close(struct mmsg *m, const struct net_request *request)
{
    int fd = request->socket;
    if ((unsigned)fd < m->socket_count)
        socket_forget(&m->sockets[fd]);
    if (close(fd) != 0 && errno != EINTR)
        event_later(m, request->tag, -errno);
}

// Where the request was one of those that are registered only while they are armed.
static void in_forget(struct mmsg *m, int fd)
{
    enum net_kind kind = (enum net_kind)m->sockets[fd].in.kind;
    if (kind != NET_RECEIVE_FROM && kind != NET_ACCEPT)
        return;
    (void)epoll_ctl(m->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    socket_forget(&m->sockets[fd]);
}

static bool disarm(struct mmsg *m, struct armed *armed, uint64_t tag)
{
    if (!armed->is || armed->tag != tag)
        return false;
    armed->is = false;
    event_later(m, tag, -ECANCELED);
    return true;
}

static void request_cancel(struct mmsg *m, int fd, uint64_t tag)
{
    if (fd < 0 || (unsigned)fd >= m->socket_count)
        return;
    struct socket_state *socket = &m->sockets[fd];
    if (disarm(m, &socket->in, tag))
        in_forget(m, fd);
    (void)disarm(m, &socket->out, tag);
}

static void request_wake(const struct net_request *request)
{
    const struct mmsg *woken = (const struct mmsg *)(const void *)request->woken;
    wake_send(woken->wake_fd);
}

// All but what goes in a batch.
static void request_do(struct mmsg *m, const struct net_request *request)
{
    switch ((enum net_kind)request->kind) {
    case NET_RECEIVE_FROM:
        in_arm(m, m->places[request->socket], request);
        break;
    case NET_RECEIVE:
    case NET_CONNECTION_RECEIVE:
    case NET_ACCEPT:
    case NET_WATCH:
        in_arm(m, request->socket, request);
        break;
    case NET_CONNECTION_SEND:
        request_connection_send(m, request);
        break;
    case NET_CONNECT:
        request_connect(m, request);
        break;
    case NET_CLOSE:
        request_close(m, request);
        break;
    case NET_CANCEL:
        request_cancel(m, request->socket, request->cancelled);
        break;
    case NET_CANCEL_FROM:
        request_cancel(m, m->places[request->socket], request->cancelled);
        break;
    case NET_WAKE:
        request_wake(request);
        break;
    case NET_SEND_TO:
    case NET_SEND_FROM:
    case NET_SEND:
        assert(false);
    }
}

// True of a send of a datagram that may share a call with the one before it.
static bool goes_in_a_batch(const struct net_request *request)
{
    return request->kind == NET_SEND_TO || request->kind == NET_SEND_FROM ||
           request->kind == NET_SEND;
}

static bool same_socket(const struct net_request *a, const struct net_request *b)
{
    return a->socket == b->socket && (a->kind == NET_SEND) == (b->kind == NET_SEND);
}

static void send_failed(void *context, uint64_t tag, int error)
{
    event_later(context, tag, error);
}

static int mmsg_submit(struct net *net)
{
    struct mmsg *m = mmsg_of(net);
    for (unsigned i = 0; i < NET_GROUPS; i++)
        receive_batch_returned(&m->receives[i]);
    const struct net_request *request = net->queue, *end = net->queue + net->queued;
    while (request < end) {
        if (!goes_in_a_batch(request)) {
            request_do(m, request++);
            continue;
        }
        const struct net_request *first = request;
        while (request < end && goes_in_a_batch(request) && same_socket(first, request) &&
               m->sends.count < MMSG_BATCH)
            send_batch_add(&m->sends, request++);
        int fd = first->kind == NET_SEND ? first->socket : m->places[first->socket];
        send_batch_run(&m->sends, fd, send_failed, m);
    }
    return net->error;
}

// --- edges -------------------------------------------------------------------------------------

// Goes on with what was waiting for room, or for a connection.
static void out_go_on(struct mmsg *m, int fd)
{
    struct socket_state *socket = &m->sockets[fd];
    int result = 0;
    if (socket->out.kind == NET_CONNECTION_SEND) {
        result = octets_send(fd, socket->bytes, socket->len);
        if (result == -EAGAIN)
            return;
    } else {
        socklen_t len = sizeof result;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &len) != 0)
            result = errno;
        result = -result;
    }
    socket->out.is = false;
    event_later(m, socket->out.tag, result);
}

static void edge_take(struct mmsg *m, const struct epoll_event *edge)
{
    if (edge->data.u64 == WAKE_DATA) {
        event_later(m, m->net.wake_tag, 0);
        return;
    }
    int fd = (int)(uint32_t)edge->data.u64;
    struct socket_state *socket = &m->sockets[fd];
    if (socket->use != edge->data.u64 >> 32 || !socket->registered)
        return;
    if (socket->in.is && socket->in.kind == NET_WATCH) {
        socket->in.is = false;
        event_later(m, socket->in.tag, 0);
        return;
    }
    socket->ended |= (edge->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    socket->readable |= (edge->events & ~(uint32_t)EPOLLOUT) != 0;
    if (socket->out.is && (edge->events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0)
        out_go_on(m, fd);
    if (socket->in.is && socket->readable)
        list_add(m, &m->list, fd);
}

// 0 or a negative errno.
static int edges_wait(struct mmsg *m, uint64_t timeout_us)
{
    struct timespec timeout = {
        .tv_sec = (time_t)(timeout_us / 1000000),
        .tv_nsec = (long)(timeout_us % 1000000) * 1000,
    };
    bool for_ever = timeout_us == UINT64_MAX;
    int count;
    if (m->coarse) {
        uint64_t ms = for_ever ? 0 : timeout_us / 1000 + (timeout_us % 1000 > 0);
        count = epoll_wait(m->epoll_fd, m->edges, EDGES_MAX,
                           for_ever ? -1 : (int)(ms < INT32_MAX ? ms : INT32_MAX));
    } else {
        count = epoll_pwait2(m->epoll_fd, m->edges, EDGES_MAX, for_ever ? NULL : &timeout, NULL);
    }
    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++)
        edge_take(m, &m->edges[i]);
    return 0;
}

// --- what is readable --------------------------------------------------------------------------

// Ends the request that reads, with an event.
static unsigned in_end(struct mmsg *m, int fd, struct net_event *event, int result)
{
    struct socket_state *socket = &m->sockets[fd];
    socket->in.is = false;
    *event = (struct net_event){.tag = socket->in.tag, .result = result};
    in_forget(m, fd);
    return 1;
}

static unsigned datagrams_take(struct mmsg *m, int fd, struct net_event *events, unsigned max)
{
    struct socket_state *socket = &m->sockets[fd];
    bool dry;
    int count =
        receive_batch_run(&m->receives[socket->group], fd, socket->local, events, max, &dry);
    socket->readable = !dry;
    if (count == -EAGAIN || count == -EINTR)
        return 0;
    if (count < 0)
        return in_end(m, fd, events, count);
    for (int i = 0; i < count; i++)
        events[i].tag = socket->in.tag;
    return (unsigned)count;
}

static unsigned octets_take(struct mmsg *m, int fd, struct net_event *event)
{
    struct socket_state *socket = &m->sockets[fd];
    bool dry;
    int len = receive_batch_octets(&m->receives[socket->group], fd, event, &dry);
    // What is short may also have stood in front of the end.
    socket->readable = !dry || (len > 0 && socket->ended);
    if (len == -EAGAIN || len == -EINTR)
        return 0;
    if (len <= 0)
        return in_end(m, fd, event, len);
    socket->in.is = false;
    event->tag = socket->in.tag;
    return 1;
}

// What a connection has died of before it was accepted (accept(2)) is no fault of the listener's,
// and the next call finds another connection. With any other error it may find the same one again.
static bool is_of_one_connection(int error)
{
    switch (error) {
    case ECONNABORTED:
    case ECONNRESET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EINTR:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EPROTO:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

static unsigned connections_take(struct mmsg *m, int fd, struct net_event *events, unsigned max)
{
    struct socket_state *socket = &m->sockets[fd];
    unsigned count = 0;
    for (unsigned tries = 0; tries < ACCEPTS_MAX && count < max; tries++) {
        int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (accepted >= 0) {
            events[count++] =
                (struct net_event){.tag = socket->in.tag, .result = accepted, .more = true};
            continue;
        }
        if (errno == EAGAIN) {
            socket->readable = false;
            return count;
        }
        if (!is_of_one_connection(errno))
            return count + in_end(m, fd, &events[count], -errno);
    }
    return count;
}

// A batch from each socket of the list.
static unsigned round_do(struct mmsg *m, struct net_event *events, unsigned max)
{
    unsigned count = 0;
    struct list waiting = {NOTHING, NOTHING};
    int last = m->list.last;
    bool all = m->list.first == NOTHING;
    while (!all && count < max) {
        int fd = list_take(m, &m->list);
        struct socket_state *socket = &m->sockets[fd];
        all = fd == last;
        if (!socket->in.is || !socket->readable)
            continue;
        // Those that find no buffer are the first of the next round.
        bool reads = socket->in.kind != NET_ACCEPT;
        if (reads && !receive_batch_has_buffer(&m->receives[socket->group])) {
            list_add(m, &waiting, fd);
            continue;
        }
        if (socket->in.kind == NET_CONNECTION_RECEIVE)
            count += octets_take(m, fd, events + count);
        else if (socket->in.kind == NET_ACCEPT)
            count += connections_take(m, fd, events + count, max - count);
        else
            count += datagrams_take(m, fd, events + count, max - count);
        if (socket->in.is && socket->readable)
            list_add(m, &m->list, fd);
    }
    list_join(m, &m->list, &waiting);
    return count;
}

static int mmsg_wait(struct net *net, uint64_t timeout_us, struct net_event *events,
                     unsigned event_max)
{
    struct mmsg *m = mmsg_of(net);
    int error = mmsg_submit(net);
    bool busy = m->later_count > 0 || m->list.first != NOTHING;
    if (error == 0)
        error = edges_wait(m, busy ? 0 : timeout_us);
    if (error < 0)
        return error;
    unsigned count = later_take(m, events, event_max);
    return (int)(count + round_do(m, events + count, event_max - count));
}

// --- life --------------------------------------------------------------------------------------

static void mmsg_close(struct net *net)
{
    struct mmsg *m = mmsg_of(net);
    if (m->epoll_fd >= 0)
        close(m->epoll_fd);
    if (m->wake_fd >= 0)
        wake_close(m->wake_fd);
    for (unsigned i = 0; i < NET_GROUPS; i++)
        receive_batch_free(&m->receives[i]);
    free(m->places);
    free(m->sockets);
    free(m->later);
}

static int tables_make(struct mmsg *m)
{
    m->places = calloc(m->net.places + 1, sizeof *m->places);
    m->sockets = calloc(SOCKETS_FIRST, sizeof *m->sockets);
    m->socket_count = SOCKETS_FIRST;
    if (!m->places || !m->sockets)
        return -ENOMEM;
    for (unsigned i = 0; i < m->net.places; i++)
        m->places[i] = -1;
    int error = 0;
    for (unsigned i = 0; i < NET_GROUPS && error == 0; i++)
        error = receive_batch_init(&m->receives[i], &m->net.groups[i]);
    return error;
}

// Told now and not by the first datagram: are the calls allowed that a filter may forbid?
static int calls_try(void)
{
    int received = recvmmsg(-1, NULL, 0, MSG_DONTWAIT, NULL);
    int error = received < 0 ? errno : 0;
    if (error == EBADF && sendmmsg(-1, NULL, 0, MSG_DONTWAIT) < 0)
        error = errno;
    return error == EBADF ? 0 : -error;
}

static int mmsg_open(struct net *net)
{
    struct mmsg *m = mmsg_of(net);
    m->list = (struct list){NOTHING, NOTHING};
    m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    m->wake_fd = m->epoll_fd < 0 ? -1 : wake_open();
    int error = m->wake_fd < 0 ? -errno : tables_make(m);
    // It is never read: each write is an edge.
    struct epoll_event wake = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE_DATA};
    if (error == 0 && epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, m->wake_fd, &wake) != 0)
        error = -errno;
    if (error == 0)
        error = calls_try();
    if (error < 0)
        mmsg_close(net);
    m->coarse = error == 0 &&
                epoll_pwait2(m->epoll_fd, m->edges, EDGES_MAX, &(struct timespec){0}, NULL) < 0;
    return error;
}

static int mmsg_start(struct net *net)
{
    (void)net;
    return 0;
}

static int mmsg_place(struct net *net, unsigned place, int fd)
{
    struct mmsg *m = mmsg_of(net);
    int before = m->places[place];
    if (before >= 0 && (unsigned)before < m->socket_count)
        assert(!m->sockets[before].in.is || m->sockets[before].place != (int)place);
    m->places[place] = fd;
    return 0;
}

// A registration holds no socket, so there is nothing to end but what this process's successor
// would wake.
static void mmsg_end(struct net *net)
{
    struct mmsg *m = mmsg_of(net);
    (void)net_submit(net);
    for (unsigned i = 0; i < m->socket_count; i++) {
        if (m->sockets[i].registered)
            (void)epoll_ctl(m->epoll_fd, EPOLL_CTL_DEL, (int)i, NULL);
        m->sockets[i] = (struct socket_state){.use = m->sockets[i].use + 1};
    }
    m->list = (struct list){NOTHING, NOTHING};
}

static const char *mmsg_why(int error)
{
    switch (-error) {
    case EPERM:
    case ENOSYS:
        return "a seccomp filter forbids epoll, recvmmsg or sendmmsg: that of a container, or that "
               "of a process with io_uring whose place is to be taken (then restart instead)";
    case EMFILE:
        return "too few file descriptors: raise the limit (ulimit -n, LimitNOFILE)";
    case ENOSPC:
        return "too few epoll watches: raise the sysctl fs.epoll.max_user_watches";
    default:
        return strerror(-error);
    }
}

const struct net_engine net_epoll = {
    .name = "epoll",
    .size = sizeof(struct mmsg),
    .open = mmsg_open,
    .close = mmsg_close,
    .start = mmsg_start,
    .place = mmsg_place,
    .submit = mmsg_submit,
    .wait = mmsg_wait,
    .end = mmsg_end,
    .why = mmsg_why,
};
