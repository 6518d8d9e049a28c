# SPDX-License-Identifier: MIT
"""ouzel and other forwarders, each started before the same upstreams, on loopback, with one worker
where nothing else is said. Each is set up as its documents advise for a forwarder; what differs
from its defaults stands here. Caches are given in names and have room to spare, so that what is
measured is a cache that holds them."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from bench.lab import process
from bench.lab.cables import GENERATOR, GENERATOR6, Trouble

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'integration'))
import harness  # noqa: E402  pylint: disable=wrong-import-position
import load  # noqa: E402,F401  pylint: disable=wrong-import-position,unused-import

UNBOUND = '''server:
 interface: {address}@{port}
 access-control: 127.0.0.0/8 allow
 access-control: 10.53.0.0/24 allow
 access-control: fd53::/16 allow
 do-daemonize: no
 use-syslog: no
 username: ""
 chroot: ""
 pidfile: ""
 directory: "{directory}"
 num-threads: {workers}
 module-config: "iterator"
 do-not-query-localhost: no
 msg-cache-size: {msg_cache}
 rrset-cache-size: {rrset_cache}
 outgoing-range: 8192
 num-queries-per-thread: 4096
 so-rcvbuf: 4m
 so-sndbuf: 4m
 incoming-num-tcp: 1000
 edns-buffer-size: 1232
 use-caps-for-id: {caps}
remote-control:
 control-enable: no
forward-zone:
 name: "."
'''

DNSDIST = '''setLocal("{address}:{port}", {{reusePort=true}})
{listeners}setACL({{"127.0.0.0/8", "10.53.0.0/24"}})
setVerboseHealthChecks(false)
{more}getPool(""):setCache(newPacketCache({entries}, {{maxTTL=86400}}))
'''


BIND = '''options {{
 directory "{directory}";
 listen-on port {port} {{ {address}; }};
 listen-on-v6 {{ none; }};
 pid-file none;
 session-keyfile none;
 allow-query {{ any; }};
 allow-recursion {{ any; }};
 allow-query-cache {{ any; }};
 dnssec-validation no;
 minimal-responses yes;
 max-cache-size {cache};
 tcp-clients 1000;
 tcp-listen-queue 1000;
 forward only;
 forwarders {{ {upstreams} }};
}};
controls {{ }};
'''

KNOT = '''net.listen("{address}", {port}, {{ kind = "dns" }})
trust_anchors.remove(".")
cache.open({cache}, "lmdb://{storage}")
cache.min_ttl(86400)
modules.unload("priming")
modules.unload("detect_time_skew")
modules.unload("detect_time_jump")
policy.add(policy.all(policy.STUB({{ {upstreams} }})))
'''

SMARTDNS = '''bind {address}:{port}
bind-tcp {address}:{port}
cache-size {entries}
cache-persist no
prefetch-domain no
serve-expired no
speed-check-mode none
dualstack-ip-selection no
log-level error
log-file {directory}/log.smartdns
audit-enable no
'''


NAMES = 1000000  # that all have room for at least, those aside that grow dear with it
MIB = 1 << 20
MEMORY = '/dev/shm'


class Peer:
    """One server: `start` runs it, `stop` ends it by its pid; `address`, `port`, `child`.
    `where` is an address and a port other than one on loopback, `prefix` words in front of the
    command, `names` how many answers its cache is to hold."""

    name = program = None
    octets = 0  # that a name takes in its cache, as `scripts/bench memory` says
    names_max = None  # that it can hold
    interface = 'cable'  # that it is asked at, over a cable
    scales = False  # can it have several workers in one process?
    passes = 1  # over all names, with which it has learned them

    def __init__(self, directory, where=None, prefix=(), names=NAMES, workers=1):
        self.names, self.workers = names, workers
        self.directory = os.path.join(directory, self.name)
        os.makedirs(self.directory, exist_ok=True)
        self.address, self.port = where or ('127.0.0.1', harness.free_port())
        self.asking = GENERATOR6 if ':' in self.address else GENERATOR  # over a cable
        self.prefix, self.child = list(prefix), None

    @classmethod
    def version(cls):
        """What it says of itself."""
        done = subprocess.run([cls.program, cls.version_word], capture_output=True, text=True,
                              check=False, timeout=10)
        return re.search(r'\d+(\.\d+)+|\d+\+\S+', done.stdout + done.stderr)[0]

    version_word = '--version'

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

    def launch(self, upstreams):
        """`upstreams` are pairs of address and port."""
        with open(os.path.join(self.directory, 'log'), 'wb') as log:
            self.child = subprocess.Popen(self.prefix + self.command(upstreams),
                                          stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=subprocess.STDOUT)

    def check(self):
        if self.child.poll() is not None:
            with open(os.path.join(self.directory, 'log'), encoding='utf-8',
                      errors='replace') as log:
                raise RuntimeError(f'{self.name} ended by itself and says:\n{log.read()}')

    def start(self, upstreams):
        """Launches it and waits until something answers."""
        self.launch(upstreams)
        # A query that every server answers by itself, so that no upstream is asked.
        refused = harness.plain_query('x')[:2] + b'\x20' + harness.plain_query('x')[3:]
        if not harness.eventually(lambda: self.child.poll() is not None or
                                  harness.ask_raw((self.address, self.port), refused, 0.2), 10):
            time.sleep(1)  # some say nothing to an unknown opcode
        self.check()

    def stop(self):
        if self.child:
            process.stop(self.child)

    def cpu_us(self):
        return process.cpu_us(self.child.pid)


class Ouzel(Peer):
    name, version_word = 'ouzel', 'version'
    octets, scales = 128, True
    program = os.environ.get('OUZEL_BINARY') or os.path.join(ROOT, 'build', 'ouzel')
    more = ''  # settings
    stats = None  # the port

    def command(self, upstreams):
        self.stats = harness.free_port()
        size = max(self.names, NAMES) * 256 // MIB
        command = [self.program, 'serve', '--workers', str(self.workers),
                   '--config', self.write('ouzel.yaml', f'cache:\n  size: {size}M\n{self.more}'),
                   '--stats', f'127.0.0.1:{self.stats}',
                   '--listen', harness.join(self.address, self.port)]
        for upstream in upstreams:
            command += ['--upstream', harness.join(*upstream)]
        return command


class Before(Ouzel):
    """Another program of ouzel's, that of before a change: the one that OUZEL_BEFORE names."""
    name = 'ouzel-before'
    program = os.environ.get('OUZEL_BEFORE', '')


