# SPDX-License-Identifier: MIT
"""Load from sockets by the train (bench/load/flood). The answers are counted as they come in at the
cable's end, so no server loses any for want of a reader."""

from bench.lab import frames, peers, plane, process
from bench.lab.cables import Trouble, generate


def prepare(spaces, servers, options):
    """Both ends of a cable of one server alone work on the processors of those that use them."""
    frames.prepare(spaces, [who for who in servers if plane.has_cable(who[1])], options,
                   first=False)


def shoot(spaces, server, port, names, options, meters=None):
    """One run, with the same results as cables.shoot but the size of answers, which few are read
    of."""
    text, used = process.metered(server, meters, lambda: generate(
        spaces, 'flood', (server.address, port), options.rate, options, server.interface,
        names=names))
    sent, replies, read, good = map(int, text.split())
    if read == 0:
        raise Trouble('no answers')
    if good < read and isinstance(server, peers.Peer):
        raise Trouble(f'of {read} answers read {read - good} are not good')
    return {'sent': sent, 'replies': replies, 'rate': replies / options.seconds,
            **{name: value / replies for name, value in used.items()}}
