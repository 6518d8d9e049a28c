// SPDX-License-Identifier: MIT
#include "io/net/uring.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

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
};

// An event is a completion as the kernel writes it.
_Static_assert(sizeof(struct ring_event) == sizeof(struct io_uring_cqe) &&
                   offsetof(struct ring_event, result) == offsetof(struct io_uring_cqe, res) &&
                   offsetof(struct ring_event, flags) == offsetof(struct io_uring_cqe, flags) &&
                   IORING_CQE_F_BUFFER == 1 && IORING_CQE_F_MORE == 2 &&
                   IORING_CQE_BUFFER_SHIFT == 16,
               "uring.h must know the kernel's form");

_Static_assert(sizeof(struct io_uring_recvmsg_out) + NAME_ROOM +
                       CMSG_SPACE(sizeof(struct in6_pktinfo)) <=
                   RING_DATAGRAM_HEAD,
               "uring.h must know how much stands in front of a datagram");

struct group {
    struct io_uring_buf_ring *entries;
    uint8_t *bytes;
    size_t bytes_len;
    size_t entries_len;
    size_t size;
    unsigned count;
    unsigned returned; // given back but not yet shown to the kernel
    bool *lent;        // of each buffer: it is not the kernel's
};

struct ring {
    struct io_uring uring;
    struct group groups[RING_GROUPS];
    struct msghdr plain_form; // of ring_receive_from: room for an address, none for options
    struct msghdr local_form; // room for the option that tells the local address as well
    unsigned files;           // places of registered files
    unsigned closes;          // queued: descriptors that are still taken although they are given up
};

// What is used, from the best to what the oldest kernel with multishot receives (6.0) has.
static const unsigned setups[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, // 6.1
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
};

int ring_open(struct ring **out, unsigned entries, unsigned files)
{
    struct ring *ring = calloc(1, sizeof *ring);
    if (!ring)
        return -ENOMEM;
    int error = -EINVAL;
    for (unsigned i = 0; i < sizeof setups / sizeof *setups && error == -EINVAL; i++) {
        struct io_uring_params params = {
            .flags =
                setups[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
            .cq_entries = entries * 4,
        };
        error = io_uring_queue_init_params(entries, &ring->uring, &params);
    }
    if (error < 0) {
        free(ring);
        return error;
    }
    error = io_uring_register_files_sparse(&ring->uring, files);
    if (error < 0) {
        ring_close(ring);
        return error;
    }
    ring->files = files;
    ring->plain_form.msg_namelen = NAME_ROOM;
    ring->local_form.msg_namelen = NAME_ROOM;
    ring->local_form.msg_controllen = CMSG_SPACE(sizeof(struct in6_pktinfo));
    *out = ring;
    return 0;
}

const char *ring_why(int error)
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

void ring_close(struct ring *ring)
{
    io_uring_queue_exit(&ring->uring);
    for (unsigned i = 0; i < RING_GROUPS; i++) {
        struct group *group = &ring->groups[i];
        if (group->bytes)
            munmap(group->bytes, group->bytes_len);
        if (group->entries)
            munmap(group->entries, group->entries_len);
        free(group->lent);
    }
    free(ring);
}

int ring_start(struct ring *ring)
{
    // liburing 2.3 declares io_uring_enable_rings but does not export it.
    if (syscall(__NR_io_uring_register, ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
                0) != 0)
        return -errno;
    int error = io_uring_register_ring_fd(&ring->uring);
    return error < 0 ? error : 0;
}

int ring_fd(const struct ring *ring)
{
    return ring->uring.ring_fd;
}

static void *pages(size_t len)
{
    void *memory =
        mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

int ring_buffers(struct ring *ring, unsigned index, unsigned count, size_t size)
{
    struct group *group = &ring->groups[index];
    assert(index < RING_GROUPS && !group->bytes && count > 0 && (count & (count - 1)) == 0 &&
           size > 0 && size % 64 == 0);
    group->count = count;
    group->size = size;
    group->bytes_len = count * size;
    group->entries_len = count * sizeof(struct io_uring_buf);
    group->bytes = pages(group->bytes_len);
    group->entries = pages(group->entries_len);
    group->lent = malloc(count * sizeof *group->lent);
    if (!group->bytes || !group->entries || !group->lent)
        return -ENOMEM;
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)group->entries,
        .ring_entries = count,
        .bgid = (__u16)index,
    };
    int error = io_uring_register_buf_ring(&ring->uring, &registration, 0);
    if (error < 0)
        return error;
    io_uring_buf_ring_init(group->entries);
    for (unsigned i = 0; i < count; i++) {
        group->lent[i] = true;
        ring_buffer_return(ring, index, (uint16_t)i);
    }
    return 0;
}

