// SPDX-License-Identifier: MIT
#pragma once

// What is done to the descriptor of a socket without a request to its net. A simulation links its
// own.

// Closes one that no request names (net_close_fd closes the others).
void descriptor_close(int fd);

// Another descriptor of the same socket, or a negative errno.
[[nodiscard]] int descriptor_copy(int fd);
