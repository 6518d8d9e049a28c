# SPDX-License-Identifier: MIT
"""What an answer from memory must not do: take memory, take a lock, write a line, or make a system
call of its own. And what load must not leave behind: descriptors."""

import functools
import os
import re
import resource
import socket
import struct
import subprocess

import harness
from case import Case

PLANE_ANSWERS = 11000
NAMES = 100
QUERIES = 10000


class HitPath(Case):
    ENGINES = True
    PLANE = 1

    def library(self):
        path = os.path.join(self.directory, 'count_calls.so')
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'count_calls.c')
        subprocess.run(['gcc', '-std=gnu2x', '-D_GNU_SOURCE', '-O2', '-fPIC', '-shared', '-o', path,
                        source, '-ldl'], check=True, timeout=60)
        return path

    def counts(self):
        with open(self.count_path, 'rb') as file:
            data = file.read()
        at = data.index(b'malloc ')
        names = data[at:data.index(b'\0', at)].decode().split()
        return dict(zip(names, struct.unpack_from(f'={len(names)}Q', data)))

    def at_rest(self):
        """The counts when nothing calls any more: threads other than the workers have finished then
        what was asked of them."""
        seen = [None]

        def resting():
            seen.append(self.counts())
            return seen[-1] == seen[-2]
        self.assertTrue(harness.eventually(resting, 10, step=0.3))
        return seen[-1]

    def test_calls(self):
        """10,000 answers from memory: not one call more than before."""
        with open(harness.BINARY, 'rb') as file:
            if re.search(rb'__(asan|tsan)_init', file.read()):
                self.skipTest('a sanitizer counts among the callers')
        self.count_path = os.path.join(self.directory, 'counts')
        upstream = self.upstream()
        ouzel = self.ouzel(upstream, workers=2, env=dict(
            os.environ, LD_PRELOAD=self.library(), OUZEL_COUNT_FILE=self.count_path))
        queries = [harness.plain_query(f'n{i}.hit.example') for i in range(NAMES)]
        for _ in range(20):  # new sockets each time, so that both workers have had their turn
            self.assertNotIn(None, harness.ask_many(ouzel.server, queries))
        self.assertGreater(self.counts()['malloc'], 0, 'the library counts nothing')
        self.assertTrue(ouzel.quiet())
        before = self.at_rest()
        for _ in range(QUERIES // NAMES // 20):
            self.assertNotIn(None, harness.ask_many(ouzel.server, queries * 20))
        after = self.counts()
        more = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        # epoll receives and sends by calls of its own, one or the other for several answers. Here
        # a few come at a time.
        for name in ('recvmmsg', 'sendmmsg') if harness.ENGINE == 'epoll' else ():
            self.assertLess(more.pop(name, 0), QUERIES)
        self.assertEqual(more, {}, 'calls made on the way of a cached answer')
        # A question may be sent again on a machine that keeps the upstream waiting, and two of
        # ask_many's first sends be one question: so the names are counted, not the sends.
        self.assertEqual(len({asked.name for asked in upstream.asked}), NAMES)
        self.assertEqual(ouzel.total('ouzel_answers_total', source='cache'),
                         QUERIES + 19 * NAMES)


class Descriptors(Case):
    def test_none_left_behind(self):
        """After load that opened thousands of source ports: no more descriptors than before,
        but for the ports that are open now."""
        lost = set()

        def script(asked):
            if asked.name in lost or not asked.name.startswith('n7'):
                asked.send(asked.reply())
            lost.add(asked.name)
        upstream = self.upstream(script)
        ouzel = self.ouzel(upstream, workers=2)
        ouzel.metrics()
        before = ouzel.descriptors()
        for part in range(3):
            queries = [harness.plain_query(f'n{i}.part{part}.example') for i in range(1500)]
            self.assertNotIn(None, harness.ask_many(ouzel.server, queries, timeout=8))
            ouzel.metrics()
        self.assertTrue(ouzel.quiet())

        def settled():
            return ouzel.descriptors() <= before + ouzel.total('ouzel_source_ports_open') + 1
        self.assertTrue(harness.eventually(settled, 12, 0.2),
                        f'{ouzel.descriptors()} descriptors, {before} before the load, and '
                        f'{ouzel.total("ouzel_source_ports_open")} ports open')
        self.assert_balance(ouzel)

    def test_clients_leave_enough_for_upstreams(self):
        """However many connections they open, from however many networks."""
        allowed = 1024
        ouzel = self.ouzel(self.upstream(), workers=2, preexec_fn=lambda: (
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))))
        self.assertIn('too few file descriptors for server.tcp-connections-max', ouzel.output())
        clients = []
        self.addCleanup(lambda: [client.close() for client in clients])
        for i in range(allowed):
            clients.append(socket.socket())
            clients[-1].bind((f'127.1.2.{1 + i % 40}', 0))
            clients[-1].connect(ouzel.server)
        accepted = functools.partial(ouzel.total, 'ouzel_tcp_connections_total')
        self.assertTrue(harness.eventually(lambda: accepted() == allowed))
        self.assertGreater(ouzel.total('ouzel_tcp_connections_open'), 200)
        queries = [harness.plain_query(f'n{i}.left.example') for i in range(600)]
        self.assertNotIn(None, harness.ask_many(ouzel.server, queries, timeout=6))
        self.assertEqual(ouzel.total('ouzel_source_ports_unavailable_total'), 0)

    def test_few_allowed(self):
        """With far fewer descriptors than source ports wanted, all questions are still answered;
        where it is too few to work at all, ouzel says so and does not start."""
        for limit in (24, 64, 256):
            with self.subTest(limit=limit):
                upstream = self.upstream()
                ouzel = self.ouzel(upstream, workers=2, wait=False, preexec_fn=lambda: (
                    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))))
                try:
                    ouzel.wait_ready()
                except RuntimeError:
                    self.assertEqual(ouzel.wait(1), 1)
                    self.assertIn('descriptors', ouzel.output())
                    continue
                queries = [harness.plain_query(f'n{i}.few.example') for i in range(600)]
                replies = harness.ask_many(ouzel.server, queries, timeout=6)
                self.assertEqual({reply and reply[3] & 15 for reply in replies}, {0})
                self.assert_balance(ouzel)
