# SPDX-License-Identifier: MIT
"""What the integration tests are made of: ouzel itself as a process, name servers that it forwards
to (NSD with zones made here, and a fake one that can drop, delay, lie and count), and clients.

Each server gets addresses of 127.0.0.0/8 that no other test uses and ports that are free now. Every
wait has an end, and only processes started here are ever ended.
"""

import ctypes
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.request

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from plane import PLANE, SERVERS, compare

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get('OUZEL_BINARY') or os.path.join(ROOT, 'build', 'ouzel')
SAMPLE_ZONE = os.path.join(ROOT, 'packaging', 'sample-zone', 'ouzel.example.zone')
NOBODY = 65534

# server.engine of every server whose settings say nothing of it; None: it is the default.
ENGINE = os.environ.get('OUZEL_ENGINE')

# A slow machine, or a sanitizer in the program, may stretch every wait.
PATIENCE = float(os.environ.get('OUZEL_PATIENCE', '1'))


# --- addresses ---------------------------------------------------------------------------------

_addresses = itertools.count(2)
_address_base = (random.randrange(1, 250), random.randrange(1, 250))


def fresh_address():
    """An address of 127.0.0.0/8 that no test of this run has had; at ouzel's end of the cable where
    there is one."""
    number = next(_addresses)
    place = SERVERS if PLANE.on else f'127.{_address_base[0]}'
    return f'{place}.{(_address_base[1] + number // 250) % 256}.{2 + number % 250}'


def free_port(address='127.0.0.1'):
    """A port that is free for UDP and TCP at this address now."""
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    for _ in range(50):
        with socket.socket(family, socket.SOCK_DGRAM) as udp, \
                socket.socket(family, socket.SOCK_STREAM) as tcp:
            udp.bind((address, 0))
            port = udp.getsockname()[1]
            try:
                tcp.bind((address, port))
                return port
            except OSError:
                continue
    raise RuntimeError(f'no free port at {address}')


def free_place():
    """An unused address on loopback, and a port there."""
    address = fresh_address()
    return address, free_port(address)


def join(address, port):
    return f'[{address}]:{port}' if ':' in address else f'{address}:{port}'


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(('::1', 0))
        return True
    except OSError:
        return False


def eventually(condition, seconds=5.0, step=0.02):
    """Waits until the condition gives something true, and returns it (or the last it gave)."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(step)


def lapse(seconds):
    """Lets at least so much time pass, for lives that have to be over. More does no harm: what has
    to happen, and what must not take long, is waited for with `eventually`."""
    time.sleep(seconds)


# --- clients -----------------------------------------------------------------------------------

def query(name, rdtype='A', **options):
    return dns.message.make_query(name, rdtype, **options)


def client_socket(server, source=None):
    """A UDP socket connected to (address, port), closed by the caller."""
    family = socket.AF_INET6 if ':' in server[0] else socket.AF_INET
    with PLANE.client_side(server[0]):
        sock = socket.socket(family, socket.SOCK_DGRAM)
    if source:
        sock.bind((PLANE.client(source, server[0]), 0))
    sock.connect(server)
    return sock


def ask_raw(server, data, timeout=2.0, source=None):
    """Sends these octets and returns the reply's, or None where none came."""
    reply = ask_once(server, data, timeout, source)
    for _ in range(PLANE.times - 1 if reply and PLANE.serves(server[0]) else 0):
        first, reply = reply, ask_once(server, data, timeout, source)
        assert reply, 'no reply when asked again'
        compare(first, reply)
    return reply


def ask_once(server, data, timeout, source):
    with client_socket(server, source) as sock:
        sock.settimeout(timeout * PATIENCE)
        sock.send(data)
        try:
            return sock.recv(65535)
        except (socket.timeout, ConnectionRefusedError):
            return None


