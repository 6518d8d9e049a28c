# SPDX-License-Identifier: MIT
"""The floor that no server with a socket can reach: an XDP program that answers in the driver of a
cable (bench/load/echo_xdp.bpf.c). The cable is its own, as a program at the others' would make
every packet of theirs dearer."""

import json
import os
import re
import sys
import time

from bench.lab import process
from bench.lab.cables import BUILD, Server, Trouble, address_add, run

NAME, PORT = 'echo-xdp', 54
ADDRESS, GENERATOR = '10.53.1.1', '10.53.1.2'
PROGRAM = os.path.join(BUILD, 'bench', 'load', 'echo_xdp')


def cable_lay(spaces, name, addresses=(ADDRESS, GENERATOR)):
    """Another cable between the namespaces, as the first one is."""
    queues = ('numrxqueues', '1', 'numtxqueues', '1')
    run('ip', '-n', spaces.server, 'link', 'add', name, *queues, 'type', 'veth', 'peer', 'name',
        name, *queues, 'netns', spaces.generator)
    for space, address in zip((spaces.server, spaces.generator), addresses):
        address_add(space, name, address)
    for space in (spaces.server, spaces.generator):
        run('ip', '-n', space, 'link', 'set', name, 'up')
    spaces.neighbours_fix(name, addresses)


def threads_of(interface):
    """The kernel's threads that poll an interface, in whatever namespace."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/comm', encoding='ascii', errors='replace') as file:
                if re.match(rf'napi/{re.escape(interface)}-', file.read()):
                    found.append(int(pid))
        except OSError:
            pass  # ended meanwhile
    return found


def thread_make(name, spaces, space, interface, cpu):
    """Has a thread of the kernel's own, on this processor, do the work of the interface; None:
    there can be none."""
    switch = f'/sys/class/net/{interface}/threaded'
    before = set(threads_of(interface))
    try:
        run(*spaces.command(space, 'sh', '-c', f'echo 1 >{switch}'))
        [thread] = set(threads_of(interface)) - before
        run('taskset', '-p', '-c', str(cpu), str(thread))
        return thread
    except (Trouble, ValueError) as fault:
        print(f'{name}: its work is done on another processor and counts as no time of its own: '
              f'{fault}', file=sys.stderr)
        return None


def attached_wait(server, spaces):
    """Until its program is in the driver of its interface."""
    for _ in range(100):
        server.check()
        link = json.loads(run('ip', '-j', '-n', spaces.server, 'link', 'show', server.interface))[0]
        if link.get('xdp', {}).get('mode') == 1:
            return
        time.sleep(0.05)
    raise Trouble('the driver does not take the program')


class EchoXdp(Server):
    """The program at its cable. What it does the kernel does: by a thread of the kernel's own on
    the server's processor, so that it has a processor like the others and its time can be told;
    or, where there can be none, at the generator's expense."""

    address, asking = ADDRESS, GENERATOR

    def __init__(self, cleaner, spaces, directory, cpu):
        if not os.path.exists(PROGRAM):
            raise Trouble('build/bench/load/echo_xdp is not there: it needs clang-14 and '
                          'libbpf-dev')
        self.interface = f'x{os.getpid()}'  # short enough to be found among the threads
        cable_lay(spaces, self.interface)
        super().__init__(cleaner, directory,
                         spaces.command(spaces.server, PROGRAM, self.interface, str(PORT)))
        attached_wait(self, spaces)
        self.thread = thread_make(NAME, spaces, spaces.server, self.interface, cpu)

    def cpu_us(self):
        return process.cpu_us(self.thread) if self.thread else 0.0


def start(cleaner, spaces, directory, cpu):
    """The floor as one (name, server, port), or none and a line that says why."""
    try:
        return [(NAME, EchoXdp(cleaner, spaces, directory, cpu), PORT)]
    except Trouble as fault:
        print(f'{NAME} is left out: {fault}', file=sys.stderr)
        return []
