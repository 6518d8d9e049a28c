// SPDX-License-Identifier: MIT
#include "io/edge/dnstap.h"

#include "io/dnstap.pb-c.h"

#include <fstrm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <time.h>

// A reader may keep fstrm's thread waiting for ever, and with it the caller that ends it. So a
// separate thread ends it, and is abandoned if that takes too long.

enum {
    QUEUE_SIZE = 16384, // messages; a power of two
    CLOSE_MS = 500,
};

static const char content_type[] = "protobuf:dnstap.Dnstap";

struct dnstap {
    struct fstrm_iothr *thread;
    struct fstrm_iothr_queue *queue;
    char identity[256];
};

static struct fstrm_writer *writer_make(const char *path)
{
    struct fstrm_unix_writer_options *where = fstrm_unix_writer_options_init();
    struct fstrm_writer_options *what = fstrm_writer_options_init();
    fstrm_unix_writer_options_set_socket_path(where, path);
    fstrm_writer_options_add_content_type(what, content_type, sizeof content_type - 1);
    struct fstrm_writer *writer = fstrm_unix_writer_init(where, what);
    fstrm_unix_writer_options_destroy(&where);
    fstrm_writer_options_destroy(&what);
    return writer;
}

static struct fstrm_iothr *thread_make(struct fstrm_writer **writer)
{
    struct fstrm_iothr_options *options = fstrm_iothr_options_init();
    fstrm_iothr_options_set_input_queue_size(options, QUEUE_SIZE);
    fstrm_iothr_options_set_reopen_interval(options, 1);
    fstrm_iothr_options_set_flush_timeout(options, 1);
    struct fstrm_iothr *thread = fstrm_iothr_init(options, writer);
    fstrm_iothr_options_destroy(&options);
    return thread;
}

struct dnstap *dnstap_open(const char *path, const char *identity, char why[static DNSTAP_WHY_SIZE])
{
    if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path) {
        snprintf(why, DNSTAP_WHY_SIZE, "queries.dnstap: the path %s is too long for a socket",
                 path);
        return NULL;
    }
    struct dnstap *dnstap = calloc(1, sizeof *dnstap);
    struct fstrm_writer *writer = writer_make(path);
    if (dnstap && writer)
        dnstap->thread = thread_make(&writer);
    if (dnstap && dnstap->thread)
        dnstap->queue = fstrm_iothr_get_input_queue(dnstap->thread);
    if (dnstap && dnstap->queue) {
        snprintf(dnstap->identity, sizeof dnstap->identity, "%s", identity);
        return dnstap;
    }
    snprintf(why, DNSTAP_WHY_SIZE, "queries.dnstap: no memory or no thread");
    if (dnstap && dnstap->thread)
        fstrm_iothr_destroy(&dnstap->thread);
    fstrm_writer_destroy(&writer);
    free(dnstap);
    return NULL;
}

static ProtobufCBinaryData octets_of(const void *bytes, size_t len)
{
    return (ProtobufCBinaryData){.len = len, .data = (uint8_t *)(uintptr_t)bytes};
}

static ProtobufCBinaryData ip_of(const struct address *address)
{
    return octets_of(address->ip, address->family == ADDRESS_IPV4 ? 4 : 16);
}

static void message_fill(Dnstap__Message *message, const struct logged_answer *logged,
                         const struct client *client)
{
    message->type = DNSTAP__MESSAGE__TYPE__CLIENT_RESPONSE;
    message->has_socket_family = true;
    message->socket_family = client->from.family == ADDRESS_IPV4 ? DNSTAP__SOCKET_FAMILY__INET
                                                                 : DNSTAP__SOCKET_FAMILY__INET6;
    message->has_socket_protocol = true;
    message->socket_protocol = client->transport == TRANSPORT_TCP ? DNSTAP__SOCKET_PROTOCOL__TCP
                                                                  : DNSTAP__SOCKET_PROTOCOL__UDP;
    message->has_query_address = true;
    message->query_address = ip_of(&client->from);
    message->has_response_address = true;
    message->response_address = ip_of(&logged->at);
    message->has_query_port = true;
    message->query_port = client->from.port;
    message->has_response_port = true;
    message->response_port = logged->at.port;
    message->has_query_time_sec = true;
    message->query_time_sec = logged->since_us / 1000000;
    message->has_query_time_nsec = true;
    message->query_time_nsec = (uint32_t)(logged->since_us % 1000000) * 1000;
    message->has_response_time_sec = true;
    message->response_time_sec = logged->now_us / 1000000;
    message->has_response_time_nsec = true;
    message->response_time_nsec = (uint32_t)(logged->now_us % 1000000) * 1000;
}

bool dnstap_tell(struct dnstap *dnstap, const struct logged_answer *logged,
                 const struct client *client, const uint8_t *reply, size_t len)
{
    static const char version[] = "ouzel " OUZEL_VERSION;
    Dnstap__Message message = DNSTAP__MESSAGE__INIT;
    Dnstap__Dnstap frame = DNSTAP__DNSTAP__INIT;
    message_fill(&message, logged, client);
    message.has_response_message = true;
    message.response_message = octets_of(reply, len);
    frame.type = DNSTAP__DNSTAP__TYPE__MESSAGE;
    frame.message = &message;
    frame.has_version = true;
    frame.version = octets_of(version, sizeof version - 1);
    frame.has_identity = dnstap->identity[0] != '\0';
    frame.identity = octets_of(dnstap->identity, strlen(dnstap->identity));

    size_t size = dnstap__dnstap__get_packed_size(&frame);
    uint8_t *bytes = malloc(size);
    if (!bytes)
        return false;
    dnstap__dnstap__pack(&frame, bytes);
    if (fstrm_iothr_submit(dnstap->thread, dnstap->queue, bytes, size, fstrm_free_wrapper, NULL) ==
        fstrm_res_success)
        return true;
    free(bytes);
    return false;
}

static void *destroy(void *argument)
{
    struct dnstap *dnstap = argument;
    fstrm_iothr_destroy(&dnstap->thread);
    free(dnstap);
    return NULL;
}

void dnstap_close(struct dnstap *dnstap)
{
    pthread_t closing;
    struct timespec until;
    if (!dnstap || pthread_create(&closing, NULL, destroy, dnstap) != 0)
        return;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += CLOSE_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (pthread_timedjoin_np(closing, NULL, &until) != 0)
        pthread_detach(closing);
}
