// SPDX-License-Identifier: MIT
#include "io/edge/http.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// A connection's place in the table is its socket context with libmicrohttpd. All of it is the
// server's thread's own.

enum { LIMIT_SPARE = 8 }; // connections that are being closed, and count until they are

struct peer {
    int fd; // -1: the place is free
    bool closing;
    uint64_t since; // its last request, or its beginning: a count of such events
    sa_family_t family;
    uint8_t ip[16];
};

struct http {
    struct MHD_Daemon *daemon;
    struct http_handler handler;
    unsigned connections_max;
    uint64_t now; // events so far
    struct peer peers[HTTP_CONNECTIONS_MAX + LIMIT_SPARE];
};

enum { PEERS = HTTP_CONNECTIONS_MAX + LIMIT_SPARE };

static bool is_open(const struct peer *peer)
{
    return peer->fd >= 0 && !peer->closing;
}

static bool same_address(const struct peer *a, const struct peer *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

// How many connections the peer's address has.
static unsigned share_of(const struct http *http, const struct peer *peer)
{
    unsigned count = 0;
    for (size_t i = 0; i < PEERS; i++)
        count += is_open(&http->peers[i]) && same_address(&http->peers[i], peer);
    return count;
}

// Closes one connection where there are more than there may be. The library sees its end.
static void one_close(struct http *http)
{
    struct peer *worst = NULL;
    unsigned count = 0, worst_share = 0;
    for (size_t i = 0; i < PEERS; i++) {
        struct peer *peer = &http->peers[i];
        unsigned share = is_open(peer) ? share_of(http, peer) : 0;
        count += share > 0;
        if (share > worst_share ||
            (share > 0 && share == worst_share && peer->since < worst->since)) {
            worst = peer;
            worst_share = share;
        }
    }
    if (count <= http->connections_max)
        return;
    worst->closing = true;
    (void)shutdown(worst->fd, SHUT_RDWR);
}

static void address_store(struct peer *peer, const struct sockaddr *address)
{
    const struct sockaddr_in *in = (const void *)address;
    const struct sockaddr_in6 *in6 = (const void *)address;
    peer->family = address ? address->sa_family : AF_UNSPEC;
    memset(peer->ip, 0, sizeof peer->ip);
    if (peer->family == AF_INET)
        memcpy(peer->ip, &in->sin_addr, sizeof in->sin_addr);
    else if (peer->family == AF_INET6)
        memcpy(peer->ip, &in6->sin6_addr, sizeof in6->sin6_addr);
}

static void connection_changed(void *context, struct MHD_Connection *connection, void **place,
                               enum MHD_ConnectionNotificationCode what)
{
    struct http *http = context;
    struct peer *peer = *place;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (http->handler.closed)
            http->handler.closed(http->handler.context, connection);
        if (peer)
            peer->fd = -1;
        return;
    }
    for (size_t i = 0; i < PEERS && !peer; i++) {
        if (http->peers[i].fd < 0)
            peer = &http->peers[i];
    }
    if (!peer)
        return; // the library's own limit leaves room for all
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *from =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    *peer = (struct peer){.fd = fd->connect_fd, .since = http->now++};
    address_store(peer, from ? from->client_addr : NULL);
    *place = peer;
    one_close(http);
}

// The head of each request: its connection has said something.
static enum MHD_Result request_receive(void *context, struct MHD_Connection *connection,
                                       const char *url, const char *method, const char *version,
                                       const char *upload, size_t *upload_len, void **state)
{
    struct http *http = context;
    const union MHD_ConnectionInfo *place =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct peer *peer = place ? place->socket_context : NULL;
    if (peer)
        peer->since = http->now++;
    return http->handler.take(http->handler.context, connection, url, method, version, upload,
                              upload_len, state);
}

struct http *http_start(int fd, unsigned connections_max, unsigned idle_s,
                        const struct http_handler *handler)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return NULL;
    assert(connections_max <= HTTP_CONNECTIONS_MAX);
    http->handler = *handler;
    http->connections_max = connections_max;
    for (size_t i = 0; i < PEERS; i++)
        http->peers[i].fd = -1;
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        request_receive, http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        connections_max + LIMIT_SPARE, MHD_OPTION_CONNECTION_TIMEOUT, idle_s,
        MHD_OPTION_NOTIFY_CONNECTION, connection_changed, http, MHD_OPTION_END);
    if (http->daemon)
        return http;
    free(http);
    return NULL;
}

void http_yield(struct http *http)
{
    (void)MHD_quiesce_daemon(http->daemon);
}

void http_stop(struct http *http, int fd)
{
    // A socket that the library has let go of is not closed by it.
    if (http) {
        http_yield(http);
        MHD_stop_daemon(http->daemon);
        free(http);
    }
    close(fd);
}

bool http_is_whole(size_t *upload_len, void **state)
{
    static const char seen;
    bool first = !*state; // has only the headers
    *state = (void *)(uintptr_t)&seen;
    if (first || *upload_len == 0)
        return !first;
    *upload_len = 0;
    return false;
}

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status, const char *type,
                               struct MHD_Response *response)
{
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result http_respond(struct MHD_Connection *connection, unsigned status, const char *type,
                             char *body, size_t len)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
    if (response)
        return respond(connection, status, type, response);
    free(body);
    return MHD_NO;
}

enum MHD_Result http_respond_text(struct MHD_Connection *connection, unsigned status,
                                  const char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), (char *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    return response ? respond(connection, status, "text/plain; charset=utf-8", response) : MHD_NO;
}
