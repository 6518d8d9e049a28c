// SPDX-License-Identifier: MIT
#pragma once

// A descriptor by which one thread wakes another that waits for descriptors: it is readable from
// wake_send on until wake_receive. Any thread may send, as often as it likes. A simulation links
// its own.

// Returns a descriptor, or -1 with errno.
[[nodiscard]] int wake_open(void);
void wake_close(int fd);

void wake_send(int fd);
void wake_receive(int fd);
