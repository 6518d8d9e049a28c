# SPDX-License-Identifier: MIT
"""The Debian package: built from the tree, and installed, used and removed again on a machine of
its own (machine.py)."""

import os
import re
import resource
import shlex
import shutil
import socket
import subprocess
import tempfile
import unittest

import dns.query

import harness
from case import SharedCase
from harness import ask, rdata_texts
from machine import TREE, Machine, Unavailable

STATE = '/var/lib/ouzel'
SETTINGS = '/etc/ouzel/ouzel.yaml'
UNIT = '/lib/systemd/system/ouzel.service'

# All that the package brings, directories aside.
FILES = {
    SETTINGS, UNIT, '/usr/sbin/ouzel', '/usr/share/bash-completion/completions/ouzel',
    '/usr/share/man/man5/ouzel.yaml.5.gz', '/usr/share/man/man8/ouzel.8.gz',
    *('/usr/share/doc/ouzel/' + name for name in (
        'README.md.gz', 'changelog.gz', 'copyright', 'forwarding.md.gz', 'monitoring.md.gz',
        'operating.md.gz', 'policy.md.gz', 'reference.md.gz',
        'examples/grafana-dashboard.json', 'examples/ouzel.yaml',
        'examples/prometheus-alerts.yaml'))}

# What may be other than before when the package was purged: what the package tools record for
# themselves, and the users, as one is never removed.
MAY_CHANGE = re.compile(
    r'/var/lib/dpkg/.*|/var/log/.*|/var/cache/(man|ldconfig|debconf|apt)(/.*)?|/etc/ld\.so\.cache'
    r'|/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?|/etc/\.pwd\.lock|/etc/resolv\.conf')


def missing():
    """What building and installing needs and is not here; '' for nothing."""
    tools = ('dpkg-buildpackage', 'dh', 'unshare', 'nsenter', 'setpriv', 'prlimit', 'ip')
    return ', '.join(tool for tool in tools
                     if not shutil.which(tool, path='/usr/sbin:/usr/bin:/sbin:/bin'))


def unit_of(machine):
    """The settings of the installed unit's service, each a list of words."""
    with open(machine.path(UNIT), encoding='utf-8') as file:
        service = re.search(r'^\[Service\]$(.*?)^\[', file.read(), re.M | re.S).group(1)
    return {key: shlex.split(value)
            for key, value in re.findall(r'^(\w+)=(.*)$', service, re.M)}