class Epoll(Ouzel):
    """ouzel with its other engine."""
    name = 'ouzel-epoll'
    more = 'server:\n  engine: epoll\n'


class OwnCable(Ouzel):
    """ouzel at a cable of its own. The kernel's thread that works there counts as the server's."""
    thread = None
    mode = None  # of the XDP plane; none: there is no plane
    limits = ''

    def command(self, upstreams):
        xdp = f'  xdp: [{self.interface}{self.mode}]\n' if self.mode else ''
        self.more = ('server:\n  workers: 1\n' + xdp + self.limits +
                     'access:\n  allow: [10.53.0.0/16, 127.0.0.0/8, "fd53::/16"]\n')
        return super().command(upstreams)

    def cpu_us(self):
        return super().cpu_us() + (process.cpu_us(self.thread) if self.thread else 0.0)


class Plain(OwnCable):
    """Without a plane."""
    name = 'ouzel-plain'


class Xdp(OwnCable):
    """With its XDP plane."""
    name, mode = 'ouzel-xdp', '/driver'
    passes = 4  # the first three hits of an answer go to the sockets

    @classmethod
    def installed(cls):
        with open(cls.program, 'rb') as file:
            return os.geteuid() == 0 and b'built without XDP' not in file.read()

    def in_driver(self):
        """Queries that its program has answered so far, and all queries."""
        text = subprocess.run([*self.prefix, 'curl', '-s', '-m', '5',
                               f'http://127.0.0.1:{self.stats}/metrics'], capture_output=True,
                              text=True, check=True, timeout=10).stdout
        each = re.findall(r'^ouzel_queries_total\{.*transport="(\w+)".*\} (\d+)', text, re.M)
        return (sum(int(number) for transport, number in each if transport == 'xdp'),
                sum(int(number) for _, number in each))


class Unbound(Peer):
    name = program = 'unbound'
    octets, scales = 983, True
    version_word = '-V'
    caps = 'no'

    def command(self, upstreams):
        names = max(self.names, NAMES)
        text = UNBOUND.format(address=self.address, port=self.port, directory=self.directory,
                              caps=self.caps, workers=self.workers, msg_cache=names * 512,
                              rrset_cache=names * 768)
        text += ''.join(f' forward-addr: {address}@{port}\n' for address, port in upstreams)
        return [self.program, '-d', '-c', self.write('unbound.conf', text)]


class Dnsdist(Peer):
    name = program = 'dnsdist'
    octets, scales = 315, True
    more = ''

    def command(self, upstreams):
        listener = f'addLocal("{self.address}:{self.port}", {{reusePort=true}})\n'
        text = DNSDIST.format(address=self.address, port=self.port, more=self.more,
                              listeners=listener * (self.workers - 1),
                              entries=2 * max(self.names, NAMES))
        text += ''.join(f'newServer({{address="{address}:{port}", sockets=8}})\n'
                        for address, port in upstreams)
        return [self.program, '--supervised', '--disable-syslog', '-C',
                self.write('dnsdist.conf', text)]


class DnsdistVector(Dnsdist):
    """With many datagrams to a system call, its fastest setting."""

    name = 'dnsdist-vector'
    more = 'setUDPMultipleMessagesVectorSize(64)\n'