def ask(server, name, rdtype='A', timeout=3.0, source=None, **options):
    """Asks a question and returns the reply as a dnspython message; None where none came."""
    message = query(name, rdtype, **options)
    data = ask_raw(server, message.to_wire(), timeout, source)
    if data is None:
        return None
    reply = dns.message.from_wire(data)
    assert reply.id == message.id, 'a reply with another ID'
    assert reply.question == message.question, f'a reply with another question: {reply}'
    return reply


def rdata_texts(reply, rdtype=None):
    """The answer section's data as sorted texts, of this type or all."""
    return sorted(str(rdata) for rrset in reply.answer for rdata in rrset
                  if rdtype is None or rrset.rdtype == dns.rdatatype.from_text(rdtype))


def option_of(message, code):
    """The octets of a message's first EDNS option with this code; None: there is none."""
    for option in message.options:
        if option.otype == code:
            return option.to_wire() if hasattr(option, 'to_wire') else option.data
    return None


def ede_codes(message):
    """Its extended errors (RFC 8914)."""
    return [option.code for option in message.options if option.otype == dns.edns.EDE]


def plain_query(name, rdtype=1, ident=0):
    """A query's octets without dnspython, for tests that send thousands."""
    labels = b''.join(bytes([len(label)]) + label.encode() for label in name.split('.') if label)
    return struct.pack('>HHHHHH', ident, 0x0100, 1, 0, 0, 0) + labels + struct.pack(
        '>BHH', 0, rdtype, 1)


def ask_many(server, queries, window=32, timeout=5.0, sends=3):
    """Sends many queries (octets) keeping at most `window` of them open; gives each an ID of its
    own. Where nothing comes for so long what is open is sent again, up to so many times in all, as
    a busy machine may lose packets. Returns the replies in the queries' order, None where one did
    not come."""
    replies = [None] * len(queries)
    open_ids = {}
    with client_socket(server) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.settimeout(timeout * PATIENCE)
        waiting = enumerate(queries)
        done = False
        silences = 0
        while True:
            while not done and len(open_ids) < window:
                try:
                    place, data = next(waiting)
                except StopIteration:
                    done = True
                    break
                ident = place & 0xffff
                open_ids[ident] = place
                sock.send(struct.pack('>H', ident) + data[2:])
            if not open_ids:
                return replies
            try:
                data = sock.recv(65535)
            except socket.timeout:
                silences += 1
                if silences == sends:
                    return replies
                for ident, place in open_ids.items():
                    sock.send(struct.pack('>H', ident) + queries[place][2:])
                continue
            place = open_ids.pop(struct.unpack('>H', data[:2])[0], None)
            if place is not None:
                replies[place] = data


