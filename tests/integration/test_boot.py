# SPDX-License-Identifier: MIT
"""A machine that boots: what is not there yet is waited for, and /readyz says so."""

import os
import shutil
import signal
import subprocess
import sys
import unittest

import dns.rcode

import harness
from case import Case
from harness import ask, eventually

NAMESPACES = ['unshare', '--mount', '--net', '--propagation', 'private']

# Answers every question with one address, at [::1]:5354.
UPSTREAM_IPV6 = """
import socket, dns.message, dns.rrset
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.bind(('::1', 5354))
print('ready', flush=True)
while True:
    data, client = sock.recvfrom(512)
    reply = dns.message.make_response(dns.message.from_wire(data))
    name = reply.question[0].name
    if reply.question[0].rdtype == 1:
        reply.answer.append(dns.rrset.from_text(name, 60, 'IN', 'A', '192.0.2.7'))
    sock.sendto(reply.to_wire(), client)
"""


def can_unshare():
    return os.geteuid() == 0 and subprocess.run(
        [*NAMESPACES, 'true'], capture_output=True, check=False).returncode == 0


@unittest.skipUnless(can_unshare(), 'namespaces need root')
class Boot(Case):
    """In a network and with an /etc of its own."""

    WEIGHT = 2

    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o755)
        self.etc = os.path.join(self.directory, 'etc')
        os.mkdir(self.etc)
        for name in 'passwd', 'group', 'nsswitch.conf', 'ld.so.cache':
            if os.path.exists(f'/etc/{name}'):
                shutil.copy(f'/etc/{name}', self.etc)
        self.holder = subprocess.Popen(
            [*NAMESPACES, 'sh', '-c',
             f'mount --bind {self.etc} /etc && ip link set lo up && echo ready && exec sleep 600'],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.holder.wait)
        self.addCleanup(self.holder.kill)
        self.addCleanup(self.holder.stdout.close)
        self.assertEqual(self.holder.stdout.readline(), 'ready\n')

    def inside(self, *command):
        return ['nsenter', '-t', str(self.holder.pid), '--mount', '--net', *command]

    def run_inside(self, *command):
        return subprocess.run(self.inside(*command), capture_output=True, text=True, check=False,
                              timeout=20 * harness.PATIENCE).stdout

    def start(self, *arguments):
        process = harness.Process(
            self.inside(harness.BINARY, 'serve', '--workers', '1', *arguments),
            os.path.join(self.directory, 'log'))
        self.processes.append(process)
        self.addCleanup(self.finish, process)
        return process

    def finish(self, process):
        self.assertEqual(process.terminate(2), 0, process.output())

    def ready(self, address='127.0.0.1'):
        """The status of /readyz and what it says."""
        code = ('import urllib.request as u, urllib.error as e\n'
                f'try:\n r = u.urlopen("http://{address}:9053/readyz"); print(r.status, r.read())\n'
                'except e.HTTPError as f: print(f.code, f.read())\n'
                'except OSError as f: print(0, f)\n')
        return self.run_inside(sys.executable, '-c', code)

    def ask_inside(self, address, name, transport='udp'):
        code = ('import dns.query, dns.message\n'
                f'q = dns.message.make_query("{name}", "A")\n'
                f'print(dns.query.{transport}(q, "{address}", 3, port=5353))\n')
        return self.run_inside(sys.executable, '-c', code)

    def test_address_that_comes_later(self):
        ouzel = self.start('--listen', '127.0.0.1:5353', '--listen', '192.0.2.77:5353', '--listen',
                           '[2001:db8::77]:5353', '--upstream', '127.0.0.9')
        self.assertTrue(eventually(lambda: self.ready().startswith('503'), 10), ouzel.output())
        self.assertIn('not there yet', self.ready())
        for address in '192.0.2.77:5353', '[2001:db8::77]:5353':
            self.assertTrue(ouzel.said('"this address does not exist yet, waiting for it" '
                                       f'address={address}'), ouzel.output())
        self.assertIn('localhost', self.ask_inside('127.0.0.1', 'localhost'))
        self.run_inside('ip', 'addr', 'add', '192.0.2.77/32', 'dev', 'lo')
        self.assertTrue(self.ready().startswith('503'))
        self.run_inside('ip', 'addr', 'add', '2001:db8::77/128', 'dev', 'lo')
        self.assertTrue(eventually(lambda: self.ready().startswith('200'), 10), ouzel.output())
        self.assertTrue(ouzel.said('all addresses exist now'), ouzel.output())
        for address in '192.0.2.77', '2001:db8::77':
            self.assertIn('localhost', self.ask_inside(address, 'localhost'))

    def test_ipv6_alone(self):
        """A machine without any IPv4 address, not even on loopback, is served like any other."""
        self.run_inside('ip', '-4', 'addr', 'flush', 'dev', 'lo')
        upstream = subprocess.Popen(self.inside(sys.executable, '-c', UPSTREAM_IPV6),
                                    stdout=subprocess.PIPE, text=True)
        self.addCleanup(upstream.wait)
        self.addCleanup(upstream.kill)
        self.addCleanup(upstream.stdout.close)
        self.assertEqual(upstream.stdout.readline(), 'ready\n')
        for engine in 'auto', 'epoll':
            with self.subTest(engine=engine):
                path = os.path.join(self.directory, f'{engine}.yaml')
                with open(path, 'w', encoding='ascii') as file:
                    file.write(f'server:\n  engine: {engine}\n')
                os.chmod(path, 0o644)
                ouzel = self.start('--config', path, '--listen', '[::1]:5353', '--upstream',
                                   '[::1]:5354', '--stats', '[::1]:9053')
                self.assertTrue(eventually(lambda: self.ready('[::1]').startswith('200'), 10),
                                ouzel.output())
                for transport in 'udp', 'tcp':
                    self.assertIn('192.0.2.7', self.ask_inside(
                        '::1', f'{engine}-{transport}.example', transport))
                self.assertEqual(ouzel.terminate(2), 0, ouzel.output())

    def test_upstream_that_comes_later(self):
        """And others in its place; while the file names none those before stay."""
        resolv = os.path.join(self.etc, 'resolv.conf')
        ouzel = self.start('--listen', '127.0.0.1:5353')
        self.assertTrue(eventually(lambda: self.ready().startswith('503'), 10), ouzel.output())
        self.assertIn('no upstream yet', self.ready())
        self.assertIn('REFUSED', self.ask_inside('127.0.0.1', 'a.example'))
        for number, (text, words) in enumerate((
                ('nameserver 127.0.0.8\n', 'setting="forward . to" from=none to=127.0.0.8:53'),
                ('nameserver 127.0.0.9\n', 'from=127.0.0.8:53 to=127.0.0.9:53'),
                ('', 'there would be no upstream'),
                ('nameserver 127.0.0.10\n', 'from=127.0.0.9:53 to=127.0.0.10:53'))):
            with open(resolv + '.new', 'w', encoding='ascii') as file:
                file.write(text)
            os.rename(resolv + '.new', resolv)
            self.assertTrue(eventually(lambda: words in ouzel.output(), 10), ouzel.output())
            self.assertTrue(self.ready().startswith('200'), number)


