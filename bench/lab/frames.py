# SPDX-License-Identifier: MIT
"""Load from the driver of a cable (bench/load/frames), for servers that answer in the driver: it
takes next to nothing of a processor's time. Both ends of the cable work as network cards do, each
on its own processor and before all else there. Servers with sockets are not asked like this: a
cable keeps 256 frames, and while a process has the processor more than that arrive."""

import json
import os

from bench.lab import echo_xdp, peers, process
from bench.lab.cables import BUILD, Trouble, run

PROGRAM = os.path.join(BUILD, 'bench', 'load', 'frames')


def prepare(spaces, servers, options, first=True):
    """Makes all cables of these servers ready: (name, server, port). The work of the interface is
    done before all else where it comes first, and by turns with the server's where not."""
    for _, server, _ in servers:
        for space in (spaces.server, spaces.generator):
            run(*spaces.command(space, 'ethtool', '-K', server.interface, 'gro', 'on'))
        if not server.thread:
            server.thread = echo_xdp.thread_make(server.interface, spaces, spaces.server,
                                                 server.interface, options.server_cpu)
        other = echo_xdp.thread_make(server.interface, spaces, spaces.generator, server.interface,
                                     options.generator_cpu)
        for thread in (server.thread, other) if first else ():
            run('chrt', '--fifo', '--pid', '1', str(thread))


def hardware_address(spaces, interface):
    return json.loads(run('ip', '-j', '-n', spaces.server, 'link', 'show', interface))[0]['address']


def command(spaces, server, port, questions, arguments):
    """The work of the cable's end is done on the same processor, and comes first."""
    address = f'[{server.address}]' if ':' in server.address else server.address
    return spaces.command(
        spaces.generator, 'nice', '-n', '19', 'taskset', '-c', str(arguments.generator_cpu),
        PROGRAM, server.interface, hardware_address(spaces, server.interface), server.asking,
        f'{address}:{port}', str(arguments.rate), str(arguments.seconds), questions)


def result(text):
    """What the program prints, by name."""
    *counts, seconds = text.split()
    sent, replies, good, octets = map(int, counts)
    return {'sent': sent, 'replies': replies, 'good': good, 'octets': octets,
            'rate': replies / float(seconds)}


def shoot(spaces, server, port, questions, arguments, meters=None):
    """One run, with the same results as cables.shoot."""
    words = command(spaces, server, port, questions, arguments)
    text, used = process.metered(server, meters,
                                 lambda: run(*words, timeout=arguments.seconds + 60))
    got = result(text)
    if got['replies'] == 0:
        raise Trouble('no replies')
    if got['good'] != got['replies'] and isinstance(server, peers.Peer):
        raise Trouble(f'{got["replies"] - got["good"]} of {got["replies"]} replies are not good')
    return {**got, **{name: value / got['replies'] for name, value in used.items()}}
