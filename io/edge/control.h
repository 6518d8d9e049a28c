// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/file_mark.h"

#include <stddef.h>
#include <stdio.h>

// The control socket: HTTP (libmicrohttpd) over a Unix socket, in a thread of its own. What
// `ouzel ctl` says there anybody may who may open the socket:
//
//   curl --unix-socket PATH http://ouzel/upstreams?json
//   curl --unix-socket PATH -X POST 'http://ouzel/flush?name=example.com&subtree'

// What the orders do is no business of it: it is given a table of them.

// What came with an order. `report` takes lines for whoever gave it.
struct order_request {
    void *context; // as control_start had it
    bool json;     // it is told for a program
    FILE *report;
    struct MHD_Connection *connection; // the server's own

    // Of an order that takes long: what to call when it is over, from any thread. `text`, from
    // malloc and the callee's to free, is the report then.
    void (*done)(void *waiting, bool good, char *text, size_t len);
    void *waiting;
};

// A parameter of an order; NULL: it was not given. "": it has no value.
[[nodiscard]] const char *order_parameter(const struct order_request *request, const char *name);

// An order, as `ouzel ctl` and the socket take it.
struct order {
    const char *name;      // NULL ends a table
    const char *arguments; // what follows the name, for the help
    const char *summary;
    // The words that have to follow, by the names that they have as parameters; then the options.
    const char *words[2];
    const char *options[3]; // a name that ends in `=` takes a value
    bool changes;           // something: it is a POST
    bool takes_long;        // it may wait for a file or another process

    // Does it: false, the report says why not. What takes long is only begun, true: `done` will be
    // called.
    bool (*run)(const struct order_request *request);
};

#define CONTROL_PATH "/run/ouzel/control.sock" // where `ouzel ctl` looks if it is told nothing

struct control; // opaque

// Takes the path: mode 0660. NULL: `why` is a sentence. A socket at which no process listens any
// more is removed first. Where `*fd` is a socket that listens there (-1: none) it is taken instead,
// `mark` says which file its process has made there, and the path is still that process's. Nothing
// is answered before control_start.
#define CONTROL_WHY_SIZE 400
[[nodiscard]] struct control *control_open(const char *path, int *fd, const struct file_mark *mark,
                                           char why[static CONTROL_WHY_SIZE]);

// The path is this process's from now on: control_close removes the socket there, if it is still
// the same one. So it is from the start where control_open has made it.
void control_own(struct control *control);

// Which file at the path is the socket.
[[nodiscard]] struct file_mark control_mark(const struct control *control);

// Answers from now on, by the table, which must live as long.
[[nodiscard]] bool control_start(struct control *control, const struct order *table, void *context,
                                 char why[static CONTROL_WHY_SIZE]);
void control_close(struct control *control);

// The socket, which stays the server's; and takes no more connections, and leaves the path there.
[[nodiscard]] int control_fd(const struct control *control);
void control_yield(struct control *control);
