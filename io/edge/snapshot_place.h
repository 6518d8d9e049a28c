// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/snapshot.h"

#include <stdbool.h>

// What a snapshot may overwrite: an empty file, or one that begins as a snapshot does, of any
// version and however damaged. The operator names the path, and anything else there - a device, a
// link, a file with other contents - is left alone. The file in which a snapshot is begun may also
// begin with zeros, as a crash of the machine can leave it.

enum snapshot_place { SNAPSHOT_PLACE_DONE, SNAPSHOT_PLACE_BEGUN };

// Checks `name` in the directory. NULL: it may be overwritten; else what is wrong with it, as "is
// no snapshot of ouzel". The file must also belong to this process's user or to root, who may have
// started it.
[[nodiscard]] const char *snapshot_place_fault(int directory_fd, const char *name,
                                               enum snapshot_place place);

// The same for a file that is open for reading, so that it cannot be replaced meanwhile.
[[nodiscard]] const char *snapshot_place_fault_of(int fd, enum snapshot_place place);

// Opens for reading what may be written over, whatever it holds: what others have put there is not
// believed. A descriptor, or a negative errno: -EEXIST with what is wrong with it as `fault`.
[[nodiscard]] int snapshot_place_open(const char *path, const char **fault);

// For `ouzel check` and the start: could a snapshot be written to `path` for all that stands there
// now, and next to it where it is begun? False: `why` is a sentence. Which user will write is not
// known yet, so what this one may not read passes.
[[nodiscard]] bool snapshot_place_check(const char *path, char why[static SNAPSHOT_WHY_SIZE]);
