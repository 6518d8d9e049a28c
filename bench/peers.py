# SPDX-License-Identifier: MIT
"""ouzel and other forwarders, each started with one worker before the same upstreams, on
loopback. Each is set up as its documents advise for a forwarder; what differs from its defaults
stands here."""

import os
import shutil
import subprocess
import sys
import time

import process

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'integration'))
import harness  # noqa: E402  pylint: disable=wrong-import-position

UNBOUND = '''server:
 interface: {address}@{port}
 access-control: 127.0.0.0/8 allow
 do-daemonize: no
 use-syslog: no
 username: ""
 chroot: ""
 pidfile: ""
 directory: "{directory}"
 num-threads: 1
 module-config: "iterator"
 do-not-query-localhost: no
 msg-cache-size: 128m
 rrset-cache-size: 256m
 outgoing-range: 8192
 num-queries-per-thread: 4096
 so-rcvbuf: 4m
 so-sndbuf: 4m
 edns-buffer-size: 1232
 use-caps-for-id: {caps}
remote-control:
 control-enable: no
forward-zone:
 name: "."
'''

DNSDIST = '''setLocal("{address}:{port}")
setACL({{"127.0.0.0/8"}})
setVerboseHealthChecks(false)
getPool(""):setCache(newPacketCache(2000000, {{maxTTL=86400}}))
'''


class Peer:
    """One server: `start` runs it, `stop` ends it by its pid; `address`, `port`, `child`."""

    name = program = None

    def __init__(self, directory):
        self.directory = os.path.join(directory, self.name)
        os.makedirs(self.directory, exist_ok=True)
        self.address, self.port, self.child = '127.0.0.1', harness.free_port(), None

    @classmethod
    def installed(cls):
        return shutil.which(cls.program) is not None

    def command(self, upstreams):
        raise NotImplementedError

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, 'w', encoding='ascii') as file:
            file.write(text)
        return path

    def start(self, upstreams):
        """`upstreams` are pairs of address and port. Waits until something answers."""
        with open(os.path.join(self.directory, 'log'), 'wb') as log:
            self.child = subprocess.Popen(self.command(upstreams), stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=subprocess.STDOUT)
        # A query that every server answers by itself, so that no upstream is asked.
        refused = harness.plain_query('x')[:2] + b'\x20' + harness.plain_query('x')[3:]
        if not harness.eventually(lambda: self.child.poll() is not None or
                                  harness.ask_raw((self.address, self.port), refused, 0.2), 10):
            time.sleep(1)  # some say nothing to an unknown opcode
        if self.child.poll() is not None:
            with open(os.path.join(self.directory, 'log'), encoding='utf-8') as log:
                raise RuntimeError(f'{self.name} ended by itself and says:\n{log.read()}')

    def stop(self):
        if self.child:
            process.stop(self.child)

    def cpu_us(self):
        return process.cpu_us(self.child.pid)


class Ouzel(Peer):
    name = 'ouzel'
    program = os.environ.get('OUZEL_BINARY') or os.path.join(ROOT, 'build', 'ouzel')

    def command(self, upstreams):
        stats = harness.free_port()
        command = [self.program, 'serve', '--workers', '1', '--stats', f'127.0.0.1:{stats}',
                   '--listen', harness.join(self.address, self.port)]
        for upstream in upstreams:
            command += ['--upstream', harness.join(*upstream)]
        return command


class Unbound(Peer):
    name = program = 'unbound'
    caps = 'no'

    def command(self, upstreams):
        text = UNBOUND.format(address=self.address, port=self.port, directory=self.directory,
                              caps=self.caps)
        text += ''.join(f' forward-addr: {address}@{port}\n' for address, port in upstreams)
        return [self.program, '-d', '-c', self.write('unbound.conf', text)]


class Dnsdist(Peer):
    name = program = 'dnsdist'

    def command(self, upstreams):
        text = DNSDIST.format(address=self.address, port=self.port)
        text += ''.join(f'newServer({{address="{address}:{port}", sockets=8}})\n'
                        for address, port in upstreams)
        return [self.program, '--supervised', '--disable-syslog', '-C',
                self.write('dnsdist.conf', text)]


class Dnsmasq(Peer):
    name = program = 'dnsmasq'

    def command(self, upstreams):
        command = [self.program, '--keep-in-foreground', '--no-resolv', '--no-hosts',
                   f'--conf-file={self.write("dnsmasq.conf", "")}', '--pid-file=', '--user=root',
                   f'--listen-address={self.address}', f'--port={self.port}', '--bind-interfaces',
                   '--cache-size=10000', '--dns-forward-max=1000']
        return command + [f'--server={address}#{port}' for address, port in upstreams]


ALL = (Ouzel, Unbound, Dnsdist, Dnsmasq)


def chosen(names):
    """The classes of these names, or of all that are installed."""
    known = {peer.name: peer for peer in ALL}
    if names:
        return [known[name] for name in names]
    return [peer for peer in ALL if peer.installed()]