def close_now(sock):
    """Closes a TCP socket although another thread waits on it."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # was not connected
    sock.close()


# --- a fake upstream ---------------------------------------------------------------------------

class Asked:
    """A query that reached the fake upstream."""

    def __init__(self, data, source, upstream, connection=None):
        self.data = data
        self.source = source
        self.upstream = upstream
        self.connection = connection  # the TCP connection it came over; None: a datagram
        self.at = time.monotonic()
        self.ident = struct.unpack('>H', data[:2])[0]
        self.plain = data[10:12] == b'\0\0'  # without EDNS
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode('latin-1'))
            at += 1 + data[at]
        self.name = '.'.join(labels).lower()
        self.rdtype = struct.unpack('>H', data[at + 1:at + 3])[0]
        self.question = data[12:at + 5]

    @property
    def is_probe(self):
        """Asked by ouzel itself, to see whether an upstream that was late is there."""
        return self.name == '' and self.rdtype == dns.rdatatype.SOA

    def message(self):
        return dns.message.from_wire(self.data)

    def reply(self, records=None, ttl=300, rcode=0, flags=0, ident=None, question=None):
        """A plain reply: A records of these addresses under the name asked, default 192.0.2.1."""
        if records is None:
            records = ['192.0.2.1'] if rcode == 0 and self.rdtype == 1 else []
        ident = self.ident if ident is None else ident
        out = struct.pack('>HHHHHH', ident, 0x8180 | flags | rcode, 1, len(records), 0, 0)
        out += self.question if question is None else question
        for address in records:
            out += struct.pack('>HHHIH', 0xc00c, 1, 1, ttl, 4) + socket.inet_aton(address)
        return out

    def send(self, data, delay=0.0, sock=None):
        """Sends a datagram to where the query came from, now or later, from this or another
        socket; or a message on the connection that the query came over."""
        if self.connection and not sock:
            data = struct.pack('>H', len(data)) + data
        self.upstream.send(data, self.source, delay, sock or self.connection)

    @property
    def tcp(self):
        return self.connection is not None


class FakeUpstream:
    """A name server of threads. `script` is called with each query (an Asked) and does with it
    what the test wants: asked.send(asked.reply()), or nothing. All queries are kept in `asked`,
    and those that ouzel asks by itself in `probes`: of an upstream that was late, as any is on a
    busy machine. With `tcp` it serves that as well; every connection it ever had is in
    `connections`."""

    def __init__(self, script=None, address=None, port=None, tcp=False):
        self.address = address or fresh_address()
        self.script = script or (lambda asked: asked.send(asked.reply()))
        self.asked = []
        self.probes = []
        self.faults = []
        family = socket.AF_INET6 if ':' in self.address else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.bind((self.address, port or free_port(self.address)))
        self.port = self.sock.getsockname()[1]
        self.timers = []
        self.stopping = False
        self.listener = None
        self.connections = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        if tcp:
            self.listener = socket.create_server((self.address, self.port), family=family)
            threading.Thread(target=self._accept, daemon=True).start()

    def __str__(self):
        return join(self.address, self.port)

    def names(self):
        return [asked.name for asked in list(self.asked)]

    def _serve(self):
        self.sock.settimeout(0.1)
        while not self.stopping:
            try:
                data, source = self.sock.recvfrom(65535)
            except socket.timeout:
                continue
            except OSError:
                return
            self._take(Asked(data, source, self))

    def _take(self, asked):
        try:
            (self.probes if asked.is_probe else self.asked).append(asked)
            self.script(asked)
        except Exception as fault:  # pylint: disable=broad-except
            self.faults.append(fault)

    def _accept(self):
        while not self.stopping:
            try:
                connection, source = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve_tcp, args=(connection, source),
                             daemon=True).start()

    def _serve_tcp(self, connection, source):
        try:
            with connection.makefile('rb') as stream:
                while len(head := stream.read(2)) == 2:
                    data = stream.read(struct.unpack('>H', head)[0])
                    self._take(Asked(data, source, self, connection))
        except (OSError, ValueError):
            pass  # closed by one side or the other

    def send(self, data, target, delay, sock):
        sock = sock or self.sock
        if delay:
            timer = threading.Timer(delay, self._send_late, (data, target, sock))
            timer.daemon = True
            self.timers.append(timer)
            timer.start()
        else:
            self._send_late(data, target, sock)

    @staticmethod
    def _send_late(data, target, sock):
        try:
            if sock.type == socket.SOCK_STREAM:
                sock.sendall(data)
            else:
                sock.sendto(data, target)
        except OSError:
            pass  # no process listens any more, or this test has ended

    def stop(self):
        self.stopping = True
        for timer in self.timers:
            timer.cancel()
        self.thread.join(2)
        self.sock.close()
        for sock in [self.listener, *self.connections]:
            if sock:
                close_now(sock)
        if self.faults:
            raise self.faults[0]


# --- processes ---------------------------------------------------------------------------------

class Process:
    """A child of ours with its output in a file; ended by its own pid."""

    def __init__(self, arguments, log, **options):
        self.log_path = log
        with open(log, 'wb') as output:
            self.child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output,
                                          stderr=subprocess.STDOUT, **options)
        self.pid = self.child.pid

    def output(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as log:
            return log.read()

    def said(self, words):
        """Has it printed this? What it logs may come a little later than what it does."""
        return eventually(lambda: words in self.output())

    def running(self):
        return self.child.poll() is None

    def wait(self, seconds):
        """The exit status, or None if it still runs after these seconds."""
        try:
            return self.child.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            return None

    def terminate(self, seconds=5.0):
        """SIGTERM; returns the exit status, or None (and kills it) if that was not enough."""
        if self.running():
            self.child.send_signal(signal.SIGTERM)
        status = self.wait(seconds)
        if status is None:
            self.kill()
        return status

    def kill(self):
        if self.running():
            self.child.kill()
            self.child.wait(10)


def yaml_value(value):
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, (list, tuple)):
        return '[' + ', '.join(yaml_value(item) for item in value) + ']'
    text = str(value)
    return f'"{text}"' if re.search(r'[:\[\]{}#,&*!|>%@`]|^$', text) else text


def yaml_settings(settings):
    """A settings file of {'section': {'key': value}} and {'forward': [{...}]}."""
    settings = PLANE.settings(settings)
    if ENGINE:
        settings = {**settings, 'server': {'engine': ENGINE, **settings.get('server', {})}}
    lines = []
    for section, content in settings.items():
        lines.append(f'{section}:')
        if isinstance(content, dict):
            lines += [f'  {key}: {yaml_value(value)}' for key, value in content.items()]
            continue
        for item in content:
            dash = '  - '
            for key, value in item.items():
                lines.append(f'{dash}{key}: {yaml_value(value)}')
                dash = '    '
    return '\n'.join(lines) + '\n'


READY_LINE = re.compile(r'msg"?[=:]"?ready\b')


class Ouzel(Process):
    """ouzel, started and ready: `server` is (address, port) of its first listener. `listen` has
    addresses, for which a port is chosen, or such pairs; where the settings have server.listen, the
    first of those pairs is only to say where that is."""

    def __init__(self, directory, upstreams=(), settings=None, listen=None, workers=1,
                 arguments=(), wait=True, binary=None, stats=None, **options):
        self.listen = []
        for where in listen or [fresh_address()]:
            self.listen.append(where if isinstance(where, tuple) else (where, free_port(where)))
        self.server = self.listen[0]
        self.stats = stats or free_place()
        command = [binary or BINARY, 'serve', '--stats', join(*self.stats)]
        if workers:
            command += ['--workers', str(workers)]
        in_file = isinstance(settings, dict) and 'listen' in settings.get('server', {})
        for address, port in [] if in_file else self.listen:
            command += ['--listen', join(address, port)]
        for upstream in upstreams:
            command += ['--upstream', str(upstream)]
        if settings or ((ENGINE or PLANE.on) and '--config' not in arguments):
            settings = settings or {}
            path = tempfile.mktemp('.yaml', 'ouzel-', directory)
            with open(path, 'w', encoding='utf-8') as file:
                file.write(PLANE.settings_text(settings) if isinstance(settings, str)
                           else yaml_settings(settings))
            os.chmod(path, 0o644)
            command += ['--config', path]
            self.settings_path = path
        super().__init__(command + list(arguments), tempfile.mktemp('.log', 'ouzel-', directory),
                         **options)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        """Until it serves, and has logged all about its start: /healthz answers before that, and
        the log has a thread of its own."""
        def ready():
            return not self.running() or (self.http('/healthz', timeout=1)[0] == 200 and
                                          READY_LINE.search(self.output()))
        if not eventually(ready, 10) or not self.running():
            self.kill()
            raise RuntimeError(f'ouzel did not get ready; it says:\n{self.output()}')
        PLANE.started(self.output())

    def http(self, path, timeout=3.0):
        """(status, content type, body) of a page at the stats address; (0, '', '') for none."""
        url = f'http://{join(*self.stats)}{path}'
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=timeout * PATIENCE) as reply:
                return reply.status, reply.headers.get('Content-Type', ''), reply.read().decode()
        except urllib.error.HTTPError as fault:
            with fault:
                return fault.code, fault.headers.get('Content-Type', ''), fault.read().decode()
        except (OSError, urllib.error.URLError):
            return 0, '', ''

    def metrics(self):
        return parse_metrics(self.http('/metrics')[2])

    def stats_json(self):
        return json.loads(self.http('/stats.json')[2])

    def total(self, metric, **labels):
        """The sum of a metric's rows that carry these labels."""
        return metric_sum(self.metrics(), metric, **labels)

    def quiet(self, seconds=8.0):
        """Waits until no question is pending; then the counters must balance."""
        return eventually(lambda: self.total('ouzel_pending_questions') == 0 and
                          self.total('ouzel_waiting_clients') == 0, seconds)

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.pid}/fd'))


