# SPDX-License-Identifier: MIT
"""The servers of a measurement over a cable, each on the same processor and with all names learned:
the floors and the forwarders."""

import os
import sys
import time

from bench.lab import closed, peers, plane, process
from bench.lab.cables import (BUILD, SERVER, SERVER6, UPSTREAM, Server, Trouble, duration,
                              write_files)
from bench.load import zipf

FIRST_PORT = 5400
SAMPLE = 50000  # names with which a cache of very many is looked at
SPARE = 3 << 30  # octets of memory that servers may not take: the load and the machine need some


def fitting(kinds, names):
    """Those of them, in their order, that can hold so many names and fit into this machine's memory
    together; and why the others are left out."""
    left = process.memory_available() - SPARE
    taken, left_out = [], {}
    for kind in kinds:
        size = names * kind.octets
        if kind.names_max and names > kind.names_max:
            left_out[kind.name] = f'would take too long to learn more than {kind.names_max:,} names'
        elif size > left:
            left_out[kind.name] = (f'would take {size / 1e9:.1f} GB, and there are '
                                   f'{max(left, 0) / 1e9:.1f} GB left besides the earlier servers')
        else:
            taken.append(kind)
            left -= size
    return taken, left_out


def pinned(spaces, options):
    """What stands in front of a server's command."""
    return spaces.command(spaces.server, 'taskset', '-c', str(options.server_cpu))


def echoes_start(cleaner, spaces, directory, options, batch=64):
    """The two floors: (name, server, port)."""
    programs = (('echo-mmsg', ['echo_mmsg', '-a', SERVER, '-p', '5398', '-b', str(batch)], 5398),
                ('echo-ring', ['echo_ring', f'{SERVER}:5399'], 5399))
    for name, (program, *words), port in programs:
        command = [*pinned(spaces, options), os.path.join(BUILD, 'bench', 'load', program), *words]
        yield name, Server(cleaner, directory, command), port


def peers_start(cleaner, spaces, directory, options, kinds, names, ipv6=False):
    """Each with room for so many names: (name, server, port)."""
    for number, kind in enumerate(kinds):
        port = FIRST_PORT + number
        peer = kind(directory, (SERVER6 if ipv6 else SERVER, port), pinned(spaces, options), names)
        cleaner.add(peer.stop)
        if isinstance(peer, peers.OwnCable):
            plane.cable_lay(spaces, peer, number, ipv6)
        peer.launch([UPSTREAM])
        if isinstance(peer, peers.OwnCable):
            plane.launched(spaces, peer, options.server_cpu)
        yield kind.name, peer, port


def sample_write(path, count, form):
    """Evenly chosen ones of so many names; the path and how many there are."""
    with open(path, 'w', encoding='ascii') as file:
        file.writelines(form.learned(i) for i in range(0, count, count // SAMPLE))
    return path, len(range(0, count, count // SAMPLE))


def learn_all(cleaner, spaces, directory, servers, questions, names, form=zipf.Form()):
    """Has each learn all names; returns those that have, and what keeps the others from it."""
    kept, left_out = [], {}
    sample = None
    if names > closed.MANY:
        sample = sample_write(os.path.join(directory, 'sample'), names, form)
    for name, server, port in servers:
        start = time.monotonic()
        if sample:
            print(f'  {name} learns {names:,} names', flush=True)
        try:
            with plane.receiving(cleaner, spaces, directory, server):
                closed.warm(server, (server.address, port), questions, names,
                            spaces.command(spaces.generator), sample)
            kept.append((name, server, port))
        except (Trouble, RuntimeError) as fault:
            # Such as a cache that is too small for so many names.
            left_out[name] = str(fault).splitlines()[0]
            server.stop()
        if sample:
            print(f'  {name} took {duration(time.monotonic() - start)}', flush=True)
    return kept, left_out


def start_all(cleaner, spaces, directory, options, names, names_held=0, echoes=True,
              form=zipf.Form(), ipv6=False):
    """Starts all and has each learn `names` names, with room for `names_held`; returns the
    questions for all of them, (name, server, port) of each that is ready, and why others are left
    out."""
    config, questions = write_files(directory, names, form)
    Server(cleaner, directory, spaces.command(
        spaces.server, 'taskset', '-c', str(options.generator_cpu), 'nsd', '-d', '-c', config))
    held = max(names, names_held)
    kinds, left_out = fitting(peers.chosen(options.peers, peers.CACHES), held)
    servers = [*peers_start(cleaner, spaces, directory, options, kinds, held, ipv6)]
    time.sleep(2)
    servers, others = learn_all(cleaner, spaces, directory, servers, questions, names,
                                form)
    left_out.update(others)
    for line in (f'{name} is left out: {why}' for name, why in left_out.items()):
        print(line, file=sys.stderr)
    if echoes:
        servers = [*echoes_start(cleaner, spaces, directory, options), *servers]
    return questions, servers, left_out
