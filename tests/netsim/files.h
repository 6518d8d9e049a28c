// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"

// What the simulated kernel has behind descriptors: sockets and eventfds. A file is gone when
// nothing refers to it; from the network it goes when the last that holds it open lets go of it:
// descriptors, and where params.holds requests and places as well.

enum { BACKLOG = 32 };

enum file_kind { FILE_WAKE, FILE_UDP, FILE_LISTENER, FILE_TCP };

struct datagram {
    struct datagram *next;
    struct address from, to;
    uint16_t len;
    uint8_t bytes[];
};

struct link; // tests/netsim/link.h

struct file {
    struct file *next; // of all there are
    enum file_kind kind;
    unsigned refs;
    unsigned opens;
    bool bound;
    bool hears;          // FILE_UDP: takes datagrams of anybody, and shares its address
    struct address at;   // where it is bound
    struct address peer; // FILE_UDP: of whom alone it hears
    uint32_t nets;       // a bit for each net that has had a request here
    uint64_t use; // slot and generation in the tags of its requests (io/net/op.h); 0: none yet
    uint64_t wakes;
    int error; // to be told once: a negative errno
    struct datagram *first, **end;
    unsigned count;
    uint64_t drops;
    struct link *link;
    struct link *waiting[BACKLOG]; // FILE_LISTENER: in their order
    unsigned waiting_count;
};

void files_begin(void);

// How many there are, and how many descriptors.
[[nodiscard]] unsigned files_count(void);
[[nodiscard]] unsigned files_numbers(void);

// Makes a file with a descriptor of the lowest number that is free. Returns that; -EMFILE where the
// seed says that there is none, unless it is `sure`.
[[nodiscard]] int file_make(enum file_kind kind, bool sure, struct file **file);

// The file of a descriptor; NULL: there is none.
[[nodiscard]] struct file *file_of(int fd);

// Another descriptor for it, as above.
[[nodiscard]] int file_number(struct file *file, bool sure);

// Frees a number. False: there is no such descriptor.
bool file_close(int fd);

// Holds a file in memory, and open.
void file_ref(struct file *file);
void file_unref(struct file *file);
void file_hold(struct file *file);
void file_release(struct file *file);

// Something has happened to it that a net may wait for.
void file_changed(struct file *file);

// The first file for which `fits` is true, from the oldest on; NULL: none.
struct file *file_find(bool (*fits)(const struct file *, const void *), const void *context);

// Adds a datagram to its queue, or drops it.
bool file_datagram(struct file *file, const struct address *from, const struct address *to,
                   const uint8_t *bytes, size_t len);

// Takes the first.
[[nodiscard]] struct datagram *file_datagram_take(struct file *file);
