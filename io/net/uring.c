// SPDX-License-Identifier: MIT
#include "io/net/uring.h"

#include "io/net/net.h"
#include "io/net/packet_info.h"
#include "io/net/sockaddr.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// Each request of the queue becomes one of the kernel's, in their order. Sends of datagrams are
// made without waiting (MSG_DONTWAIT), so each is over when the call that submits it returns.
// Receives of datagrams and accepts are multishot.
//
// The buffers of all groups are numbered one group after the other, so the number that comes with
// a completion tells its group.

// Debian 12's headers may be older than the kernel.
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

enum {
    ENDING_ROUNDS = 4,
    NAME_ROOM = 32, // of an address; a multiple of 8, so that the option behind it is aligned
    PLAIN_HEAD = sizeof(struct io_uring_recvmsg_out) + NAME_ROOM,
    LOCAL_HEAD = PLAIN_HEAD + PACKET_INFO_ROOM,
};

_Static_assert(LOCAL_HEAD <= NET_DATAGRAM_HEAD,
               "net_engine.h must know how much stands in front of a datagram");

// The buffers of a group that the kernel may take.
struct offer {
    struct io_uring_buf_ring *entries;
    size_t entries_len;
    unsigned first; // the number of the group's first buffer
    unsigned count;
};

// What a sendmsg needs, laid out one behind the other.
struct send_form {
    struct msghdr message;
    struct iovec octets;
    _Alignas(struct cmsghdr) uint8_t option[PACKET_INFO_ROOM];
};

struct ring {
    struct net net;
    struct io_uring uring;
    struct offer offers[NET_GROUPS];
    struct msghdr plain_form; // of NET_RECEIVE_FROM: room for an address, none for options
    struct msghdr local_form; // room for the option that tells the local address as well
    struct send_form forms[NET_QUEUE_MAX]; // of the requests of the queue that need one
};

// What is used, from the best to what the oldest kernel with multishot receives (6.0) has.
static const unsigned setups[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, // 6.1
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
};

static struct ring *ring_of(struct net *net)
{
    return (struct ring *)(void *)net;
}

static int uring_setup(struct io_uring *uring)
{
    int error = -EINVAL;
    for (unsigned i = 0; i < sizeof setups / sizeof *setups && error == -EINVAL; i++) {
        struct io_uring_params params = {
            .flags =
                setups[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
            .cq_entries = NET_QUEUE_MAX * 4,
        };
        error = io_uring_queue_init_params(NET_QUEUE_MAX, uring, &params);
    }
    return error;
}

static int offer_make(struct ring *ring, unsigned index)
{
    const struct net_group *group = &ring->net.groups[index];
    struct offer *offer = &ring->offers[index];
    offer->first = index > 0 ? ring->offers[index - 1].first + ring->offers[index - 1].count : 0;
    offer->count = group->count;
    if (group->count == 0)
        return 0;
    assert(offer->first + offer->count <= UINT16_MAX);
    offer->entries_len = group->count * sizeof(struct io_uring_buf);
    void *entries = mmap(NULL, offer->entries_len, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (entries == MAP_FAILED)
        return -ENOMEM;
    offer->entries = entries;
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)entries,
        .ring_entries = group->count,
        .bgid = (__u16)index,
    };
    int error = io_uring_register_buf_ring(&ring->uring, &registration, 0);
    if (error == 0)
        io_uring_buf_ring_init(offer->entries);
    return error;
}

static void ring_close(struct net *net)
{
    struct ring *ring = ring_of(net);
    io_uring_queue_exit(&ring->uring);
    for (unsigned i = 0; i < NET_GROUPS; i++) {
        if (ring->offers[i].entries)
            munmap(ring->offers[i].entries, ring->offers[i].entries_len);
    }
}

static int ring_open(struct net *net)
{
    struct ring *ring = ring_of(net);
    int error = uring_setup(&ring->uring);
    if (error < 0)
        return error;
    if (net->places > 0)
        error = io_uring_register_files_sparse(&ring->uring, net->places);
    for (unsigned i = 0; i < NET_GROUPS && error == 0; i++)
        error = offer_make(ring, i);
    if (error < 0) {
        ring_close(net);
        return error;
    }
    ring->plain_form.msg_namelen = NAME_ROOM;
    ring->local_form.msg_namelen = NAME_ROOM;
    ring->local_form.msg_controllen = PACKET_INFO_ROOM;
    return 0;
}

