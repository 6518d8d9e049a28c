# SPDX-License-Identifier: MIT
"""Load from sockets by the train (bench/load/flood). The answers are counted as they come in at the
cable's end, so no server loses any for want of a reader."""

from bench.lab import frames, peers, plane, process
from bench.lab.cables import Trouble, generate


def prepare(spaces, servers, options):
    """Both ends of a cable of one server alone work on the processors of those that use them."""
    frames.prepare(spaces, [who for who in servers if plane.has_cable(who[1])], options,
                   first=False)


def offer(spaces, server, port, rate, names, options):
    """One run at this rate; returns queries and answers. Those that are read have to be good, where
    it is no echo that sends them."""
    sent, replies, read, good = map(int, generate(
        spaces, 'flood', (server.address, port), rate, names, options, server.interface).split())
    if read == 0:
        raise Trouble('no answers')
    if good < read and isinstance(server, peers.Peer):
        raise Trouble(f'of {read} answers read {read - good} are not good')
    return sent, replies


def shoot(spaces, server, port, names, options, meters=None):
    """One run, with the same results as cables.shoot but the size of answers, which few are read
    of."""
    (sent, replies), used = process.metered(
        server, meters, lambda: offer(spaces, server, port, options.rate, names, options))
    return {'sent': sent, 'replies': replies, 'rate': replies / options.seconds,
            **{name: value / replies for name, value in used.items()}}
