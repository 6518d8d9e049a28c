// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/file_mark.h"

#include <stddef.h>
#include <stdio.h>

// The control socket: HTTP (libmicrohttpd) over a Unix socket, in a thread of its own. Any process
// with access to the socket may give the orders of `ouzel ctl`:
//
//   curl --unix-socket PATH http://ouzel/upstreams?json
//   curl --unix-socket PATH -X POST 'http://ouzel/flush?name=example.com&subtree'

// What the orders do is no business of it: it is given a table of them.

// An order as received. Lines written to `report` go to the client.
struct order_request {
    void *context; // as control_start had it
    bool json;     // the report is to be JSON
    FILE *report;
    struct MHD_Connection *connection; // the server's

    // For an order that takes long: to be called at its end, from any thread. `text`, from malloc
    // and the callee's to free, is the report.
    void (*done)(void *waiting, bool good, char *text, size_t len);
    void *waiting;
};

// A parameter of an order. NULL: it was not given; "": it has no value.
[[nodiscard]] const char *order_parameter(const struct order_request *request, const char *name);

// An order, as `ouzel ctl` and the socket take it.
struct order {
    const char *name;      // NULL ends a table
    const char *arguments; // what follows the name, for the help
    const char *summary;
    // The names of the parameters that must follow as words; then the options.
    const char *words[2];
    const char *options[3]; // a name that ends in `=` takes a value
    bool changes;           // it changes something, so it must be a POST
    bool takes_long;        // it may wait for a file or another process

    // Carries it out. False: it failed, and the report says why. An order that takes long is only
    // started; true: `done` will be called.
    bool (*run)(const struct order_request *request);
};

#define CONTROL_PATH "/run/ouzel/control.sock" // the default of `ouzel ctl`

struct control; // opaque

// Creates the socket at the path, with mode 0660. NULL: `why` is a sentence. A socket at which no
// process listens any more is removed first. If `*fd` is a socket that listens there already (-1:
// none) it is used instead; `mark` is the file that its process has created, which still owns the
// path. Nothing is answered before control_start.
#define CONTROL_WHY_SIZE 400
[[nodiscard]] struct control *control_open(const char *path, int *fd, const struct file_mark *mark,
                                           char why[static CONTROL_WHY_SIZE]);

// From now on this process owns the path, and control_close removes the socket if it is still the
// same one. A process whose control_open has created it owns it from the start.
void control_own(struct control *control);

// The file of the socket.
[[nodiscard]] struct file_mark control_mark(const struct control *control);

// Starts answering, with this table, which must live as long.
[[nodiscard]] bool control_start(struct control *control, const struct order *table, void *context,
                                 char why[static CONTROL_WHY_SIZE]);
void control_close(struct control *control);

// The socket, which stays the server's. Yield: accepts no more connections, and leaves the path.
[[nodiscard]] int control_fd(const struct control *control);
void control_yield(struct control *control);