static const char *ring_why(int error)
{
    switch (-error) {
    case EPERM:
    case EACCES:
        return "the kernel refuses io_uring to this process: set the sysctl "
               "kernel.io_uring_disabled to 0 (with 1, only members of kernel.io_uring_group may), "
               "and allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp "
               "filter of a container";
    case ENOSYS:
        return "the kernel has no io_uring: it must be Linux 6.0 or newer, built with "
               "CONFIG_IO_URING, and a container's seccomp filter must allow io_uring_setup";
    case EINVAL:
        return "the kernel's io_uring is too old: it must be Linux 6.0 or newer";
    case ENOMEM:
        return "no memory for the ring: raise the memlock limit (ulimit -l, LimitMEMLOCK)";
    default:
        return strerror(-error);
    }
}

static int ring_start(struct net *net)
{
    struct ring *ring = ring_of(net);
    // liburing 2.3 declares io_uring_enable_rings but does not export it.
    if (syscall(__NR_io_uring_register, ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
                0) != 0)
        return -errno;
    int error = io_uring_register_ring_fd(&ring->uring);
    return error < 0 ? error : 0;
}

static int ring_place(struct net *net, unsigned place, int fd)
{
    int done = io_uring_register_files_update(&ring_of(net)->uring, place, &fd, 1);
    return done < 0 ? done : 0;
}

// --- requests ----------------------------------------------------------------------------------

static const struct msghdr *form_fill(struct send_form *form, const struct net_request *request)
{
    memset(form, 0, sizeof *form);
    form->octets = (struct iovec){(void *)(uintptr_t)request->bytes, request->len};
    form->message = (struct msghdr){
        .msg_name = (void *)(uintptr_t)request->to,
        .msg_namelen = sockaddr_len(request->to),
        .msg_iov = &form->octets,
        .msg_iovlen = 1,
        .msg_control = form->option,
    };
    packet_info_set(&form->message, request->to, request->from);
    return &form->message;
}

static void receive_prepare(struct io_uring_sqe *sqe, struct ring *ring,
                            const struct net_request *request)
{
    if (request->kind == NET_RECEIVE_FROM) {
        struct msghdr *form = request->local ? &ring->local_form : &ring->plain_form;
        io_uring_prep_recvmsg_multishot(sqe, request->socket, form, 0);
        sqe->flags |= IOSQE_FIXED_FILE;
    } else if (request->kind == NET_RECEIVE) {
        io_uring_prep_recv_multishot(sqe, request->socket, NULL, 0, 0);
    } else {
        io_uring_prep_recv(sqe, request->socket, NULL, 0, 0);
    }
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = request->group;
}

