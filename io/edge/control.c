// SPDX-License-Identifier: MIT
#include "io/edge/control.h"

#include "core/wire/text.h"
#include "io/edge/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 16, IDLE_TIMEOUT_S = 60, BACKLOG = 128 };

struct control {
    struct daemon *daemon;
    struct http *http;
    int fd;
    bool owned;       // the path is this process's to remove
    struct stat made; // what is there then
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

// --- orders --------------------------------------------------------------------------------------

// What came with an order. A parameter is NULL where it was not given, "" without a value.
struct request {
    struct daemon *daemon;
    struct MHD_Connection *connection;
    bool json;
    FILE *report;
};

static const char *parameter(const struct request *r, const char *name)
{
    const char *value = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
    bool there = value || MHD_lookup_connection_value_n(r->connection, MHD_GET_ARGUMENT_KIND, name,
                                                        strlen(name), NULL, NULL) == MHD_YES;
    return value ? value : there ? "" : NULL;
}

// Reads the parameter `name` as a domain name, in lower case.
static bool name_take(const struct request *r, struct name *name)
{
    const char *text = parameter(r, "name");
    if (text && name_parse(name, text, strlen(text)))
        return true;
    fprintf(r->report, "\"%s\" is no domain name\n", text ? text : "");
    return false;
}

static bool order_stats(const struct request *r)
{
    return daemon_stats(r->daemon, r->json, r->report);
}

static bool order_upstreams(const struct request *r)
{
    return daemon_upstreams(r->daemon, r->json, r->report);
}

static bool order_top(const struct request *r)
{
    return daemon_top(r->daemon, r->json, r->report);
}

static bool order_flush(const struct request *r)
{
    struct name name;
    if (parameter(r, "all"))
        return daemon_flush(r->daemon, FLUSH_ALL, NULL, r->report);
    return name_take(r, &name) &&
           daemon_flush(r->daemon, parameter(r, "subtree") ? FLUSH_SUBTREE : FLUSH_NAME, &name,
                        r->report);
}

static bool order_explain(const struct request *r)
{
    struct name name;
    struct address client;
    const char *type_text = parameter(r, "type"), *client_text = parameter(r, "client");
    if (!name_take(r, &name))
        return false;
    uint16_t type = type_text ? text_type_read(type_text, strlen(type_text)) : TYPE_A;
    if (type == 0) {
        fprintf(r->report, "\"%s\" is no type: give one such as AAAA or TYPE28\n", type_text);
        return false;
    }
    if (client_text && !address_parse(&client, client_text, strlen(client_text), 0)) {
        fprintf(r->report, "\"%s\" is no address\n", client_text);
        return false;
    }
    return daemon_explain(r->daemon, &name, type, client_text ? &client : NULL, r->json, r->report);
}

static bool order_reload(const struct request *r)
{
    return daemon_reload(r->daemon, r->report);
}

static bool order_upgrade(const struct request *r)
{
    return daemon_upgrade(r->daemon, r->report);
}

static bool order_drain(const struct request *r)
{
    return daemon_drain(r->daemon, r->report);
}

static bool order_snapshot(const struct request *r)
{
    return daemon_snapshot(r->daemon, r->report);
}

static bool order_log(const struct request *r)
{
    const char *level = parameter(r, "level");
    return daemon_log_level(r->daemon, level ? level : "", r->report);
}

const struct order orders[] = {
    {"stats", "", "all counters and gauges", {NULL}, {NULL}, false},
    {"upstreams", "", "how fast, how lossy and how well each upstream is", {NULL}, {NULL}, false},
    {"top", "", "what is asked for most, by whom, and what fails most", {NULL}, {NULL}, false},
    {"explain",
     "NAME [TYPE] [--client ADDR]",
     "what is known of a question, and what would come of it now",
     {"name", "type"},
     {"client="},
     false},
    {"flush",
     "NAME [--subtree] | --all",
     "forget what is kept of a name, of all below it, or all",
     {"name"},
     {"subtree", "all"},
     true},
    {"reload", "", "read the settings and the files that they name anew", {NULL}, {NULL}, true},
    {"upgrade",
     "",
     "have the program as it is on the disk now take over, without a pause",
     {NULL},
     {NULL},
     true},
    {"drain",
     "",
     "say at /readyz that nobody should come, and end when nobody asks any more",
     {NULL},
     {NULL},
     true},
    {"snapshot", "", "write the answers to the file of cache.snapshot", {NULL}, {NULL}, true},
    {"log",
     "LEVEL",
     "log what is as urgent as this: error, warning, info, debug",
     {"level"},
     {NULL},
     true},
    {0},
};

static bool (*const doers[])(const struct request *r) = {
    order_stats,  order_upstreams, order_top,   order_explain,  order_flush,
    order_reload, order_upgrade,   order_drain, order_snapshot, order_log,
};

// --- HTTP ----------------------------------------------------------------------------------------

static enum MHD_Result order_do(const struct control *control, struct MHD_Connection *connection,
                                size_t which)
{
    char *body = NULL;
    size_t len = 0;
    struct request request = {.daemon = control->daemon, .connection = connection};
    request.json = parameter(&request, "json") != NULL;
    request.report = open_memstream(&body, &len);
    if (!request.report)
        return MHD_NO;
    bool good = doers[which](&request);
    if (fclose(request.report) != 0) {
        free(body);
        return MHD_NO;
    }
    const char *type = good && request.json ? "application/json" : "text/plain; charset=utf-8";
    return http_respond(connection, good ? MHD_HTTP_OK : MHD_HTTP_BAD_REQUEST, type, body, len);
}

static enum MHD_Result take(void *context, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload,
                            size_t *upload_len, void **state)
{
    (void)version;
    (void)upload;
    if (!http_is_whole(upload_len, state))
        return MHD_YES;
    for (size_t i = 0; orders[i].name; i++) {
        if (url[0] != '/' || strcmp(url + 1, orders[i].name) != 0)
            continue;
        const char *wanted = orders[i].changes ? MHD_HTTP_METHOD_POST : MHD_HTTP_METHOD_GET;
        if (strcmp(method, wanted) != 0)
            return http_respond_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                                     orders[i].changes ? "this changes something: use POST\n"
                                                       : "this changes nothing: use GET\n");
        return order_do(context, connection, i);
    }
    return http_respond_text(connection, MHD_HTTP_NOT_FOUND,
                             "there is no such order; see `ouzel help ctl`\n");
}

