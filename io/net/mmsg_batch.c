// SPDX-License-Identifier: MIT
#include "io/net/mmsg_batch.h"

#include "io/net/sockaddr.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

// In front of a datagram with its addresses stand the sender's and, behind that, the option with
// the local one.
enum {
    NAME_ROOM = 32, // a multiple of 8, so that the option behind it is aligned
};
_Static_assert(NAME_ROOM >= sizeof(struct sockaddr_in6) &&
                   NAME_ROOM + PACKET_INFO_ROOM <= NET_DATAGRAM_HEAD,
               "net_engine.h must know how much stands in front of a datagram");

int receive_batch_init(struct receive_batch *batch, struct net_group *group)
{
    *batch = (struct receive_batch){.group = group};
    if (group->count == 0)
        return 0;
    batch->free = calloc(group->count, sizeof *batch->free);
    return batch->free ? 0 : -ENOMEM;
}

void receive_batch_free(struct receive_batch *batch)
{
    free(batch->free);
}

void receive_batch_returned(struct receive_batch *batch)
{
    struct net_group *group = batch->group;
    assert(batch->free_count + group->returned_count <= group->count);
    for (unsigned i = group->returned_count; i-- > 0;)
        batch->free[batch->free_count++] = group->returned[i];
    group->returned_count = 0;
}

static uint8_t *buffer_at(const struct receive_batch *batch, uint16_t buffer)
{
    assert(buffer < batch->group->count && !batch->group->lent[buffer]);
    return batch->group->bytes + buffer * batch->group->size;
}

// Has the message with this number use a buffer.
static void message_set(struct receive_batch *batch, unsigned number, uint16_t buffer)
{
    uint8_t *bytes = buffer_at(batch, buffer);
    struct msghdr *message = &batch->messages[number].msg_hdr;
    batch->buffers[number] = buffer;
    *message = (struct msghdr){.msg_iov = &batch->parts[number], .msg_iovlen = 1};
    if (!batch->group->addresses) {
        batch->parts[number] = (struct iovec){bytes, batch->group->size};
        return;
    }
    message->msg_name = bytes;
    message->msg_namelen = NAME_ROOM;
    message->msg_control = bytes + NAME_ROOM;
    message->msg_controllen = PACKET_INFO_ROOM;
    batch->parts[number] =
        (struct iovec){bytes + NET_DATAGRAM_HEAD, batch->group->size - NET_DATAGRAM_HEAD};
}

// Has as many messages as can be, from the first one on, have buffers.
static void messages_fill(struct receive_batch *batch)
{
    unsigned place = 0;
    while (place < batch->first && batch->free_count > 0)
        message_set(batch, place++, batch->free[--batch->free_count]);
    if (place < batch->first) { // close the gap
        for (unsigned i = batch->first; i < batch->end; i++)
            message_set(batch, place++, batch->buffers[i]);
        batch->end = place;
    }
    batch->first = 0;
    while (batch->end < MMSG_BATCH && batch->free_count > 0)
        message_set(batch, batch->end++, batch->free[--batch->free_count]);
}

static void buffer_lend(struct receive_batch *batch, struct net_event *event, uint16_t buffer)
{
    assert(!batch->group->lent[buffer]);
    batch->group->lent[buffer] = true;
    event->buffer = buffer;
    event->lent = true;
}

static const void *local_find(struct msghdr *message)
{
    struct cmsghdr *option = CMSG_FIRSTHDR(message);
    for (; option; option = CMSG_NXTHDR(message, option)) {
        const void *address = packet_info_address(option);
        if (address)
            return address;
    }
    return NULL;
}

static void datagram_give(struct receive_batch *batch, unsigned number, bool local,
                          struct net_event *event)
{
    struct msghdr *message = &batch->messages[number].msg_hdr;
    bool named = batch->group->addresses && message->msg_namelen > 0;
    *event = (struct net_event){
        .result = (int32_t)batch->messages[number].msg_len,
        .more = true,
        .cut = message->msg_flags & MSG_TRUNC,
        .bytes = batch->parts[number].iov_base,
        .from = named ? message->msg_name : NULL,
        .local = local ? local_find(message) : NULL,
    };
    buffer_lend(batch, event, batch->buffers[number]);
}

int receive_batch_run(struct receive_batch *batch, int fd, bool local, struct net_event *events,
                      unsigned max, bool *dry)
{
    messages_fill(batch);
    unsigned wanted = batch->end < max ? batch->end : max;
    assert(wanted > 0);
    int count = recvmmsg(fd, batch->messages, wanted, MSG_DONTWAIT, NULL);
    if (count < 0) {
        *dry = errno == EAGAIN;
        return -errno;
    }
    for (unsigned i = 0; i < (unsigned)count; i++)
        datagram_give(batch, i, local, &events[i]);
    batch->first = (unsigned)count;
    *dry = (unsigned)count < wanted;
    return count;
}

// A free buffer; the last message gives up its own where there is no other.
static uint16_t buffer_take(struct receive_batch *batch)
{
    assert(receive_batch_has_buffer(batch));
    return batch->free_count > 0 ? batch->free[--batch->free_count] : batch->buffers[--batch->end];
}

int receive_batch_octets(struct receive_batch *batch, int fd, struct net_event *event, bool *dry)
{
    uint16_t buffer = buffer_take(batch);
    uint8_t *bytes = buffer_at(batch, buffer);
    ssize_t len = recv(fd, bytes, batch->group->size, MSG_DONTWAIT);
    int error = errno;
    if (len <= 0) {
        batch->free[batch->free_count++] = buffer;
        *dry = len < 0 && error == EAGAIN;
        return len < 0 ? -error : 0;
    }
    *event = (struct net_event){.result = (int32_t)len, .bytes = bytes};
    buffer_lend(batch, event, buffer);
    *dry = (size_t)len < batch->group->size;
    return (int)len;
}

void send_batch_add(struct send_batch *batch, const struct net_request *request)
{
    unsigned number = batch->count++;
    assert(number < MMSG_BATCH);
    struct msghdr *message = &batch->messages[number].msg_hdr;
    batch->requests[number] = request;
    batch->parts[number] = (struct iovec){(void *)(uintptr_t)request->bytes, request->len};
    *message = (struct msghdr){
        .msg_iov = &batch->parts[number],
        .msg_iovlen = 1,
    };
    if (request->kind != NET_SEND) {
        message->msg_name = (void *)(uintptr_t)request->to;
        message->msg_namelen = sockaddr_len(request->to);
    }
    if (request->kind == NET_SEND_FROM) {
        message->msg_control = batch->options[number];
        packet_info_set(message, request->to, request->from);
    }
}

void send_batch_run(struct send_batch *batch, int fd,
                    void (*failed)(void *context, uint64_t tag, int error), void *context)
{
    unsigned gone = 0;
    bool full = false;
    while (gone < batch->count) {
        int sent = full ? -1
                        : sendmmsg(fd, batch->messages + gone, batch->count - gone,
                                   MSG_DONTWAIT | MSG_NOSIGNAL);
        int error = full ? EAGAIN : errno;
        if (sent > 0) {
            gone += (unsigned)sent;
            continue;
        }
        if (error == EINTR)
            continue;
        // It is about the first of those that are left. Where there is no room for one there is
        // none for the others.
        full = error == EAGAIN;
        failed(context, batch->requests[gone++]->tag, -error);
    }
    batch->count = 0;
}