uint16_t ring_buffer_take(struct ring *ring, unsigned index, const struct ring_event *event)
{
    struct group *group = &ring->groups[index];
    uint16_t buffer = ring_event_buffer(event);
    assert(index < RING_GROUPS && buffer < group->count && !group->lent[buffer]);
    group->lent[buffer] = true;
    return buffer;
}

uint8_t *ring_buffer(const struct ring *ring, unsigned index, uint16_t buffer)
{
    const struct group *group = &ring->groups[index];
    assert(index < RING_GROUPS && buffer < group->count && group->lent[buffer]);
    return group->bytes + buffer * group->size;
}

void ring_buffer_return(struct ring *ring, unsigned index, uint16_t buffer)
{
    struct group *group = &ring->groups[index];
    io_uring_buf_ring_add(group->entries, ring_buffer(ring, index, buffer), (unsigned)group->size,
                          buffer, io_uring_buf_ring_mask(group->count), (int)group->returned++);
    assert(group->returned <= group->count);
    group->lent[buffer] = false;
}

static void buffers_publish(struct ring *ring)
{
    for (unsigned i = 0; i < RING_GROUPS; i++) {
        struct group *group = &ring->groups[i];
        if (group->returned > 0)
            io_uring_buf_ring_advance(group->entries, (int)group->returned);
        group->returned = 0;
    }
}

int ring_file(struct ring *ring, unsigned place, int fd)
{
    assert(place < ring->files);
    int error = ring_submit(ring);
    if (error < 0)
        return error;
    int done = io_uring_register_files_update(&ring->uring, place, &fd, 1);
    return done < 0 ? done : 0;
}

// io_uring_get_sqe without what other kinds of rings need.
static inline struct io_uring_sqe *request_queued(struct io_uring_sq *sq)
{
    unsigned head = __atomic_load_n(sq->khead, __ATOMIC_RELAXED);
    if (sq->sqe_tail - head >= sq->ring_entries)
        return NULL;
    return &sq->sqes[sq->sqe_tail++ & sq->ring_mask];
}

[[gnu::noinline]] static struct io_uring_sqe *request_after_others(struct ring *ring)
{
    struct io_uring_sqe *sqe = NULL;
    while (!sqe) {
        int submitted = ring_submit(ring);
        assert(submitted >= 0);
        sqe = request_queued(&ring->uring.sq);
    }
    return sqe;
}

// A free request; where none is left, the queued ones go to the kernel first.
static inline struct io_uring_sqe *request(struct ring *ring, uint64_t tag)
{
    struct io_uring_sqe *sqe = request_queued(&ring->uring.sq);
    if (!sqe)
        sqe = request_after_others(ring);
    // The prep functions do not touch it.
    sqe->user_data = tag;
    return sqe;
}

void ring_receive_from(struct ring *ring, unsigned place, unsigned group, bool local, uint64_t tag)
{
    assert(place < ring->files && group < RING_GROUPS);
    struct io_uring_sqe *sqe = request(ring, tag);
    struct msghdr *form = local ? &ring->local_form : &ring->plain_form;
    io_uring_prep_recvmsg_multishot(sqe, (int)place, form, 0);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    sqe->buf_group = (__u16)group;
}

// The address in an IP_PKTINFO or IPV6_PKTINFO option.
static const void *local_find(struct io_uring_recvmsg_out *out, struct msghdr *form)
{
    struct cmsghdr *option = io_uring_recvmsg_cmsg_firsthdr(out, form);
    for (; option; option = io_uring_recvmsg_cmsg_nexthdr(out, form, option)) {
        void *data = CMSG_DATA(option);
        if (option->cmsg_level == IPPROTO_IP && option->cmsg_type == IP_PKTINFO)
            return &((struct in_pktinfo *)data)->ipi_addr;
        if (option->cmsg_level == IPPROTO_IPV6 && option->cmsg_type == IPV6_PKTINFO)
            return &((struct in6_pktinfo *)data)->ipi6_addr;
    }
    return NULL;
}

