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
from bench.lab.cables import BUILD, Server, Trouble, run

NAME, PORT = 'echo-xdp', 54
ADDRESS, GENERATOR = '10.53.1.1', '10.53.1.2'
PROGRAM = os.path.join(BUILD, 'bench', 'load', 'echo_xdp')


def cable_lay(spaces, name, addresses=(ADDRESS, GENERATOR)):
    """Another cable between the namespaces, as the first one is."""
    queues = ('numrxqueues', '1', 'numtxqueues', '1')
    run('ip', '-n', spaces.server, 'link', 'add', name, *queues, 'type', 'veth', 'peer', 'name',
        name, *queues, 'netns', spaces.generator)
    for space, address in zip((spaces.server, spaces.generator), addresses):
        run('ip', '-n', space, 'addr', 'add', f'{address}/24', 'dev', name)
    for space in (spaces.server, spaces.generator):
        run('ip', '-n', space, 'link', 'set', name, 'up')


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


def thread_make(name, spaces, interface, cpu):
    """Has a thread of the kernel's own, on this processor, do the work of the interface; None:
    there can be none."""
    switch = f'/sys/class/net/{interface}/threaded'
    try:
        run(*spaces.command(spaces.server, 'sh', '-c', f'echo 1 >{switch}'))
        [thread] = threads_of(interface)
        run('taskset', '-p', '-c', str(cpu), str(thread))
        return thread
    except (Trouble, ValueError) as fault:
        print(f'{name}: its work is done on the processor of the generator and counts as no time '
              f'of its own: {fault}', file=sys.stderr)
        return None


class EchoXdp(Server):
    """The program at its cable. What it does the kernel does: by a thread of the kernel's own on
    the server's processor, so that it has a processor like the others and its time can be told;
    or, where there can be none, at the generator's expense."""

    address = ADDRESS

    def __init__(self, cleaner, spaces, directory, cpu):
        if not os.path.exists(PROGRAM):
            raise Trouble('build/bench/load/echo_xdp is not there: it needs clang-14 and '
                          'libbpf-dev')
        self.interface = f'x{os.getpid()}'  # short enough to be found among the threads
        cable_lay(spaces, self.interface)
        super().__init__(cleaner, directory,
                         spaces.command(spaces.server, PROGRAM, self.interface, str(PORT)))
        self.wait(spaces)
        self.thread = thread_make(NAME, spaces, self.interface, cpu)

    def wait(self, spaces):
        for _ in range(100):
            self.check()
            link = json.loads(run('ip', '-j', '-n', spaces.server, 'link', 'show',
                                  self.interface))[0]
            if link.get('xdp', {}).get('mode') == 1:
                return
            time.sleep(0.05)
        raise Trouble('the driver does not take the program')

    def cpu_us(self):
        return process.cpu_us(self.thread) if self.thread else 0.0


def start(cleaner, spaces, directory, cpu):
    """The floor as one (name, server, port), or none and a line that says why."""
    try:
        return [(NAME, EchoXdp(cleaner, spaces, directory, cpu), PORT)]
    except Trouble as fault:
        print(f'{NAME} is left out: {fault}', file=sys.stderr)
        return []