class Address(Case):
    def test_two_do_not_share_an_address_that_is_not_here(self):
        place = ('192.0.2.78', harness.free_port())
        first = self.ouzel(self.upstream(), listen=[place], workers=2)
        self.assertEqual(first.http('/readyz')[0], 503)
        second = harness.Ouzel(self.directory, ['127.0.0.9'], listen=[place], wait=False)
        self.keep(second)
        self.assertEqual(second.wait(5), 1)
        self.assertIn('another program has this address', second.output())

    def test_reload_with_an_address_that_is_not_here(self):
        here = harness.free_place()
        settings = {'server': {'listen': [harness.join(*here)]},
                    'forward': [{'zone': '.', 'to': [str(self.upstream())]}]}
        ouzel = self.ouzel(settings=settings, listen=[here])
        self.assertEqual(ouzel.http('/readyz')[0], 200)
        settings['server']['listen'].append('192.0.2.79:5353')
        self.reload(ouzel, settings)
        self.assertTrue(eventually(lambda: ouzel.http('/readyz')[0] == 503))
        self.assertTrue(ouzel.said('does not exist yet'), ouzel.output())
        del settings['server']['listen'][1]
        self.reload(ouzel, settings)
        self.assertTrue(eventually(lambda: ouzel.http('/readyz')[0] == 200))
        self.assertEqual(ask(ouzel.server, 'a.example').rcode(), dns.rcode.NOERROR)
        ouzel.child.send_signal(signal.SIGTERM)
        self.assertEqual(ouzel.wait(2), 0)
