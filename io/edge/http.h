// SPDX-License-Identifier: MIT
#pragma once
#include <microhttpd.h>
#include <stdbool.h>

// What the servers of ouzel that speak HTTP share, the stats address and the control socket: each
// is a libmicrohttpd with a thread of its own that answers one request after the other.

// Has `take` called for what comes to the listening socket. NULL: there is no memory or no thread.
// http_stop ends it, where it was started (not NULL), and closes the socket.
[[nodiscard]] struct MHD_Daemon *http_start(int fd, unsigned connections_max, unsigned idle_s,
                                            MHD_AccessHandlerCallback take, void *context);

void http_stop(struct MHD_Daemon *http, int fd);

// For the head of `take`, with its own arguments: true once the request is there as a whole. What
// came in its body is passed over, as nothing here takes one. Until then `take` returns MHD_YES;
// to answer later than in the first call keeps the connection alive.
[[nodiscard]] bool http_is_whole(size_t *upload_len, void **state);

// Answers with a body from malloc, which is freed in any case; or with a constant text.
[[nodiscard]] enum MHD_Result http_respond(struct MHD_Connection *connection, unsigned status,
                                           const char *type, char *body, size_t len);
[[nodiscard]] enum MHD_Result http_respond_text(struct MHD_Connection *connection, unsigned status,
                                                const char *text);