# --- metrics -----------------------------------------------------------------------------------

METRIC_LINE = re.compile(
    r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})?'
    r' (-?[0-9.eE+-]+|NaN|[+-]Inf)$')


def parse_metrics(text):
    """Reads the Prometheus text format, strictly. Returns {(name, ((label, value), ...)): value}.
    Each metric must have one HELP and one TYPE line before its first row, and its rows together."""
    rows, kinds, helps, finished, current = {}, {}, set(), set(), None
    if text and not text.endswith('\n'):
        raise ValueError('the last line has no end')
    for line in text.splitlines():
        if line.startswith('# HELP '):
            name = line.split(' ', 3)[2]
            if name in helps:
                raise ValueError(f'a second HELP of {name}')
            helps.add(name)
        elif line.startswith('# TYPE '):
            _, _, name, kind = line.split(' ')
            if name in kinds or kind not in ('counter', 'gauge', 'histogram', 'summary'):
                raise ValueError(f'bad TYPE: {line}')
            kinds[name] = kind
        elif line:
            match = METRIC_LINE.match(line)
            if not match:
                raise ValueError(f'no metric line: {line}')
            name, labels, value = match.groups()
            base = re.sub(r'_(bucket|sum|count)$', '', name) if name not in kinds else name
            if base != current:
                if base in finished:
                    raise ValueError(f'the rows of {base} do not stand together')
                finished.add(base)
                current = base
            if base not in kinds or base not in helps:
                raise ValueError(f'{base} has no HELP or TYPE before it')
            key = (name, tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or ''))))
            if key in rows:
                raise ValueError(f'a second row of {key}')
            rows[key] = float(value)
    return rows


