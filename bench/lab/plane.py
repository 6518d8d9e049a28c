# SPDX-License-Identifier: MIT
"""ouzel's XDP plane at a cable of its own, and what has to stand round it."""

import contextlib
import os
import time

from bench.lab import echo_xdp
from bench.lab.cables import Server, run

FIRST = 2  # of the networks


def cable_lay(spaces, peer, number, ipv6=False):
    """A cable for this peer alone. Its other end finishes checksums, as hardware does for a client
    that is not on the same machine."""
    peer.interface = f'p{number}x{os.getpid()}'[:15]
    network = f'fd53:{FIRST + number}::' if ipv6 else f'10.53.{FIRST + number}.'
    peer.address, peer.asking = f'{network}1', f'{network}2'
    echo_xdp.cable_lay(spaces, peer.interface, (peer.address, peer.asking))
    run(*spaces.command(spaces.generator, 'ethtool', '-K', peer.interface, 'tx', 'off'))


def launched(spaces, peer, cpu):
    """What is left to do once the peer runs: its program's work is to count as its own."""
    if not peer.mode:
        return
    echo_xdp.attached_wait(peer, spaces)
    peer.thread = echo_xdp.thread_make(peer.name, spaces, spaces.server, peer.interface, cpu)


def has_cable(server):
    """Is it asked over a cable of its own?"""
    return server.interface != Server.interface


@contextlib.contextmanager
def receiving(cleaner, spaces, directory, peer):
    """While no XDP program asks a plane, one that lets all pass stands at the asking end: without
    one, that end drops what the plane sends."""
    if not has_cable(peer):
        yield
        return
    command = spaces.command(spaces.generator, echo_xdp.PROGRAM, peer.interface, '1')
    passes = Server(cleaner, directory, command)
    time.sleep(0.5)
    try:
        yield
    finally:
        passes.stop()
