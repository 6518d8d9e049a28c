// SPDX-License-Identifier: MIT
#include "io/edge/control.h"

#include "io/edge/http.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 16, IDLE_TIMEOUT_S = 60, BACKLOG = 128 };

struct control {
    const struct order *orders;
    void *context; // of their functions
    struct http *http;
    struct waiting *waiting; // connections whose orders take long
    pthread_mutex_t lock;    // of those and of `ending`
    bool ending;             // no connection is suspended any more
    int fd;
    bool owned;            // the path is this process's to remove
    struct file_mark made; // what is the socket there
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

// --- what came with an order ---------------------------------------------------------------------

const char *order_parameter(const struct order_request *r, const char *name)
{
    const char *value = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
    bool there = value || MHD_lookup_connection_value_n(r->connection, MHD_GET_ARGUMENT_KIND, name,
                                                        strlen(name), NULL, NULL) == MHD_YES;
    return value ? value : there ? "" : NULL;
}

// --- orders that take long -----------------------------------------------------------------------

// A connection whose order takes long. It is suspended until that is over, so that others are heard
// meanwhile. The order's thread and the server's share it; the last of the two frees it.
struct waiting {
    struct control *control;
    struct MHD_Connection *connection; // NULL: gone
    struct waiting *next;
    bool begun;    // the order has it too
    bool answered; // it was resumed, with what follows
    bool good;
    char *text; // from malloc; NULL: empty
    size_t len;
};

static struct waiting *waiting_find(const struct control *control,
                                    const struct MHD_Connection *connection)
{
    struct waiting *w = control->waiting;
    while (w && w->connection != connection)
        w = w->next;
    return w;
}

// No one needs it any more.
static void waiting_free(struct waiting *w)
{
    struct waiting **at = &w->control->waiting;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    free(w->text);
    free(w);
}

// The answer is there. For who has the lock.
static void waiting_answer(struct waiting *w, bool good, char *text, size_t len)
{
    w->answered = true;
    w->good = good;
    w->text = text;
    w->len = len;
    MHD_resume_connection(w->connection);
}

// The order is done.
static void order_done(void *context, bool good, char *text, size_t len)
{
    struct waiting *w = context;
    struct control *control = w->control;
    pthread_mutex_lock(&control->lock);
    w->begun = false;
    if (!w->connection) {
        free(text);
        waiting_free(w);
    } else if (w->answered) {
        free(text); // it has been told that the process ends
    } else {
        waiting_answer(w, good, text, len);
    }
    pthread_mutex_unlock(&control->lock);
}

static const char ending[] = "this process is ending\n";

// Begins it, or answers why not. For who has the lock.
static void waiting_begin(struct control *control, struct waiting *w, const struct order *order)
{
    char *text = NULL;
    size_t len = 0;
    struct order_request request = {
        .context = control->context,
        .report = open_memstream(&text, &len),
        .connection = w->connection,
        .done = order_done,
        .waiting = w,
    };
    w->begun = request.report && order->run(&request);
    if (request.report && fclose(request.report) != 0)
        len = 0;
    if (w->begun)
        free(text); // order_done has the answer
    else
        waiting_answer(w, false, text, len);
}

// The library aborts where it is stopped while a connection is suspended, so none is from the
// moment on at which waiting_end has resumed all.
static enum MHD_Result order_begin(struct control *control, struct MHD_Connection *connection,
                                   const struct order *order)
{
    struct waiting *w = calloc(1, sizeof *w);
    if (!w)
        return MHD_NO;
    pthread_mutex_lock(&control->lock);
    if (control->ending) {
        pthread_mutex_unlock(&control->lock);
        free(w);
        return http_respond_text(connection, MHD_HTTP_BAD_REQUEST, ending);
    }
    *w = (struct waiting){.control = control, .connection = connection, .next = control->waiting};
    control->waiting = w;
    MHD_suspend_connection(connection);
    waiting_begin(control, w, order);
    pthread_mutex_unlock(&control->lock);
    return MHD_YES;
}

static enum MHD_Result text_respond(struct MHD_Connection *connection, bool good, bool json,
                                    char *text, size_t len)
{
    const char *type = good && json ? "application/json" : "text/plain; charset=utf-8";
    return http_respond(connection, good ? MHD_HTTP_OK : MHD_HTTP_BAD_REQUEST, type, text, len);
}

// The connection goes on: with the answer, as it was suspended until that was there.
static enum MHD_Result waiting_respond(struct control *control, struct waiting *w)
{
    pthread_mutex_lock(&control->lock);
    struct MHD_Connection *connection = w->connection;
    bool good = w->good;
    char *text = w->text;
    size_t len = w->len;
    w->text = NULL;
    w->connection = NULL;
    if (!w->begun)
        waiting_free(w);
    pthread_mutex_unlock(&control->lock);
    return text_respond(connection, good, false, text, len);
}

static void connection_closed(void *context, const struct MHD_Connection *connection)
{
    struct control *control = context;
    pthread_mutex_lock(&control->lock);
    struct waiting *w = waiting_find(control, connection);
    if (w)
        w->connection = NULL;
    if (w && !w->begun)
        waiting_free(w);
    pthread_mutex_unlock(&control->lock);
}

// Wakes all that wait for what may not come any more, and lets none begin to wait.
static void waiting_end(struct control *control)
{
    pthread_mutex_lock(&control->lock);
    control->ending = true;
    for (struct waiting *w = control->waiting; w; w = w->next) {
        if (!w->connection || w->answered)
            continue;
        char *text = strdup(ending);
        waiting_answer(w, false, text, text ? sizeof ending - 1 : 0);
    }
    pthread_mutex_unlock(&control->lock);
}

// --- HTTP ----------------------------------------------------------------------------------------

static enum MHD_Result order_do(const struct control *control, struct MHD_Connection *connection,
                                const struct order *order)
{
    char *body = NULL;
    size_t len = 0;
    struct order_request request = {.context = control->context, .connection = connection};
    request.json = order_parameter(&request, "json") != NULL;
    request.report = open_memstream(&body, &len);
    if (!request.report)
        return MHD_NO;
    bool good = order->run(&request);
    if (fclose(request.report) != 0) {
        free(body);
        return MHD_NO;
    }
    return text_respond(connection, good, request.json, body, len);
}

static const struct order *order_find(const struct control *control, const char *url)
{
    for (const struct order *order = control->orders; order->name; order++) {
        if (url[0] == '/' && strcmp(url + 1, order->name) == 0)
            return order;
    }
    return NULL;
}

static enum MHD_Result take(void *context, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload,
                            size_t *upload_len, void **state)
{
    (void)version;
    (void)upload;
    struct control *control = context;
    if (!http_is_whole(upload_len, state))
        return MHD_YES;
    pthread_mutex_lock(&control->lock);
    struct waiting *w = waiting_find(control, connection);
    pthread_mutex_unlock(&control->lock);
    if (w)
        return waiting_respond(control, w);
    const struct order *order = order_find(control, url);
    if (!order)
        return http_respond_text(connection, MHD_HTTP_NOT_FOUND,
                                 "there is no such order; see `ouzel help ctl`\n");
    if (strcmp(method, order->changes ? MHD_HTTP_METHOD_POST : MHD_HTTP_METHOD_GET) != 0)
        return http_respond_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                                 order->changes ? "this changes something: use POST\n"
                                                : "this changes nothing: use GET\n");
    return order->takes_long ? order_begin(control, connection, order)
                             : order_do(control, connection, order);
}