bool ring_datagram(struct ring *ring, const struct ring_event *event, unsigned group, bool local,
                   struct datagram *datagram)
{
    uint8_t *buffer = ring_buffer(ring, group, ring_event_buffer(event));
    struct msghdr *form = local ? &ring->local_form : &ring->plain_form;
    struct io_uring_recvmsg_out *out = io_uring_recvmsg_validate(buffer, event->result, form);
    if (!out || out->namelen > NAME_ROOM)
        return false;
    datagram->from = io_uring_recvmsg_name(out);
    datagram->bytes = io_uring_recvmsg_payload(out, form);
    datagram->len = io_uring_recvmsg_payload_length(out, event->result, form);
    datagram->cut = out->flags & MSG_TRUNC;
    datagram->local = local ? local_find(out, form) : NULL;
    return !local || datagram->local;
}

void ring_receive(struct ring *ring, int fd, unsigned group, uint64_t tag)
{
    assert(fd >= 0 && group < RING_GROUPS);
    struct io_uring_sqe *sqe = request(ring, tag);
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = (__u16)group;
}

void ring_stream_receive(struct ring *ring, int fd, unsigned group, uint64_t tag)
{
    assert(fd >= 0 && group < RING_GROUPS);
    struct io_uring_sqe *sqe = request(ring, tag);
    io_uring_prep_recv(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = (__u16)group;
}

void ring_cancel(struct ring *ring, uint64_t tag, uint64_t own_tag)
{
    struct io_uring_sqe *sqe = request(ring, own_tag);
    io_uring_prep_cancel64(sqe, tag, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void ring_close_fd(struct ring *ring, int fd, uint64_t tag)
{
    assert(fd >= 0);
    struct io_uring_sqe *sqe = request(ring, tag);
    io_uring_prep_close(sqe, fd);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    // If this fails so does the next wait, which says so.
    if (++ring->closes >= RING_CLOSES_MAX)
        (void)!ring_submit(ring);
}

void ring_send_to(struct ring *ring, unsigned place, const void *bytes, size_t len,
                  const struct sockaddr *to, uint64_t tag)
{
    assert(place < ring->files && len > 0);
    // An address on a plain send is cheaper than a sendmsg (6.0).
    *request(ring, tag) = (struct io_uring_sqe){
        .opcode = IORING_OP_SEND,
        .flags = IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS,
        .fd = (int)place,
        .addr = (uintptr_t)bytes,
        .len = (uint32_t)len,
        .msg_flags = MSG_DONTWAIT,
        .addr2 = (uintptr_t)to,
        .addr_len =
            to->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6),
        .user_data = tag,
    };
}

// What a sendmsg needs, laid out one behind the other.
struct send_form {
    struct msghdr message;
    struct iovec octets;
    _Alignas(struct cmsghdr) uint8_t option[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};
_Static_assert(sizeof(struct send_form) <= RING_FORM_SIZE, "uring.h must know its size");

static void local_set(struct msghdr *message, const struct sockaddr *to, const uint8_t local[16])
{
    struct cmsghdr *option = message->msg_control;
    if (to->sa_family == AF_INET) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, local, sizeof info.ipi_spec_dst);
        *option = (struct cmsghdr){CMSG_LEN(sizeof info), IPPROTO_IP, IP_PKTINFO};
        memcpy(CMSG_DATA(option), &info, sizeof info);
        message->msg_controllen = CMSG_SPACE(sizeof info);
        return;
    }
    struct in6_pktinfo info = {0};
    memcpy(&info.ipi6_addr, local, sizeof info.ipi6_addr);
    *option = (struct cmsghdr){CMSG_LEN(sizeof info), IPPROTO_IPV6, IPV6_PKTINFO};
    memcpy(CMSG_DATA(option), &info, sizeof info);
    message->msg_controllen = CMSG_SPACE(sizeof info);
}

void ring_send_from(struct ring *ring, unsigned place, const void *bytes, size_t len,
                    const struct sockaddr *to, const uint8_t local[16], void *room, uint64_t tag)
{
    struct send_form *form = room;
    assert(place < ring->files && len > 0 && (uintptr_t)room % _Alignof(struct send_form) == 0);
    memset(form, 0, sizeof *form);
    form->octets = (struct iovec){(void *)(uintptr_t)bytes, len};
    form->message = (struct msghdr){
        .msg_name = (void *)(uintptr_t)to,
        .msg_namelen =
            to->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6),
        .msg_iov = &form->octets,
        .msg_iovlen = 1,
        .msg_control = form->option,
    };
    local_set(&form->message, to, local);
    struct io_uring_sqe *sqe = request(ring, tag);
    io_uring_prep_sendmsg(sqe, (int)place, &form->message, MSG_DONTWAIT);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
}

