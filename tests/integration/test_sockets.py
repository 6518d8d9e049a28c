# SPDX-License-Identifier: MIT
"""What ouzel asks of the machine: how its sockets are set, and which clock it goes by."""

import ctypes
import os
import socket
import subprocess

import harness
from case import Case

PIDFD_OPEN, PIDFD_GETFD = 434, 438  # the same on all architectures
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_OMIT = 10, 23, 5


def sockets_of(pid):
    """Duplicates of a process's UDP sockets; OSError where that may not be had."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(*arguments):
        result = libc.syscall(*arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), 'pidfd')
        return result
    pidfd = call(PIDFD_OPEN, pid, 0)
    found = []
    try:
        for number in os.listdir(f'/proc/{pid}/fd'):
            if not os.readlink(f'/proc/{pid}/fd/{number}').startswith('socket:'):
                continue
            sock = socket.socket(fileno=call(PIDFD_GETFD, pidfd, int(number), 0))
            if sock.type == socket.SOCK_DGRAM and sock.family in (socket.AF_INET, socket.AF_INET6):
                found.append(sock)
            else:
                sock.close()
    finally:
        os.close(pidfd)
    return found


class Sockets(Case):
    ENGINES = True

    def test_path_mtu_is_not_learned(self):
        """A forged "fragmentation needed" must not make answers or queries leave in fragments: no
        UDP socket looks at what the network says of the path (IP_PMTUDISC_OMIT)."""
        upstreams = [self.upstream(lambda asked: None)]
        listen = [harness.fresh_address(), '0.0.0.0']
        if harness.has_ipv6():
            upstreams.append(self.upstream(lambda asked: None, address='::1'))
            listen += ['::1', '::']
        ouzel = self.ouzel(*upstreams, listen=listen)
        for number in range(8):
            harness.ask_raw(ouzel.server, harness.plain_query(f'n{number}.example'), timeout=0.05)
        try:
            socks = sockets_of(ouzel.pid)
        except OSError as fault:
            self.skipTest(f'another process\'s sockets cannot be had: {fault}')
        self.assertGreater(len(socks), 2 * len(listen))
        for sock in socks:
            with sock:
                level, option = (socket.IPPROTO_IP, IP_MTU_DISCOVER) \
                    if sock.family == socket.AF_INET else (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER)
                self.assertEqual(sock.getsockopt(level, option), PMTUDISC_OMIT,
                                 sock.getsockname())


class Clock(Case):
    def test_answers_age_while_the_machine_sleeps(self):
        library = os.path.join(self.directory, 'machine_sleeps.so')
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'machine_sleeps.c')
        subprocess.run(['gcc', '-std=gnu2x', '-D_GNU_SOURCE', '-O2', '-fPIC', '-shared', '-o',
                        library, source, '-ldl'], check=True, timeout=60)
        slept = os.path.join(self.directory, 'slept')

        def sleep(seconds):
            with open(slept + '.new', 'w', encoding='ascii') as file:
                file.write(str(seconds))
            os.rename(slept + '.new', slept)
        sleep(0)
        fake = self.upstream(lambda asked: asked.send(asked.reply(ttl=300)))
        preload = ' '.join(filter(None, [os.environ.get('LD_PRELOAD'), library]))
        ouzel = self.ouzel(fake, env=dict(os.environ, LD_PRELOAD=preload, OUZEL_SLEPT_FILE=slept))
        self.assertGreater(harness.ask(ouzel.server, 'a.example').answer[0].ttl, 290)
        sleep(100)
        self.assertTrue(harness.eventually(
            lambda: harness.ask(ouzel.server, 'a.example').answer[0].ttl <= 200))
        sleep(400)
        self.assertTrue(harness.eventually(
            lambda: harness.ask(ouzel.server, 'a.example').answer[0].ttl > 290),
            'expired answers are asked for again')
        self.assertGreater(len(fake.asked), 1)