def metric_sum(rows, metric, **labels):
    wanted = set(labels.items())
    return sum(value for (name, have), value in rows.items()
               if name == metric and wanted <= set(have))


def imbalance(rows):
    """Queries less all that became of them: 0 when nothing is in flight."""
    return (metric_sum(rows, 'ouzel_queries_total') - metric_sum(rows, 'ouzel_answers_total') -
            metric_sum(rows, 'ouzel_drops_total'))


# --- NSD ---------------------------------------------------------------------------------------

class Nsd(Process):
    """NSD with these zones: {'ouzel.example': path of the zone file}."""

    def __init__(self, directory, zones, address=None):
        self.address = address or fresh_address()
        self.port = free_port(self.address)
        self.directory = tempfile.mkdtemp('', 'nsd-', directory)
        self.control_path = os.path.join(self.directory, 'control')
        self.config = os.path.join(self.directory, 'nsd.conf')
        lines = [
            'server:', f'  ip-address: {self.address}@{self.port}', '  username: ""',
            '  chroot: ""', f'  zonesdir: "{self.directory}"', '  database: ""',
            f'  zonelistfile: "{self.directory}/zone.list"',
            f'  xfrdfile: "{self.directory}/xfrd.state"', f'  xfrdir: "{self.directory}"',
            f'  pidfile: "{self.directory}/nsd.pid"', '  server-count: 1', '  rrl-ratelimit: 0',
            'remote-control:', '  control-enable: yes',
            f'  control-interface: {self.control_path}']
        for zone, path in zones.items():
            lines += ['zone:', f'  name: {zone}', f'  zonefile: "{path}"']
        with open(self.config, 'w', encoding='utf-8') as file:
            file.write('\n'.join(lines) + '\n')
        super().__init__([find_tool('nsd'), '-d', '-c', self.config],
                         os.path.join(self.directory, 'log'))
        zone = next(iter(zones))
        if not eventually(lambda: not self.running() or self._answers(zone), 20) \
                or not self.running():
            self.kill()
            raise RuntimeError(f'NSD did not get ready; it says:\n{self.output()}')

    def _answers(self, zone):
        reply = ask((self.address, self.port), zone, 'SOA', timeout=0.3)
        return reply is not None and reply.rcode() == dns.rcode.NOERROR

    def __str__(self):
        return join(self.address, self.port)

    def queries(self):
        """How many queries NSD says it has had."""
        result = subprocess.run([find_tool('nsd-control'), '-c', self.config, 'stats_noreset'],
                                capture_output=True, text=True, timeout=20, check=True)
        return int(re.search(r'^num\.queries=(\d+)$', result.stdout, re.M).group(1))