// All but NET_SEND_TO.
static void request_prepare(struct io_uring_sqe *sqe, struct ring *ring,
                            const struct net_request *request)
{
    int fd = request->socket;
    switch ((enum net_kind)request->kind) {
    case NET_SEND_TO:
        return;
    case NET_SEND_FROM:
        io_uring_prep_sendmsg(sqe, fd, form_fill(&ring->forms[request - ring->net.queue], request),
                              MSG_DONTWAIT);
        sqe->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
        return;
    case NET_SEND:
        io_uring_prep_send(sqe, fd, request->bytes, request->len, MSG_DONTWAIT);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        return;
    case NET_RECEIVE_FROM:
    case NET_RECEIVE:
    case NET_CONNECTION_RECEIVE:
        receive_prepare(sqe, ring, request);
        return;
    case NET_CONNECTION_SEND:
        io_uring_prep_send(sqe, fd, request->bytes, request->len, MSG_NOSIGNAL);
        return;
    case NET_ACCEPT:
        io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
        return;
    case NET_CONNECT:
        io_uring_prep_connect(sqe, fd, request->to, sockaddr_len(request->to));
        return;
    case NET_CLOSE:
        io_uring_prep_close(sqe, fd);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        return;
    case NET_CANCEL:
    case NET_CANCEL_FROM:
        io_uring_prep_cancel64(sqe, request->cancelled, 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        return;
    case NET_WAKE: {
        const struct ring *woken = (const struct ring *)(const void *)request->woken;
        io_uring_prep_msg_ring(sqe, woken->uring.ring_fd, 0, woken->net.wake_tag, 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        return;
    }
    case NET_WATCH:
        io_uring_prep_poll_add(sqe, fd, POLLIN);
        return;
    }
}

static void buffers_publish(struct ring *ring)
{
    for (unsigned i = 0; i < NET_GROUPS; i++) {
        struct net_group *group = &ring->net.groups[i];
        const struct offer *offer = &ring->offers[i];
        unsigned count = group->returned_count;
        if (count == 0)
            continue;
        for (unsigned j = 0; j < count; j++) {
            unsigned buffer = group->returned[j];
            io_uring_buf_ring_add(offer->entries, group->bytes + buffer * group->size,
                                  (unsigned)group->size, (unsigned short)(offer->first + buffer),
                                  io_uring_buf_ring_mask(group->count), (int)j);
        }
        io_uring_buf_ring_advance(offer->entries, (int)count);
        group->returned_count = 0;
    }
}

// Writes the queue into the kernel's, which is empty between two submissions and as long.
static void queue_write(struct ring *ring)
{
    struct io_uring_sq *sq = &ring->uring.sq;
    const struct net *net = &ring->net;
    buffers_publish(ring);
    assert(net->queued <= sq->ring_entries && io_uring_sq_ready(&ring->uring) == 0);
    for (unsigned i = 0; i < net->queued; i++) {
        const struct net_request *request = &net->queue[i];
        struct io_uring_sqe *sqe = &sq->sqes[sq->sqe_tail++ & sq->ring_mask];
        if (request->kind == NET_SEND_TO) { // nearly all are
            // An address on a plain send is cheaper than a sendmsg (6.0).
            *sqe = (struct io_uring_sqe){
                .opcode = IORING_OP_SEND,
                .flags = IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS,
                .fd = request->socket,
                .addr = (uintptr_t)request->bytes,
                .len = request->len,
                .msg_flags = MSG_DONTWAIT,
                .addr2 = (uintptr_t)request->to,
                .addr_len = (__u16)sockaddr_len(request->to),
                .user_data = request->tag,
            };
        } else {
            sqe->user_data = request->tag; // which what follows does not touch
            request_prepare(sqe, ring, request);
        }
    }
}

// Until the kernel has all.
static int queue_hand(struct ring *ring)
{
    while (io_uring_sq_ready(&ring->uring) > 0) {
        int submitted = io_uring_submit(&ring->uring);
        if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY)
            return submitted;
        // A completion queue with a backlog takes nothing new until that is fetched.
        if (submitted == -EBUSY || submitted == -EAGAIN)
            io_uring_get_events(&ring->uring);
    }
    return 0;
}

static int ring_submit(struct net *net)
{
    queue_write(ring_of(net));
    return queue_hand(ring_of(net));
}

// --- events ------------------------------------------------------------------------------------

// The address in an IP_PKTINFO or IPV6_PKTINFO option.
static const void *local_find(struct io_uring_recvmsg_out *out, struct msghdr *form)
{
    struct cmsghdr *option = io_uring_recvmsg_cmsg_firsthdr(out, form);
    for (; option; option = io_uring_recvmsg_cmsg_nexthdr(out, form, option)) {
        const void *address = packet_info_address(option);
        if (address)
            return address;
    }
    return NULL;
}

// What the kernel put in front of a datagram says how long that is, and so where it begins.
static void datagram_find(struct ring *ring, struct net_event *event)
{
    struct io_uring_recvmsg_out *out = (void *)event->bytes;
    size_t len = (size_t)event->result;
    event->result = 0;
    if (len < PLAIN_HEAD || out->namelen > NAME_ROOM || out->payloadlen > len - PLAIN_HEAD)
        return;
    size_t head = len - out->payloadlen;
    if (head != PLAIN_HEAD && head != LOCAL_HEAD)
        return;
    if (head == LOCAL_HEAD)
        event->local = local_find(out, &ring->local_form);
    event->from = io_uring_recvmsg_name(out);
    event->cut = out->flags & MSG_TRUNC;
    event->bytes += head;
    event->result = (int32_t)out->payloadlen;
}

static void buffer_lend(struct ring *ring, struct net_event *event, unsigned number)
{
    unsigned index = 0;
    while (index < NET_GROUPS - 1 &&
           number - ring->offers[index].first >= ring->offers[index].count)
        index++;
    struct net_group *group = &ring->net.groups[index];
    unsigned buffer = number - ring->offers[index].first;
    assert(buffer < group->count && !group->lent[buffer]);
    group->lent[buffer] = true;
    event->lent = true;
    event->buffer = (uint16_t)buffer;
    event->bytes = group->bytes + buffer * group->size;
    if (group->addresses && event->result >= 0)
        datagram_find(ring, event);
}

static unsigned events_copy(struct ring *ring, struct net_event *events, unsigned event_max)
{
    const struct io_uring_cq *cq = &ring->uring.cq;
    unsigned ready = io_uring_cq_ready(&ring->uring);
    unsigned count = ready < event_max ? ready : event_max;
    unsigned head = *cq->khead;
    for (unsigned i = 0; i < count; i++) {
        const struct io_uring_cqe *cqe = &cq->cqes[(head + i) & cq->ring_mask];
        events[i] = (struct net_event){
            .tag = cqe->user_data,
            .result = cqe->res,
            .more = cqe->flags & IORING_CQE_F_MORE,
        };
        if (cqe->flags & IORING_CQE_F_BUFFER)
            buffer_lend(ring, &events[i], cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    }
    io_uring_cq_advance(&ring->uring, count);
    return count;
}

static int ring_wait(struct net *net, uint64_t timeout_us, struct net_event *events,
                     unsigned event_max)
{
    struct ring *ring = ring_of(net);
    struct __kernel_timespec timeout = {
        .tv_sec = (long long)(timeout_us / 1000000),
        .tv_nsec = (long long)(timeout_us % 1000000) * 1000,
    };
    struct io_uring_cqe *cqe;
    // Where there are events already, liburing hands over what is queued and asks for no more. But
    // with DEFER_TASKRUN the kernel does what has become ready since only when it is asked, and
    // with enough that is done at once there are always events.
    bool busy = io_uring_cq_ready(&ring->uring) > 0;
    queue_write(ring);
    int error = busy ? io_uring_submit_and_get_events(&ring->uring)
                     : io_uring_submit_and_wait_timeout(
                           &ring->uring, &cqe, 1, timeout_us == UINT64_MAX ? NULL : &timeout, NULL);
    if (error < 0 && error != -ETIME && error != -EINTR && error != -EAGAIN && error != -EBUSY)
        return error;
    // What did not fit is handed over now, so that its octets are free when this returns.
    error = queue_hand(ring);
    if (error < 0)
        return error;
    return (int)events_copy(ring, events, event_max);
}

static void ring_end(struct net *net)
{
    struct io_uring *uring = &ring_of(net)->uring;
    struct io_uring_sync_cancel_reg all = {
        .flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
        .timeout = {.tv_sec = 1},
    };
    if (net_submit(net) < 0)
        return;
    (void)io_uring_register_sync_cancel(uring, &all); // fails if there is nothing
    (void)io_uring_unregister_files(uring);
    // A cancelled request lets go of its socket when its last event is made.
    for (int i = 0; i < ENDING_ROUNDS; i++) {
        io_uring_get_events(uring);
        io_uring_cq_advance(uring, io_uring_cq_ready(uring));
    }
}

const struct net_engine net_uring = {
    .name = "io_uring",
    .size = sizeof(struct ring),
    .open = ring_open,
    .close = ring_close,
    .start = ring_start,
    .place = ring_place,
    .submit = ring_submit,
    .wait = ring_wait,
    .end = ring_end,
    .why = ring_why,
};
