# SPDX-License-Identifier: MIT
"""ouzel as a process: what it tells a service manager, and which privileges it drops."""

import errno
import os
import re
import signal
import socket
import time
import unittest

import harness
from case import Case
from harness import ask, eventually


class Notify(Case):
    def listen(self, path):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        sock.bind('\0' + path[1:] if path.startswith('@') else path)
        sock.settimeout(5 * harness.PATIENCE)
        return sock

    def heard(self, sock, word):
        """Waits for a message that begins so and returns it."""
        while True:
            text = sock.recv(4096).decode()
            if text.startswith(word):
                return text

    def start(self, path, **environment):
        return self.ouzel(self.upstream(), settings={'log': {'level': 'debug'}},
                          env={**os.environ, 'NOTIFY_SOCKET': path, **environment})

    def test_life(self):
        path = os.path.join(self.directory, 'notify')
        sock = self.listen(path)
        ouzel = self.start(path)
        self.heard(sock, 'READY=1')
        self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')
        ouzel.child.send_signal(signal.SIGHUP)
        text = self.heard(sock, 'RELOADING=1')
        told = int(re.search(r'^MONOTONIC_USEC=(\d+)$', text, re.M).group(1))
        self.assertLess(abs(time.monotonic() * 1e6 - told), 5e6)
        self.heard(sock, 'READY=1')
        self.assertEqual(ouzel.terminate(), 0)
        self.heard(sock, 'STOPPING=1')

    def test_abstract_socket(self):
        path = f'@ouzel-test-{os.getpid()}'
        sock = self.listen(path)
        self.start(path)
        self.heard(sock, 'READY=1')

    def test_watchdog(self):
        path = os.path.join(self.directory, 'notify')
        sock = self.listen(path)
        ouzel = self.start(path, WATCHDOG_USEC='400000')
        start = time.monotonic()
        for _ in range(5):
            self.heard(sock, 'WATCHDOG=1')
        self.assertLess(time.monotonic() - start, 3 * harness.PATIENCE)
        self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')

    def test_watchdog_of_another(self):
        path = os.path.join(self.directory, 'notify')
        sock = self.listen(path)
        self.start(path, WATCHDOG_USEC='100000', WATCHDOG_PID='1')
        self.heard(sock, 'READY=1')
        sock.settimeout(0.5)
        with self.assertRaises(socket.timeout):
            self.heard(sock, 'WATCHDOG=1')

    def test_without_a_service_manager(self):
        for path in ('/nowhere/at/all', 'relative', '@', '/' + 'x' * 200):
            ouzel = self.start(path)
            self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')


def status_of(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        return dict(re.findall(r'^(\w+):\s+(.*)$', file.read(), re.M))


LOW_PORTS, CUT_BOUNDING = 1 << 10, 1 << 8  # CAP_NET_BIND_SERVICE, CAP_SETPCAP


def is_sanitized():
    """Such a build has no filter of system calls."""
    with open(harness.BINARY, 'rb') as file:
        return re.search(rb'__(asan|tsan)_init', file.read()) is not None


class Rights(Case):
    def statuses(self, ouzel):
        """Of all threads: those of the rings are the kernel's, and have what the others have."""
        return [status_of(f'{ouzel.pid}/task/{thread}')
                for thread in os.listdir(f'/proc/{ouzel.pid}/task')]

    def assert_limited(self, ouzel, own):
        """To what it may keep, which was started with these capabilities."""
        capabilities = own & LOW_PORTS
        bounding = int(status_of('self')['CapBnd'], 16)
        if own & CUT_BOUNDING:
            bounding &= LOW_PORTS
        for status in self.statuses(ouzel):
            self.assertEqual(status['NoNewPrivs'], '1')
            if not is_sanitized():
                self.assertEqual(status['Seccomp'], '2')
            for kind in ('CapPrm', 'CapEff', 'CapInh', 'CapAmb'):
                self.assertEqual(int(status[kind], 16), capabilities, kind)
            self.assertEqual(int(status['CapBnd'], 16), bounding)

    def test_given_up(self):
        ouzel = self.ouzel(self.upstream(), workers=2)
        self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')
        self.assert_limited(ouzel, int(status_of('self')['CapPrm'], 16))

    @unittest.skipUnless(os.geteuid() == 0, 'only root can change the user')
    def test_given_up_by_an_ordinary_user(self):
        """A process without the capability gets none, and may not reduce the bounding set."""
        ouzel = self.ouzel(self.upstream(), workers=2, binary=self.reachable(harness.BINARY),
                           preexec_fn=harness.become_nobody)
        self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')
        self.assert_limited(ouzel, 0)

    def test_system_calls(self):
        """The log says whether they are limited."""
        ouzel = self.ouzel(self.upstream())
        self.assertIn('msg="no sandbox"' if is_sanitized() else 'msg=sandbox state=on',
                      ouzel.output())
        ouzel = self.ouzel(self.upstream(), settings={'server': {'sandbox': False}})
        self.assertIn('msg=sandbox state=off', ouzel.output())
        for status in self.statuses(ouzel):
            self.assertEqual(status['Seccomp'], status_of('self')['Seccomp'])
        self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')

    @unittest.skipIf(is_sanitized(), 'built without a filter')
    def test_kernel_without_filters(self):
        """Then it serves without one, and says so."""
        ouzel = self.ouzel(self.upstream(), preexec_fn=harness.forbid_calls(
            errno.EINVAL, harness.SECCOMP, (harness.PRCTL, harness.SET_SECCOMP)))
        self.assertIn('level=warning msg="no sandbox"', ouzel.output())
        self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')

    @unittest.skipUnless(os.geteuid() == 0, 'only root can change the user')
    def test_becomes_a_user(self):
        """With a port that root alone may bind, and every thread; and what it does from then on
        needs no more."""
        control = os.path.join(self.directory, 'control.sock')
        os.chmod(self.directory, 0o755)
        kept = os.path.join(self.directory, 'kept')
        os.mkdir(kept)
        os.chown(kept, harness.NOBODY, harness.NOBODY)
        ouzel = self.ouzel(self.upstream(), listen=[(harness.fresh_address(), 53)], workers=2,
                           settings={'server': {'user': 'nobody'}, 'control': {'socket': control},
                                     'cache': {'snapshot': os.path.join(kept, 'cache')}})
        for number in range(8):
            self.assert_status(ask(ouzel.server, f'n{number}.example'), 'NOERROR')
        self.assert_limited(ouzel, int(status_of('self')['CapPrm'], 16))
        for status in self.statuses(ouzel):
            self.assertEqual(status['Uid'].split(), [str(harness.NOBODY)] * 4)
        self.assertEqual(os.stat(control).st_uid, harness.NOBODY)
        start = len(ouzel.output())
        ouzel.child.send_signal(signal.SIGHUP)
        self.assertTrue(eventually(lambda: 'msg=reloaded' in ouzel.output()[start:]))
        self.assert_status(ask(ouzel.server, 'after.example'), 'NOERROR')
        self.assertEqual(ouzel.http('/top.json')[0], 200)
        self.assert_balance(ouzel)
        self.assertEqual(ouzel.terminate(), 0)
        self.assertEqual(os.listdir(kept), ['cache'])

    def test_unknown_user(self):
        ouzel = self.ouzel(self.upstream(), settings={'server': {'user': 'no-such-user'}},
                           wait=False)
        self.assertEqual(ouzel.wait(5), 2)
        self.assertIn('there is no user no-such-user', ouzel.output())