def find_tool(name):
    path = shutil.which(name, path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')
    if not path:
        raise RuntimeError(f'{name} is not installed (scripts/setup does that)')
    return path


def write_zone(path, zone, names):
    """A zone file with an A record for each of {label: address}."""
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'$ORIGIN {zone}.\n$TTL 3600\n'
                   '@ IN SOA ns hostmaster 1 7200 3600 1209600 300\n@ IN NS ns\n'
                   'ns IN A 192.0.2.53\n')
        for label, address in names.items():
            file.write(f'{label} IN A {address}\n')


def numbered_names(count):
    """{'n0': '198.18.0.0', ...}: each name has an address of its own, so a mix-up shows."""
    return {f'n{i}': f'198.{18 + (i >> 16)}.{(i >> 8) & 255}.{i & 255}' for i in range(count)}


# --- what a test may forbid the program --------------------------------------------------------

IO_URING_SETUP = 425  # the same on all architectures
SECCOMP, PRCTL = (277, 167) if os.uname().machine == 'aarch64' else (317, 157)
SET_NO_NEW_PRIVS, SET_SECCOMP = 38, 22  # what prctl is asked for


def forbid_calls(errno_value, *calls):
    """For preexec_fn: from here on these system calls fail with this errno, by a seccomp filter.
    Each is a number, or a number and the first argument that it is forbidden with."""
    class Filter(ctypes.Structure):
        _fields_ = [('code', ctypes.c_ushort), ('jt', ctypes.c_ubyte), ('jf', ctypes.c_ubyte),
                    ('k', ctypes.c_uint32)]

    class Program(ctypes.Structure):
        _fields_ = [('len', ctypes.c_ushort), ('filter', ctypes.POINTER(Filter))]

    load_word, jump_equal, give_back = 0x20, 0x15, 0x06
    allow, fail = 0x7fff0000, 0x00050000
    number_at, argument_at = 0, 16
    rules = []
    for call in calls:
        number, *argument = call if isinstance(call, tuple) else (call,)
        rules += [(load_word, 0, 0, number_at), (jump_equal, 0, 1 + 2 * len(argument), number)]
        for value in argument:
            rules += [(load_word, 0, 0, argument_at), (jump_equal, 0, 1, value)]
        rules.append((give_back, 0, 0, fail | errno_value))
    rules.append((give_back, 0, 0, allow))
    program = Program(len(rules), (Filter * len(rules))(*(Filter(*rule) for rule in rules)))
    libc = ctypes.CDLL(None, use_errno=True)
    mode_filter = 2

    def install():
        if libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), 'no_new_privs')
        if libc.prctl(SET_SECCOMP, mode_filter, ctypes.byref(program), 0, 0) != 0:
            raise OSError(ctypes.get_errno(), 'seccomp')
    return install


def become_nobody():
    """For preexec_fn: gives up all rights. What is run then has to lie where any user may go
    (Case.reachable): our tree need not, in the home of root for example."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
