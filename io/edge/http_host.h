// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

// Which Host headers a server inside a network may answer to (RFC 9112 3.2). A page from elsewhere
// can have its own name resolve to an address of ours (DNS rebinding) and would then be allowed by
// the browser to read what we answer; but the browser names that page's host in the request. So a
// request is answered where the host is an IP address, which cannot be rebound, localhost, or a
// name that the operator has listed.

// `host` is the header's value: a name, an IPv4 address or an IPv6 address in brackets, each with
// an optional port. Names are compared without case and without a final dot. NULL, no header, is
// allowed: no browser leaves it out.
[[nodiscard]] bool http_host_allowed(const char *host, const struct text_list *names);
