// SPDX-License-Identifier: MIT
#include "io/edge/http.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct MHD_Daemon *http_start(int fd, unsigned connections_max, unsigned idle_s,
                              MHD_AccessHandlerCallback take, void *context)
{
    return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, take,
                            context, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                            connections_max, MHD_OPTION_CONNECTION_TIMEOUT, idle_s, MHD_OPTION_END);
}

void http_stop(struct MHD_Daemon *http, int fd)
{
    // A socket that the library has let go of is not closed by it.
    if (http) {
        (void)MHD_quiesce_daemon(http);
        MHD_stop_daemon(http);
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
