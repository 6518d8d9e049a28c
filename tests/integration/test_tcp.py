# SPDX-License-Identifier: MIT
"""Clients over TCP (RFC 7766, RFC 9210): pipelining, pieces, half-closed connections, limits, and
what is no DNS at all."""

import select
import socket
import struct
import threading
import time

import dns.message
import dns.query
import dns.rcode

import harness
from case import Case
from harness import rdata_texts


def framed(data):
    return struct.pack('>H', len(data)) + data


def connect(server, timeout=5.0, source=None):
    sock = socket.create_connection(server, timeout * harness.PATIENCE,
                                    source_address=(source, 0) if source else None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_exactly(sock, count):
    data = b''
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            return None
        data += piece
    return data


def read_message(sock):
    """The next message; None where the connection is closed."""
    head = read_exactly(sock, 2)
    return head and read_exactly(sock, struct.unpack('>H', head)[0])


def is_closed(sock):
    try:
        return sock.recv(1) == b''
    except ConnectionResetError:
        return True
    except socket.timeout:
        return False


class Tcp(Case):
    ENGINES = True

    def start(self, script=None, workers=2, **server):
        self.fake = self.upstream(script)
        settings = {'server': server} if server else None
        return self.ouzel(self.fake, workers=workers, settings=settings)

    def test_answers(self):
        ouzel = self.start()
        for number in range(20):
            query = dns.message.make_query(f'n{number}.example', 'A')
            for _ in range(2):
                reply = dns.query.tcp(query, ouzel.server[0], 5, ouzel.server[1])
                self.assertEqual(rdata_texts(reply), ['192.0.2.1'])
        self.assertEqual(ouzel.total('ouzel_queries_total', transport='tcp'), 40)
        self.assert_balance(ouzel)

    def test_pipelined_and_out_of_order(self):
        """What takes long does not hold up what does not (RFC 7766 6.2.1.1)."""
        ouzel = self.start(lambda asked: asked.send(
            asked.reply(), delay=0.5 if asked.name.startswith('slow') else 0))
        with connect(ouzel.server) as sock:
            names = ['slow0'] + [f'n{i}' for i in range(20)] + ['slow1']
            sock.sendall(b''.join(framed(harness.plain_query(f'{name}.example', ident=ident))
                                  for ident, name in enumerate(names)))
            order = [struct.unpack('>H', read_message(sock)[:2])[0] for _ in names]
        self.assertEqual(sorted(order), list(range(len(names))))
        self.assertEqual(set(order[-2:]), {0, len(names) - 1})

    def test_length_and_message_come_at_once(self):
        """In one segment, as a client may take the first for all there is (RFC 7766 8)."""
        ouzel = self.start()
        for number in range(20):
            with connect(ouzel.server) as sock:
                for count in (1, 2):
                    sock.sendall(framed(harness.plain_query(f'n{number % 5}.example', ident=count)))
                    read_message(sock)
                    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
                    segments = struct.unpack_from('=I', info, 152)[0]  # tcpi_data_segs_in
                    self.assertEqual(segments, count)

    def test_pieces_of_any_size(self):
        ouzel = self.start()
        data = b''.join(framed(harness.plain_query(f'n{i}.example', ident=i)) for i in range(3))
        with connect(ouzel.server) as sock:
            for octet in data:
                sock.sendall(bytes([octet]))
                harness.lapse(0.001)
            for _ in range(3):
                self.assertEqual(read_message(sock)[3] & 15, 0)

    def test_half_closed_client_gets_its_answers(self):
        ouzel = self.start(lambda asked: asked.send(asked.reply(), delay=0.3))
        with connect(ouzel.server) as sock:
            for ident in range(5):
                sock.sendall(framed(harness.plain_query(f'n{ident}.example', ident=ident)))
            sock.shutdown(socket.SHUT_WR)
            idents = {struct.unpack('>H', read_message(sock)[:2])[0] for _ in range(5)}
            self.assertEqual(idents, set(range(5)))
            self.assertIsNone(read_message(sock), 'then ouzel closes as well')
        self.assertTrue(harness.eventually(
            lambda: ouzel.total('ouzel_tcp_connections_open') == 0))

    def test_long_answers(self):
        """Up to 65,535 octets; over UDP the same says TC."""
        def script(asked):
            if asked.tcp:
                count = 240
                asked.send(asked.reply([])[:6] + struct.pack('>H', count) + b'\0\0\0\0' +
                           asked.question +
                           (b'\xc0\x0c\0\x10\0\1\0\0\1\0\0\xff\xfe' + b'x' * 254) * count)
            else:
                asked.send(asked.reply([], flags=0x0200))
        fake = self.upstream(script, tcp=True)
        ouzel = self.ouzel(fake, workers=2)
        for number in range(6):  # at home with either worker
            with connect(ouzel.server) as sock:
                for _ in range(2):
                    sock.sendall(framed(harness.plain_query(f'n{number}.example', 16)))
                    data = read_message(sock)
                    self.assertGreater(len(data), 64000)
                    self.assertEqual(struct.unpack('>H', data[6:8])[0], 240)
            self.assertTrue(harness.ask_raw(
                ouzel.server, harness.plain_query(f'n{number}.example', 16))[2] & 2)
        self.assert_balance(ouzel)

    def test_pipelining_of_long_answers(self):
        """Answers of 60,000 octets, read as they come: ouzel stops reading, and loses none, not
        even where they come to another worker's connection faster than it takes them."""
        def script(asked):
            count = 230
            asked.send(asked.reply([])[:6] + struct.pack('>H', count) + b'\0\0\0\0' +
                       asked.question +
                       (b'\xc0\x0c\0\x10\0\1\0\0\1\0\0\xff\xfe' + b'x' * 254) * count
                       if asked.tcp else asked.reply([], flags=0x0200))
        ouzel = self.ouzel(self.upstream(script, tcp=True), workers=4)
        for count, name in ((6, 'n{}'), (6, 'n{}'), (40, 'one')):  # new, from memory, of one name
            with connect(ouzel.server, timeout=10) as sock:
                sock.sendall(b''.join(
                    framed(harness.plain_query(name.format(i) + '.example', 16, ident=i))
                    for i in range(count)))
                replies = [read_message(sock) for _ in range(count)]
                self.assertNotIn(None, replies)
                self.assertEqual({struct.unpack('>H', data[:2])[0] for data in replies},
                                 set(range(count)))
                self.assertTrue(all(len(data) > 60000 for data in replies))
        self.assert_balance(ouzel)

    def test_pipelining_of_many_short_answers(self):
        """40,000 queries in one go by a client that reads only when it has sent them all."""
        count = 40000
        ouzel = self.start()
        harness.ask_raw(ouzel.server, harness.plain_query('hit.example'))
        with connect(ouzel.server, timeout=20) as sock:
            query = harness.plain_query('hit.example')[2:]
            data = b''.join(framed(struct.pack('>H', i) + query) for i in range(count))
            sender = threading.Thread(target=sock.sendall, args=(data,), daemon=True)
            sender.start()
            idents = set()
            with sock.makefile('rb') as stream:
                for _ in range(count):
                    length = struct.unpack('>H', stream.read(2))[0]
                    idents.add(struct.unpack('>H', stream.read(length)[:2])[0])
            sender.join(20)
        self.assertEqual(len(idents), count)
        self.assert_balance(ouzel)

    def test_long_queries(self):
        """A query may be as long as ouzel says that it takes: padded (RFC 7830) to 1,232 octets
        over UDP, and to 65,535 over TCP."""
        def padded(length):
            query = harness.plain_query('long.example')
            padding = length - len(query) - 11 - 4
            return (query[:10] + b'\0\1' + query[12:] + b'\0\0\x29\x04\xd0\0\0\0\0' +
                    struct.pack('>HHH', padding + 4, 12, padding) + b'\0' * padding)
        ouzel = self.start()
        for length in (513, 1232):
            reply = harness.ask_raw(ouzel.server, padded(length))
            self.assertEqual(reply[3] & 15, 0, length)
        self.assertIsNone(harness.ask_raw(ouzel.server, padded(1233), timeout=0.5))
        self.assertEqual(ouzel.total('ouzel_drops_total', reason='too-large'), 1)
        for length in (1233, 5000, 65535):
            for _ in range(4):  # at home with either worker
                with connect(ouzel.server) as sock:
                    sock.sendall(framed(padded(length)))
                    self.assertEqual(read_message(sock)[3] & 15, 0, length)
        self.assert_balance(ouzel)

    def test_a_client_whose_query_is_dropped_is_not_waited_for(self):
        """Where the home of a question has no room for it, the worker that holds the connection is
        lost: a client that has closed its side is closed at once and not ten seconds later."""
        ouzel = self.start(lambda asked: None)
        with connect(ouzel.server) as first, connect(ouzel.server) as second:
            for sock in (first, second):
                query = harness.plain_query('slow.example')[2:]
                sock.sendall(b''.join(framed(struct.pack('>H', i) + query) for i in range(100)))
            self.assertTrue(harness.eventually(
                lambda: ouzel.total('ouzel_waiting_clients') +
                ouzel.total('ouzel_drops_total', reason='client-share') == 200))
            others = [connect(ouzel.server) for _ in range(8)]
            began = time.monotonic()
            for sock in others:
                sock.sendall(framed(harness.plain_query('slow.example')))
                sock.shutdown(socket.SHUT_WR)
            for sock in others:
                sock.settimeout(4)
                self.assertIsNone(read_message(sock))
                sock.close()
            self.assertLess(time.monotonic() - began, 4)
        self.assertGreater(ouzel.total('ouzel_drops_total', reason='client-share'), 0)

    def test_garbage_closes(self):
        ouzel = self.start()
        rows = [b'\0\0', b'\0\x05hello', b'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
                b'\xff\xff' + b'x' * 70000, framed(b'\0' * 11),
                b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' * 500]
        for data in rows:
            with connect(ouzel.server) as sock:
                try:
                    sock.sendall(data)
                    sock.settimeout(1)
                    self.assertTrue(is_closed(sock) or data[:1] != b'\0', data[:20])
                except (BrokenPipeError, ConnectionResetError):
                    pass
        reply = dns.query.tcp(dns.message.make_query('a.example', 'A'), ouzel.server[0], 5,
                              ouzel.server[1])
        self.assertEqual(reply.rcode(), dns.rcode.NOERROR)

    def test_dso_is_not_implemented_and_the_connection_stays(self):
        """RFC 8490 5.1.1: what does not know DSO says NOTIMP, and goes on."""
        ouzel = self.start()
        with connect(ouzel.server) as sock:
            sock.sendall(framed(b'\x12\x34\x30\0' + b'\0' * 8))
            reply = read_message(sock)
            self.assertEqual(reply[:4], b'\x12\x34\xb0\x84')
            sock.sendall(framed(harness.plain_query('a.example')))
            self.assertEqual(read_message(sock)[3] & 15, 0)

    def test_transfers_are_refused(self):
        ouzel = self.start()
        for rdtype in (251, 252):
            with connect(ouzel.server) as sock:
                sock.sendall(framed(harness.plain_query('example', rdtype)))
                self.assertEqual(read_message(sock)[3] & 15, 5)

    def test_idle_is_closed(self):
        ouzel = self.start(**{'tcp-idle-timeout': '1s'})
        idle, busy, half = (connect(ouzel.server) for _ in range(3))
        half.sendall(b'\0')
        silent = [idle, half]

        def closed():
            busy.sendall(framed(harness.plain_query('a.example')))
            self.assertIsNotNone(read_message(busy))
            return set(select.select(silent, [], [], 0)[0]) == set(silent)
        self.assertTrue(harness.eventually(closed, 10, step=0.2))
        for sock in silent:
            self.assertTrue(is_closed(sock))
            sock.close()
        busy.close()

    def test_waiting_connection_is_not_idle(self):
        """An answer that takes longer than the idle timeout still finds its connection."""
        ouzel = self.ouzel(self.upstream(lambda asked: asked.send(asked.reply(), delay=2.5)),
                           settings={'server': {'tcp-idle-timeout': '1s'}})
        with connect(ouzel.server) as sock:
            sock.sendall(framed(harness.plain_query('slow.example')))
            self.assertEqual(read_message(sock)[3] & 15, 0)
            sock.settimeout(4 * harness.PATIENCE)
            self.assertTrue(is_closed(sock))

    def test_limit_of_all(self):
        """Where the table is full, the one that was idle for the longest makes room."""
        ouzel = self.start(workers=1, **{'tcp-connections-max': 8})
        socks = []
        for number in range(12):
            sock = connect(ouzel.server)
            sock.sendall(framed(harness.plain_query('a.example', ident=number)))
            self.assertIsNotNone(read_message(sock))
            socks.append(sock)
        self.assertEqual(ouzel.total('ouzel_tcp_connections_open'), 8)
        for sock in socks[:4]:
            self.assertTrue(is_closed(sock))
        for sock in socks[4:]:
            sock.sendall(framed(harness.plain_query('a.example')))
            self.assertIsNotNone(read_message(sock))
        for sock in socks:
            sock.close()

    def test_limit_of_one_client(self):
        ouzel = self.start(workers=1, **{'tcp-connections-per-client': 3})
        socks = [connect(ouzel.server, source='127.0.0.1') for _ in range(5)]
        for sock in socks[3:]:
            self.assertTrue(is_closed(sock))
        with connect(ouzel.server, source='127.9.9.9') as other:
            other.sendall(framed(harness.plain_query('a.example')))
            self.assertIsNotNone(read_message(other))
        self.assertEqual(ouzel.total('ouzel_tcp_connections_total', verdict='client-limit'), 2)
        for sock in socks:
            sock.close()

    def test_client_that_never_reads(self):
        """It is closed when too much waits for it, and others do not notice."""
        def script(asked):
            if asked.tcp:
                asked.send(asked.reply([f'198.18.{i >> 8}.{i & 255}' for i in range(1000)]))
            else:
                asked.send(asked.reply([], flags=0x0200))
        fake = self.upstream(script, tcp=True)
        ouzel = self.ouzel(fake, workers=1)
        with connect(ouzel.server) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.settimeout(0.2)
            query = framed(harness.plain_query('big.example'))
            try:
                for _ in range(2000):
                    deaf.sendall(query)
            except (socket.timeout, ConnectionError):
                pass
            self.assertEqual(rdata_texts(harness.ask(ouzel.server, 'big.example',
                                                     use_edns=0) or dns.message.Message()), [])
            start = time.monotonic()
            reply = dns.query.tcp(dns.message.make_query('big.example', 'A'), ouzel.server[0], 5,
                                  ouzel.server[1])
            self.assertEqual(len(rdata_texts(reply)), 1000)
            self.assertLess(time.monotonic() - start, 1 * harness.PATIENCE)
        self.assertTrue(harness.eventually(
            lambda: ouzel.total('ouzel_tcp_connections_open') == 0))

    def test_connections_leave_nothing_behind(self):
        ouzel = self.start(workers=2)
        dns.query.tcp(dns.message.make_query('a.example', 'A'), ouzel.server[0], 5,
                      ouzel.server[1])
        harness.eventually(lambda: ouzel.total('ouzel_tcp_connections_open') == 0)
        before = ouzel.descriptors()

        def many():
            for _ in range(250):
                with connect(ouzel.server) as sock:
                    sock.sendall(framed(harness.plain_query('a.example')))
                    self.assertIsNotNone(read_message(sock))
        threads = [threading.Thread(target=many) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertTrue(harness.eventually(lambda: ouzel.descriptors() <= before))
        self.assert_balance(ouzel)
