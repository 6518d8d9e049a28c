// SPDX-License-Identifier: MIT
#pragma once
#include <microhttpd.h>
#include <stdbool.h>

// What the HTTP servers of ouzel share, the stats address and the control socket: each is a
// libmicrohttpd with a thread of its own that answers one request after the other.
//
// There are never more than `connections_max` connections. One more closes the connection that has
// been idle longest, of the peer address with the most connections. So a peer that opens
// connections and sends nothing closes its own, and delays no other peer's request.

struct http; // opaque

#define HTTP_CONNECTIONS_MAX 64

// The handler of requests: `take` is libmicrohttpd's callback, and `closed` (NULL: none) is called
// when a connection has been closed. Both are called with the context, in the server's thread.
struct http_handler {
    MHD_AccessHandlerCallback take;
    void (*closed)(void *context, const struct MHD_Connection *connection);
    void *context;
};

// Serves the listening socket, with up to `connections_max` (at most HTTP_CONNECTIONS_MAX)
// connections, each closed after `idle_s` seconds of silence. NULL: there is no memory or no
// thread, and the socket is still the caller's to close.
[[nodiscard]] struct http *http_start(int fd, unsigned connections_max, unsigned idle_s,
                                      const struct http_handler *handler);

// Accepts no more connections. The others go on, and the socket stays open.
void http_yield(struct http *http);

// Ends the server, where it was started (not NULL), and closes the socket.
void http_stop(struct http *http, int fd);

// For the beginning of `take`, with its arguments: true once the whole request has arrived. Its
// body is skipped. Until then `take` returns MHD_YES; answering after the first call keeps the
// connection alive.
[[nodiscard]] bool http_is_whole(size_t *upload_len, void **state);

// Answers with a body from malloc, which is freed in any case; or with a constant text.
[[nodiscard]] enum MHD_Result http_respond(struct MHD_Connection *connection, unsigned status,
                                           const char *type, char *body, size_t len);
[[nodiscard]] enum MHD_Result http_respond_text(struct MHD_Connection *connection, unsigned status,
                                                const char *text);