void ring_send(struct ring *ring, int fd, const void *bytes, size_t len, uint64_t tag)
{
    assert(fd >= 0 && len > 0);
    struct io_uring_sqe *sqe = request(ring, tag);
    io_uring_prep_send(sqe, fd, bytes, len, MSG_DONTWAIT);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void ring_accept(struct ring *ring, int fd, uint64_t tag)
{
    assert(fd >= 0);
    io_uring_prep_multishot_accept(request(ring, tag), fd, NULL, NULL, SOCK_CLOEXEC);
}

void ring_connect(struct ring *ring, int fd, const struct sockaddr *to, unsigned to_len,
                  uint64_t tag)
{
    assert(fd >= 0);
    io_uring_prep_connect(request(ring, tag), fd, to, to_len);
}

void ring_stream_send(struct ring *ring, int fd, const void *bytes, size_t len, uint64_t tag)
{
    assert(fd >= 0 && len > 0); // nothing sent would look like an end
    io_uring_prep_send(request(ring, tag), fd, bytes, len, MSG_NOSIGNAL);
}

void ring_wake(struct ring *ring, int other_fd, uint64_t event_tag, uint64_t tag)
{
    struct io_uring_sqe *sqe = request(ring, tag);
    io_uring_prep_msg_ring(sqe, other_fd, 0, event_tag, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void ring_watch(struct ring *ring, int fd, uint64_t tag)
{
    io_uring_prep_poll_add(request(ring, tag), fd, POLLIN);
}

void ring_end(struct ring *ring)
{
    struct io_uring_sync_cancel_reg all = {
        .flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
        .timeout = {.tv_sec = 1},
    };
    if (ring_submit(ring) < 0)
        return;
    (void)io_uring_register_sync_cancel(&ring->uring, &all); // fails if there is nothing
    (void)io_uring_unregister_files(&ring->uring);
    // A cancelled request lets go of its socket when its last event is made.
    for (int i = 0; i < ENDING_ROUNDS; i++) {
        io_uring_get_events(&ring->uring);
        io_uring_cq_advance(&ring->uring, io_uring_cq_ready(&ring->uring));
    }
}

int ring_submit(struct ring *ring)
{
    buffers_publish(ring);
    ring->closes = 0;
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

// Copies completions, which lie in a circle.
static unsigned events_take(struct ring *ring, struct ring_event *events, unsigned event_max)
{
    const struct io_uring_cq *cq = &ring->uring.cq;
    unsigned ready = io_uring_cq_ready(&ring->uring);
    unsigned count = ready < event_max ? ready : event_max;
    unsigned first = *cq->khead & cq->ring_mask;
    unsigned straight = cq->ring_entries - first < count ? cq->ring_entries - first : count;
    memcpy(events, cq->cqes + first, straight * sizeof *events);
    memcpy(events + straight, cq->cqes, (count - straight) * sizeof *events);
    io_uring_cq_advance(&ring->uring, count);
    return count;
}

int ring_wait(struct ring *ring, uint64_t timeout_us, struct ring_event *events, unsigned event_max)
{
    struct __kernel_timespec timeout = {
        .tv_sec = (long long)(timeout_us / 1000000),
        .tv_nsec = (long long)(timeout_us % 1000000) * 1000,
    };
    struct io_uring_cqe *cqe;
    buffers_publish(ring);
    ring->closes = 0;
    int error = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1,
                                                 timeout_us == UINT64_MAX ? NULL : &timeout, NULL);
    if (error < 0 && error != -ETIME && error != -EINTR && error != -EAGAIN && error != -EBUSY)
        return error;
    // What did not fit is handed over now, so that its octets are free when this returns.
    error = ring_submit(ring);
    if (error < 0)
        return error;

    return (int)events_take(ring, events, event_max);
}