// --- the socket ----------------------------------------------------------------------------------

// Is it a stream socket at which no process listens any more? Only that is known to be left over:
// one of another type, or one that refuses us, is in use. It is tried as its owner: a
// process before this one has given it to the user that it became, and root without
// CAP_DAC_OVERRIDE, as the unit starts it, may not connect there. A process that may not
// become the owner tries as itself.
static bool is_dead(const struct sockaddr_un *address, uid_t owner)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    uid_t before = (uid_t)setfsuid(owner);
    bool dead = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                errno == ECONNREFUSED;
    (void)setfsuid(before);
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
        S_ISSOCK(status.st_mode) && is_dead(address, status.st_uid) &&
        unlink(address->sun_path) == 0)
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
    control->owned = true;
}

struct file_mark control_mark(const struct control *control)
{
    return control->made;
}

struct control *control_open(const char *path, int *fd, const struct file_mark *mark,
                             char why[static CONTROL_WHY_SIZE])
{
    struct control *control = calloc(1, sizeof *control);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int error = control ? 0 : -ENOMEM;
    if (error == 0)
        pthread_mutex_init(&control->lock, NULL);
    if (error == 0 && strlen(path) >= sizeof address.sun_path)
        error = -ENAMETOOLONG;
    if (error == 0) {
        memcpy(address.sun_path, path, strlen(path) + 1);
        memcpy(control->path, path, strlen(path) + 1);
        control->fd = *fd;
        bool taken = *fd >= 0;
        error = taken ? 0 : listen_at(&address, &control->fd);
        *fd = -1;
        control->owned = !taken;
        control->made = taken ? *mark : file_mark_of(path);
    }
    if (error == 0)
        return control;
    snprintf(why, CONTROL_WHY_SIZE, "cannot take orders at %s: %s", path,
             error == -EADDRINUSE ? "another program listens there" : strerror(-error));
    free(control);
    return NULL;
}

bool control_start(struct control *control, const struct order *table, void *context,
                   char why[static CONTROL_WHY_SIZE])
{
    control->orders = table;
    control->context = context;
    control->http = http_start(
        control->fd, CONNECTIONS_MAX, IDLE_TIMEOUT_S,
        &(struct http_handler){.take = take, .closed = connection_closed, .context = control});
    if (!control->http) {
        snprintf(why, CONTROL_WHY_SIZE, "cannot start the control server");
        return false;
    }
    return true;
}

// Whatever else may have been put there is not ours.
static void path_remove(const struct control *control)
{
    if (control->owned && file_mark_is_socket_at(&control->made, control->path))
        (void)unlink(control->path);
}

void control_close(struct control *control)
{
    if (!control)
        return;
    // No client is to connect to a process that ends.
    path_remove(control);
    waiting_end(control);
    http_stop(control->http, control->fd);
    // An order that has not ended will still say so here.
    pthread_mutex_lock(&control->lock);
    bool used = control->waiting != NULL;
    pthread_mutex_unlock(&control->lock);
    if (!used)
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