class Service(harness.Process):
    """The daemon on a machine, started as its unit says, as far as that matters to it: with the
    rights, limits and directories that it gets from systemd, until it says that it is ready."""

    def __init__(self, machine, directory):
        unit = unit_of(machine)
        for name in unit['RuntimeDirectory']:
            os.makedirs(machine.path(f'/run/{name}'), 0o755, exist_ok=True)
        rights = ','.join('+' + name.removeprefix('CAP_').lower()
                          for name in unit['CapabilityBoundingSet'])
        # Less if this machine allows no process as much.
        descriptors = min(int(unit['LimitNOFILE'][0]),
                          resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = '/run/notify'
        if os.path.exists(machine.path(path)):
            os.unlink(machine.path(path))
        notify.bind(machine.path(path))
        os.chmod(machine.path(path), 0o666)
        notify.settimeout(0.1)
        super().__init__(
            machine.command('prlimit', f'--nofile={descriptors}',
                            'setpriv', '--bounding-set', f'-all,{rights}', '--no-new-privs',
                            *unit['ExecStart']),
            tempfile.mktemp('.log', 'ouzel-', directory), umask=int(unit['UMask'][0], 8),
            env={**machine.environment, 'NOTIFY_SOCKET': path})
        with notify:
            self.ready = harness.eventually(lambda: self.said_ready(notify), 20) is True

    def said_ready(self, notify):
        """True; or 'ended', as there is nothing to wait for then."""
        try:
            return notify.recv(4096).startswith(b'READY=1')
        except socket.timeout:
            return not self.running() and 'ended'


class Package(SharedCase):
    WEIGHT = 8  # the package is built first

    @classmethod
    def start_shared(cls):
        if 'OUZEL_BINARY' in os.environ:
            raise unittest.SkipTest('another program is tested than the one that is packaged')
        if missing():
            raise unittest.SkipTest(f'not installed: {missing()}')
        if any(os.path.exists(path) for path in (STATE, SETTINGS)):
            raise unittest.SkipTest('an ouzel is installed on this machine')
        try:
            machine = Machine(tempfile.mkdtemp(dir=cls.shared_directory))
        except Unavailable as why:
            raise unittest.SkipTest(str(why)) from why
        has_ipv6 = machine.inside(harness.has_ipv6)
        machine.end()
        if not has_ipv6:
            raise unittest.SkipTest('the settings of the package need IPv6, which is not here')
        # `timeout` ends all that the script has started, too.
        built = subprocess.run(['timeout', str(300 * harness.PATIENCE),
                                os.path.join(harness.ROOT, 'scripts', 'package')],
                               capture_output=True, text=True, check=False)
        if built.returncode != 0:
            raise AssertionError(f'scripts/package failed:\n{built.stdout}{built.stderr}')
        cls.package = built.stdout.strip()

    def start_machine(self):
        """With an upstream that its resolv.conf names."""
        self.machine = Machine(tempfile.mkdtemp(dir=self.directory))
        self.addCleanup(self.machine.end)
        self.fake = self.machine.inside(self.upstream, address='127.0.0.2', port=53)
        with open(self.machine.path('/etc/resolv.conf'), 'w', encoding='ascii') as file:
            file.write('nameserver 127.0.0.2\n')

    def install(self):
        return self.machine.run('dpkg', '--install', os.path.join(TREE, self.package))

    def serve(self):
        return self.keep(Service(self.machine, self.directory))

    def stop(self, service):
        self.assertEqual(service.terminate(), 0, service.output())

    def ask(self, *question, **options):
        return self.machine.inside(ask, *question, **options)

    def exists(self, path):
        return os.path.lexists(self.machine.path(path))

    def read(self, path):
        with open(self.machine.path(path), encoding='utf-8') as file:
            return file.read()

    def assert_owner(self, path, user, mode):
        about = self.machine.run('stat', '--format', '%U:%G %a', path).stdout.strip()
        self.assertEqual(about, f'{user}:{user} {mode:o}', path)

    def test_contents(self):
        def said(*words):
            return subprocess.run(['dpkg-deb', *words], capture_output=True, text=True, check=True,
                                  cwd=harness.ROOT, timeout=20).stdout
        brought = set()
        for line in said('--contents', self.package).splitlines():
            mode, owner, _, _, _, path = line.split(maxsplit=5)
            with self.subTest(path=path):
                self.assertEqual(owner, 'root/root')
                if mode[0] != 'd':
                    brought.add(path.removeprefix('.'))
                self.assertEqual(mode[1:], 'rwxr-xr-x' if mode[0] == 'd' or '/sbin/' in path
                                 else 'rw-r--r--')
        self.assertEqual(brought, FILES)
        self.assertEqual(said('--info', self.package, 'conffiles').split(), [SETTINGS])
        version = subprocess.run([harness.BINARY, 'version'], capture_output=True, text=True,
                                 check=True, timeout=20).stdout
        self.assertIn(said('--field', self.package, 'Version').strip(), version.split())

    def test_life(self):
        """From nothing to nothing."""
        self.start_machine()
        machine = self.machine
        self.install()
        for path in FILES:
            self.assertTrue(self.exists(path), path)
        self.assert_owner(STATE, 'ouzel', 0o750)
        self.assert_owner(SETTINGS, 'root', 0o644)
        user = machine.run('getent', 'passwd', 'ouzel').stdout.strip().split(':')
        self.assertLess(int(user[2]), 1000)
        self.assertEqual(user[5:], [STATE, '/usr/sbin/nologin'])
        self.assertTrue(self.exists('/etc/systemd/system/multi-user.target.wants/ouzel.service'))
        machine.run('ouzel', 'check', '--config', SETTINGS)

        self.used()
        # Answers of the snapshot are given although no upstream can be asked.
        self.fake.stop()
        service = self.serve()
        self.assertTrue(service.ready, service.output())
        self.assertTrue(service.said('msg="snapshot read"'), service.output())
        self.assertEqual(rdata_texts(self.ask(('127.0.0.1', 53), 'a.example')), ['192.0.2.1'])
        self.stop(service)

        machine.run('dpkg', '--remove', 'ouzel')
        self.assertFalse(self.exists('/usr/sbin/ouzel'))
        self.assertTrue(self.exists(SETTINGS))
        self.assertTrue(self.exists(STATE + '/cache'))
        machine.run('dpkg', '--purge', 'ouzel')
        self.assertEqual([path for path in machine.changes() if not MAY_CHANGE.fullmatch(path)], [])
        self.assertEqual([path for path in machine.changes() if 'ouzel' in path], [])
        machine.run('getent', 'passwd', 'ouzel')

    def used(self):
        """The daemon does what it is there for, with all that the settings name."""
        service = self.serve()
        self.assertTrue(service.ready, service.output())
        with open(f'/proc/{service.pid}/status', encoding='ascii') as file:
            uid = re.search(r'^Uid:\s+(\d+)', file.read(), re.M).group(1)
        self.assertEqual(uid, self.machine.run('id', '-u', 'ouzel').stdout.strip())
        for server in ('127.0.0.1', '::1'):
            reply = self.ask((server, 53), 'a.example')
            self.assertEqual(rdata_texts(reply), ['192.0.2.1'])
            reply = self.machine.inside(dns.query.tcp, harness.query('a.example'), server,
                                        timeout=5 * harness.PATIENCE)
            self.assertEqual(rdata_texts(reply), ['192.0.2.1'])
        self.assertEqual(self.fake.names(), ['a.example'])
        self.assertIn('127.0.0.2', self.machine.run('ouzel', 'ctl', 'upstreams').stdout)
        self.assertIn('reloaded', self.machine.run('ouzel', 'ctl', 'reload').stdout)
        self.assertEqual(self.machine.inside(
            http_status, ('127.0.0.1', 9053), '/healthz'), 200)
        self.stop(service)
        self.assert_owner(STATE + '/cache', 'ouzel', 0o640)

    def test_port_is_taken(self):
        """The package is installed all the same, and the daemon says what is wrong."""
        self.start_machine()
        other = self.machine.inside(self.upstream, address='127.0.0.1', port=53)
        self.install()
        service = self.serve()
        self.assertEqual(service.wait(5), 1)
        self.assertEqual(other.names(), [])
        self.assertIn('cannot listen on 127.0.0.1:53: another program has this address and port',
                      service.output())

    def test_again(self):
        """Another installation over the first, as an upgrade does it, keeps what is the
        administrator's."""
        self.start_machine()
        self.install()
        with open(self.machine.path(SETTINGS), 'a', encoding='utf-8') as file:
            file.write('\nlog:\n  level: debug\n')
        before = self.read(SETTINGS)
        self.machine.run('chmod', '700', STATE)
        self.install()
        self.assertEqual(self.read(SETTINGS), before)
        self.assert_owner(STATE, 'ouzel', 0o700)
        self.machine.run('dpkg', '--purge', 'ouzel')
        self.assertFalse(self.exists(SETTINGS))
        self.assertFalse(self.exists(STATE))


def http_status(server, path):
    with socket.create_connection(server, timeout=5 * harness.PATIENCE) as sock:
        sock.sendall(f'GET {path} HTTP/1.0\r\n\r\n'.encode())
        return int(sock.makefile('rb').readline().split()[1])