class Recursor(Peer):
    name, program = 'recursor', 'pdns_recursor'
    octets, scales = 978, True

    def command(self, upstreams):
        entries = 2 * max(self.names, NAMES)
        return [self.program, f'--config-dir={self.directory}', '--daemon=no', '--write-pid=no',
                f'--socket-dir={self.directory}', f'--local-address={self.address}',
                f'--local-port={self.port}', '--allow-from=127.0.0.0/8,10.53.0.0/24',
                f'--threads={self.workers}', '--pdns-distributes-queries=no', '--reuseport=yes',
                '--dnssec=off', '--loglevel=3', '--security-poll-suffix=',
                f'--max-cache-entries={entries}', f'--max-packetcache-entries={entries}',
                '--max-tcp-clients=1000', '--dont-query=', '--packetcache-ttl=86400',
                '--forward-zones-recurse=.=' + ';'.join(f'{a}:{p}' for a, p in upstreams)]


class Knot(Peer):
    """Its cache is a file of a fixed size, which its documents want in memory (tmpfs). It keeps
    answers that it does not validate for cache.min_ttl alone, five seconds."""

    name, program, octets = 'knot-resolver', 'kresd', 640
    storage = None

    def command(self, upstreams):
        size = max(self.names * self.octets, 512 * MIB)
        roomy = os.path.isdir(MEMORY) and shutil.disk_usage(MEMORY).free > size
        self.storage = tempfile.mkdtemp(prefix='ouzel-bench-', dir=MEMORY if roomy else None)
        text = KNOT.format(address=self.address, port=self.port, cache=size, storage=self.storage,
                           upstreams=', '.join(f'"{a}@{p}"' for a, p in upstreams))
        return [self.program, '-n', '-c', self.write('kresd.conf', text), self.directory]

    def stop(self):
        super().stop()
        if self.storage:
            shutil.rmtree(self.storage, ignore_errors=True)


class Bind(Peer):
    name, program, version_word = 'bind', 'named', '-v'
    octets, scales = 318, True

    def command(self, upstreams):
        text = BIND.format(address=self.address, port=self.port, directory=self.directory,
                           cache=max(self.names * 1024, 512 * MIB),
                           upstreams=' '.join(f'{a} port {p};' for a, p in upstreams))
        workers = str(self.workers)
        return [self.program, '-f', '-n', workers, '-U', workers, '-c',
                self.write('named.conf', text)]


class SmartDns(Peer):
    name, program, version_word = 'smartdns', 'smartdns', '-v'
    octets = 512

    def command(self, upstreams):
        text = SMARTDNS.format(address=self.address, port=self.port, directory=self.directory,
                               entries=2 * max(self.names, NAMES))
        text += ''.join(f'server {address}:{port}\n' for address, port in upstreams)
        return [self.program, '-f', '-p', '-', '-c', self.write('smartdns.conf', text)]


class Dnsmasq(Peer):
    """A larger cache than 10,000 names its documents advise against; it takes one all the same."""

    name = program = 'dnsmasq'
    octets, names_max = 100, NAMES  # it learns a few thousand names a second

    def command(self, upstreams):
        command = [self.program, '--keep-in-foreground', '--no-resolv', '--no-hosts',
                   f'--conf-file={self.write("dnsmasq.conf", "")}', '--pid-file=', '--user=root',
                   f'--listen-address={self.address}', f'--port={self.port}', '--bind-interfaces',
                   f'--cache-size={max(2 * self.names, 10000)}', '--dns-forward-max=1000']
        return command + [f'--server={address}#{port}' for address, port in upstreams]


class Relay(Peer):
    """No forwarder: the floor of one, which passes questions and replies on (relay_mmsg.c)."""
    name = 'relay'
    program = os.path.join(ROOT, 'build', 'bench', 'load', 'relay_mmsg')

    @classmethod
    def version(cls):
        return ''

    def command(self, upstreams):
        (address, port), = upstreams
        return [self.program, '-a', self.address, '-p', str(self.port), address, str(port)]


ALL = (Ouzel, Before, Epoll, Unbound, Dnsdist, Dnsmasq)
FORWARDERS = (Relay, *ALL)  # and their floor
# In the order in which they are given the machine's memory, where it is not enough for all.
CACHES = (Ouzel, Before, Epoll, Xdp, Unbound, DnsdistVector, Bind, Dnsdist, Recursor, Knot, Dnsmasq,
          SmartDns)


def versions(names):
    """What those of these names that are forwarders say of themselves."""
    return {kind.name: kind.version() for kind in CACHES if kind.name in names}


def chosen(names, among=ALL):
    """The classes of these names, or of all that are installed."""
    known = {peer.name: peer for peer in among}
    for name in names or ():
        if name not in known:
            raise Trouble(f"there is no forwarder '{name}' here; there are: {', '.join(known)}")
    if names:
        return [known[name] for name in names]
    return [peer for peer in among if peer.installed()]