// --- the socket ----------------------------------------------------------------------------------

// Is it a stream socket at which no process listens any more? Only that is known to be left over:
// one of another type, or one that may not be asked, is somebody's.
static bool is_dead(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool dead = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return dead;
}

// Binds; what a process that is no more has left there is put aside.
static int bind_at(int fd, const struct sockaddr_un *address)
{
    struct stat status;
    mode_t before = umask(S_IRWXO | S_IXUSR | S_IXGRP); // 0660, from its first moment on
    int error = bind(fd, (const struct sockaddr *)address, sizeof *address) != 0 ? -errno : 0;
    if (error == -EADDRINUSE && lstat(address->sun_path, &status) == 0 &&
        S_ISSOCK(status.st_mode) && is_dead(address) && unlink(address->sun_path) == 0)
        error = bind(fd, (const struct sockaddr *)address, sizeof *address) != 0 ? -errno : 0;
    umask(before);
    return error;
}

static int listen_at(const struct sockaddr_un *address, int *fd)
{
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = *fd < 0 ? -errno : bind_at(*fd, address);
    if (error == 0 && listen(*fd, BACKLOG) != 0)
        error = -errno;
    if (error < 0 && *fd >= 0)
        close(*fd);
    return error;
}

void control_own(struct control *control)
{
    control->owned = lstat(control->path, &control->made) == 0;
}

struct control *control_open(const char *path, int *fd, char why[static CONTROL_WHY_SIZE])
{
    struct control *control = calloc(1, sizeof *control);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int error = control ? 0 : -ENOMEM;
    if (error == 0 && strlen(path) >= sizeof address.sun_path)
        error = -ENAMETOOLONG;
    if (error == 0) {
        memcpy(address.sun_path, path, strlen(path) + 1);
        memcpy(control->path, path, strlen(path) + 1);
        control->fd = *fd;
        bool taken = *fd >= 0;
        error = taken ? 0 : listen_at(&address, &control->fd);
        *fd = -1;
        if (error == 0 && !taken)
            control_own(control);
    }
    if (error == 0)
        return control;
    snprintf(why, CONTROL_WHY_SIZE, "cannot take orders at %s: %s", path,
             error == -EADDRINUSE ? "another program listens there" : strerror(-error));
    free(control);
    return NULL;
}

bool control_start(struct control *control, struct daemon *daemon,
                   char why[static CONTROL_WHY_SIZE])
{
    control->daemon = daemon;
    control->http = http_start(control->fd, CONNECTIONS_MAX, IDLE_TIMEOUT_S, take, control);
    if (!control->http) {
        snprintf(why, CONTROL_WHY_SIZE, "cannot start the control server");
        return false;
    }
    return true;
}

// Whatever else may have been put there is not ours.
static void path_remove(const struct control *control)
{
    struct stat status;
    if (control->owned && lstat(control->path, &status) == 0 && S_ISSOCK(status.st_mode) &&
        status.st_dev == control->made.st_dev && status.st_ino == control->made.st_ino)
        (void)unlink(control->path);
}

void control_close(struct control *control)
{
    if (!control)
        return;
    // Nobody is to connect to what ends.
    path_remove(control);
    http_stop(control->http, control->fd);
    free(control);
}

int control_fd(const struct control *control)
{
    return control->fd;
}

void control_yield(struct control *control)
{
    control->owned = false;
    http_yield(control->http);
}
