# SPDX-License-Identifier: MIT
"""Upstreams that lose, delay and die; what leaves for them; and forged replies."""

import collections
import os
import socket
import struct
import threading
import time
import unittest

import harness
from case import Case
from harness import ask, rdata_texts


class Loss(Case):
    WEIGHT = 2

    def test_lost_packet_is_sent_again(self):
        seen = set()

        def script(asked):
            if asked.name in seen:
                asked.send(asked.reply())
            seen.add(asked.name)
        upstream = self.upstream(script)
        ouzel = self.ouzel(upstream)
        start = time.monotonic()
        for number in range(3):
            self.assertEqual(rdata_texts(ask(ouzel.server, f'n{number}.example', timeout=5)),
                             ['192.0.2.1'])
        self.assertLess(time.monotonic() - start, 4.5 * harness.PATIENCE)
        self.assertEqual(len(upstream.asked), 6)
        self.assertEqual(ouzel.total('ouzel_upstream_resends_total'), 3)
        self.assert_balance(ouzel)

    def test_every_send_has_another_id(self):
        upstream = self.upstream(lambda asked: None)
        ouzel = self.ouzel(upstream)
        ask(ouzel.server, 'a.example', timeout=7)
        # Besides these there are probes now and then.
        asked = [asked for asked in upstream.asked if asked.name == 'a.example']
        self.assertLessEqual(len(asked), 3, 'at most 3 sends to one server (RFC 9520)')
        self.assertGreaterEqual(len(asked), 2)
        self.assertEqual(len({(one.ident, one.source) for one in upstream.asked}),
                         len(upstream.asked))

    def test_next_upstream_is_used(self):
        dead, good = self.upstream(lambda asked: None), self.upstream()
        ouzel = self.ouzel(settings={'forward': [
            {'zone': '.', 'to': [str(dead), str(good)], 'strategy': 'ordered'}]})
        start = time.monotonic()
        self.assertEqual(rdata_texts(ask(ouzel.server, 'a.example', timeout=5)), ['192.0.2.1'])
        self.assertLess(time.monotonic() - start, 2 * harness.PATIENCE)
        self.assertTrue(harness.eventually(lambda: dead.names() == ['a.example']), dead.names())
        self.assertEqual(good.names(), ['a.example'])

    def test_upstream_that_does_not_exist(self):
        """Nothing listens there: the kernel reports it, and the other one is asked."""
        closed = harness.join(harness.fresh_address(), 5399)
        good = self.upstream()
        ouzel = self.ouzel(settings={'forward': [
            {'zone': '.', 'to': [closed, str(good)], 'strategy': 'ordered'}]})
        start = time.monotonic()
        self.assertEqual(rdata_texts(ask(ouzel.server, 'a.example', timeout=5)), ['192.0.2.1'])
        self.assertLess(time.monotonic() - start, 2 * harness.PATIENCE)
        self.assert_balance(ouzel)

    def test_late_first_answer_still_counts(self):
        """The reply to the first send comes after the second send: it is taken."""
        answered = threading.Event()

        def script(asked):
            if not answered.is_set():
                answered.set()
                asked.send(asked.reply(['192.0.2.77']), delay=0.9)
        upstream = self.upstream(script)
        ouzel = self.ouzel(upstream)
        reply = ask(ouzel.server, 'a.example', timeout=5)
        self.assertIsNotNone(reply)
        self.assertEqual(rdata_texts(reply), ['192.0.2.77'])
        self.assertGreater(len(upstream.asked), 1, 'nothing was sent again')

    def test_all_dead(self):
        dead = [self.upstream(lambda asked: None) for _ in range(2)]
        ouzel = self.ouzel(*dead)
        start = time.monotonic()
        reply = ask(ouzel.server, 'a.example', timeout=8)
        self.assert_status(reply, 'SERVFAIL')
        self.assertLess(time.monotonic() - start, 5.5 * harness.PATIENCE)
        for upstream in dead:
            self.assertLessEqual(upstream.names().count('a.example'), 3)
        self.assert_balance(ouzel)

    def test_servfail_of_one_is_not_the_end(self):
        sick = self.upstream(lambda asked: asked.send(asked.reply(rcode=2)))
        good = self.upstream()
        ouzel = self.ouzel(settings={'forward': [
            {'zone': '.', 'to': [str(sick), str(good)], 'strategy': 'ordered'}]})
        self.assertEqual(rdata_texts(ask(ouzel.server, 'a.example', timeout=6)), ['192.0.2.1'])

    def test_loss_under_load(self):
        """A fourth of the questions loses its first send, some of those also the second."""
        sends = collections.Counter()

        def script(asked):
            sends[asked.name] += 1
            word = asked.name.partition('.')[0]
            number = int(word[1:] or 1)  # or a probe, where the machine was slow to answer
            if sends[asked.name] > (number % 4 == 0) + (number % 16 == 0):
                asked.send(asked.reply())
        upstream = self.upstream(script)
        ouzel = self.ouzel(upstream, workers=2)
        replies = harness.ask_many(
            ouzel.server, [harness.plain_query(f'n{i}.example') for i in range(500)], timeout=8)
        self.assertNotIn(None, replies)
        self.assertEqual({reply[3] & 15 for reply in replies}, {0})
        self.assert_balance(ouzel)


class Forgery(Case):
    """A reply counts only if address, port, ID and question are those of the query."""

    BAD = ['203.0.113.66']

    def forged(self, forge):
        """`forge` sends wrong datagrams first; the right one follows 0.1 s later, or over TCP."""
        def script(asked):
            if not asked.tcp:
                forge(asked)
            asked.send(asked.reply(['192.0.2.1']), delay=0.1)
        upstream = self.upstream(script, tcp=True)
        ouzel = self.ouzel(upstream)
        for number in range(5):
            reply = ask(ouzel.server, f'n{number}.example', timeout=5)
            self.assertEqual(rdata_texts(reply), ['192.0.2.1'])
        for number in range(5):
            reply = ask(ouzel.server, f'n{number}.example', timeout=5)
            self.assertEqual(rdata_texts(reply), ['192.0.2.1'])
        self.assert_balance(ouzel)
        return ouzel

    def other_socket(self, address, port=0):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((address, port))
        self.addCleanup(sock.close)
        return sock

    def test_wrong_address(self):
        sock = self.other_socket(harness.fresh_address())
        self.forged(lambda asked: asked.send(asked.reply(self.BAD), sock=sock))

    def test_wrong_address_same_port(self):
        sockets = {}

        def forge(asked):
            port = asked.upstream.port
            if port not in sockets:
                sockets[port] = self.other_socket(harness.fresh_address(), port)
            asked.send(asked.reply(self.BAD), sock=sockets[port])
        self.forged(forge)

    def test_wrong_port(self):
        sockets = {}

        def forge(asked):
            address = asked.upstream.address
            if address not in sockets:
                sockets[address] = self.other_socket(address)
            asked.send(asked.reply(self.BAD), sock=sockets[address])
        self.forged(forge)

    def test_wrong_id(self):
        def forge(asked):
            for off in (1, 0x0100, 0x8000, 0xffff):
                asked.send(asked.reply(self.BAD, ident=asked.ident ^ off))
        ouzel = self.forged(forge)
        self.assertGreater(ouzel.total('ouzel_upstream_replies_total') -
                           ouzel.total('ouzel_upstream_replies_total', verdict='accepted'), 0)

    def test_wrong_question(self):
        def forge(asked):
            other = harness.plain_query('other.example')[12:]
            asked.send(asked.reply(self.BAD, question=other))
            asked.send(asked.reply(self.BAD, question=asked.question[:-4] + b'\0\x10\0\1'))
            asked.send(asked.reply(self.BAD, question=asked.question[:-2] + b'\0\3'))
        ouzel = self.forged(forge)
        self.assertGreaterEqual(
            ouzel.total('ouzel_upstream_replies_total', verdict='mismatched'), 15)

    def test_guesses_and_no_tcp(self):
        """A forger wins nothing if TCP is not available, not even with the right guess at last."""
        def script(asked):
            for off in range(1, 6):
                asked.send(asked.reply(self.BAD, ident=asked.ident ^ off))
            asked.send(asked.reply(self.BAD))
        upstream = self.upstream(script)
        ouzel = self.ouzel(upstream)
        reply = ask(ouzel.server, 'a.example', timeout=5, use_edns=0)
        self.assert_status(reply, 'SERVFAIL')
        self.assertEqual(harness.ede_codes(reply), [22])
        self.assert_balance(ouzel)

    def test_near_misses_switch_nothing_off(self):
        """While TCP fails, guesses at some questions make no wrong datagram good for others."""
        def script(asked):
            if asked.name.startswith('guessed'):
                for off in range(1, 6):
                    asked.send(asked.reply(self.BAD, ident=asked.ident ^ off))
            else:
                asked.send(asked.reply(self.BAD, question=asked.question[:-4].lower() +
                                       asked.question[-4:]))
        upstream = self.upstream(script)
        ouzel = self.ouzel(upstream)
        for number in range(5):
            self.assert_status(ask(ouzel.server, f'guessed{number}.example'), 'SERVFAIL')
        for number in range(10):
            self.assert_status(ask(ouzel.server, f'victim{number}.with.some.letters.example'),
                               'SERVFAIL')

    def test_garbage(self):
        def forge(asked):
            good = asked.reply(self.BAD)
            ident = struct.pack('>H', asked.ident)
            for data in (b'', b'\0', ident, good[:11], good[:12], good[:-1], asked.data,
                         ident + b'\x81\x80\0\1\xff\xff\0\0\0\0' + asked.question,
                         ident + b'\x81\x80\0\0\0\0\0\0\0\0',
                         ident + b'\x81\x80\0\2\0\0\0\0\0\0' + asked.question * 2,
                         ident + b'\x81\x80\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1',
                         good[:-16] + b'\xc0\xff' + good[-14:]):
                asked.send(data)
        self.forged(forge)

    def test_reply_without_a_waiting_question(self):
        """The same reply five times, and once more much later: counted, not taken twice."""
        def script(asked):
            for _ in range(5):
                asked.send(asked.reply())
            asked.send(asked.reply(self.BAD), delay=0.5)
        upstream = self.upstream(script)
        ouzel = self.ouzel(upstream)
        self.assertEqual(rdata_texts(ask(ouzel.server, 'a.example')), ['192.0.2.1'])
        self.assertTrue(harness.eventually(lambda: ouzel.total(
            'ouzel_upstream_replies_total', verdict='late-or-unasked') == 5))
        self.assertEqual(rdata_texts(ask(ouzel.server, 'a.example')), ['192.0.2.1'])
        self.assert_balance(ouzel)


class Flood(threading.Thread):
    """Sends questions for new names, at a steady rate, until it is stopped,
    and never looks at the replies."""

    def __init__(self, server, zone, rate):
        super().__init__(daemon=True)
        self.sock = harness.client_socket(server, harness.fresh_address())
        self.zone, self.rate, self.sent = zone, rate, 0
        self.stopping = threading.Event()

    def run(self):
        start = time.monotonic()
        while not self.stopping.wait(0.005):
            due = int((time.monotonic() - start) * self.rate)
            while self.sent < due:
                self.sent += 1
                query = harness.plain_query(f'r{self.sent}.{self.zone}', ident=self.sent & 0xffff)
                try:
                    self.sock.send(query)
                except OSError:
                    pass  # its own affair

    def stop(self):
        self.stopping.set()
        self.join(5)
        self.sock.close()


def break_off(asked):
    """Ends the connection with a reset, in the middle of an answer."""
    try:
        asked.connection.send(b'\0\x40half')
        asked.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        harness.close_now(asked.connection)
    except OSError:
        pass  # it is closed already


ENOUGH = 28  # of 30 questions: a busy machine loses a packet


class OneZone(Case):
    """What an upstream does with the names of one zone is no other zone's affair."""

    WEIGHT = 10

    def flood(self, ouzel, zone, rate):
        flood = Flood(ouzel.server, zone, rate)
        flood.start()
        self.addCleanup(flood.stop)
        self.assertTrue(harness.eventually(lambda: flood.sent >= rate))  # before others ask
        return flood

    def answered(self, ouzel, count=30):
        """How many of so many questions of others are answered, with so much time between them that
        an upstream which is silent to the flood says nothing for a while."""
        answered = 0
        for number in range(count):
            reply = ask(ouzel.server, f'n{number}.good{number}.example', timeout=2)
            answered += reply is not None and rdata_texts(reply) == ['192.0.2.1']
            harness.lapse(0.35)
        return answered

    def silent_upstream(self):
        def script(asked):
            if not asked.name.endswith('silent.net'):
                asked.send(asked.reply(), delay=0.005)
        return self.upstream(script)

    def test_silent_zone(self):
        """3,000 random names a second of a zone about which the upstream is silent."""
        ouzel = self.ouzel(self.silent_upstream())
        flood = self.flood(ouzel, 'silent.net', 3000)
        answered = self.answered(ouzel)
        self.assertGreater(flood.sent, 20000, 'that is no flood')
        self.assertGreaterEqual(answered, ENOUGH)

    def test_silent_zone_of_two_upstreams(self):
        ouzel = self.ouzel(self.silent_upstream(), self.silent_upstream(), workers=2)
        self.flood(ouzel, 'silent.net', 3000)
        self.assertGreaterEqual(self.answered(ouzel), ENOUGH)

    def stalls_over_tcp(self, rate):
        """Names that are truncated and never answered over TCP; what else is truncated, is."""
        def script(asked):
            if not asked.tcp:
                asked.send(asked.reply([], flags=0x0200))
            elif not asked.name.endswith('stall.net'):
                asked.send(asked.reply())
        ouzel = self.ouzel(self.upstream(script, tcp=True))
        self.flood(ouzel, 'stall.net', rate)
        self.assertGreaterEqual(self.answered(ouzel), ENOUGH)

    def test_stalls_over_tcp_300(self):
        self.stalls_over_tcp(300)

    def test_stalls_over_tcp_1000(self):
        self.stalls_over_tcp(1000)

    def test_closed_on(self):
        """A server that closes the connection on those names, with half of an answer or a reset."""
        def script(asked):
            if not asked.tcp:
                asked.send(asked.reply([], flags=0x0200))
            elif not asked.name.endswith('poison.net'):
                asked.send(asked.reply())
            else:
                break_off(asked)
        ouzel = self.ouzel(self.upstream(script, tcp=True))
        self.flood(ouzel, 'poison.net', 100)
        self.assertGreaterEqual(self.answered(ouzel), ENOUGH)

    def test_udp_is_filtered(self):
        """TCP is not: that is found out, and then no question takes long."""
        upstream = self.upstream(lambda asked: asked.tcp and asked.send(asked.reply()), tcp=True)
        ouzel = self.ouzel(upstream)
        self.assertEqual(rdata_texts(ask(ouzel.server, 'first.example', timeout=5)), ['192.0.2.1'])
        for number in range(10):
            start = time.monotonic()
            self.assertEqual(rdata_texts(ask(ouzel.server, f'n{number}.example', timeout=5)),
                             ['192.0.2.1'])
            self.assertLess(time.monotonic() - start, 1.0 * harness.PATIENCE)


def internet_sum(data):
    total = sum(struct.unpack(f'>{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def unreachable(asked):
    """An ICMP message that reports this query as undeliverable (RFC 792)."""
    source, target = asked.source, (asked.upstream.address, asked.upstream.port)
    quoted = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 28 + len(asked.data), 1, 0, 64, 17, 0,
                         socket.inet_aton(source[0]), socket.inet_aton(target[0]))
    quoted += struct.pack('>HHHH', source[1], target[1], 8 + len(asked.data), 0)
    head = struct.pack('>BBHI', 3, 3, 0, 0)
    return struct.pack('>BBHI', 3, 3, internet_sum(head + quoted), 0) + quoted


class Unreachable(Case):
    @unittest.skipUnless(os.getuid() == 0, 'forging ICMP takes root')
    def test_forged(self):
        """Forged ICMP reports each query as undeliverable; the upstream answers even so."""
        forger = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.addCleanup(forger.close)

        def script(asked):
            for _ in range(3):
                forger.sendto(unreachable(asked), (asked.source[0], 0))
            asked.send(asked.reply(), delay=0.02)
        upstream = self.upstream()
        ouzel = self.ouzel(upstream)
        ask(ouzel.server, 'first.example')
        upstream.script = script
        for number in range(50):
            self.assertEqual(rdata_texts(ask(ouzel.server, f'n{number}.example', timeout=5)),
                             ['192.0.2.1'])
        self.assertGreater(ouzel.total('ouzel_upstream_unreachable_total'), 0)
        self.assert_balance(ouzel)


class Randomness(Case):
    def test_ports_and_ids(self):
        """300 questions, one by one: at least 250 source ports, spread over the range, and no order
        in them."""
        upstream = self.upstream()
        ouzel = self.ouzel(upstream)
        queries = [harness.plain_query(f'n{i}.random.example') for i in range(300)]
        self.assertNotIn(None, harness.ask_many(ouzel.server, queries, window=1))
        ports = [asked.source[1] for asked in upstream.asked]
        idents = [asked.ident for asked in upstream.asked]
        self.assertGreaterEqual(len(set(ports)), 250)
        self.assertGreaterEqual(len(set(idents)), 290)
        self.assertGreaterEqual(min(ports), 1024)
        for values in (ports, idents):
            buckets = {value >> 12 for value in values}
            self.assertGreaterEqual(len(buckets), 14, 'large parts of the range are not used')
            steps = [b - a for a, b in zip(values, values[1:])]
            self.assertLess(sum(0 < step < 200 for step in steps), 30, 'these look counted up')

    def test_ports_of_what_leaves_together(self):
        """At most sixteen questions in flight share a port, and it has at most 64 in its life;
        their IDs are as random as any."""
        upstream = self.upstream(lambda asked: asked.send(asked.reply(), delay=0.2))
        ouzel = self.ouzel(upstream)
        queries = [harness.plain_query(f'n{i}.random.example') for i in range(300)]
        self.assertNotIn(None, harness.ask_many(ouzel.server, queries, window=100, timeout=5))
        uses = collections.Counter(asked.source[1] for asked in upstream.asked)
        self.assertGreaterEqual(len(uses), 100 // 16)
        self.assertLessEqual(max(uses.values()), 64)
        together = collections.Counter(asked.source[1] for asked in upstream.asked[:100])
        self.assertLessEqual(max(together.values()), 16)
        idents = [asked.ident for asked in upstream.asked]
        self.assertGreaterEqual(len(set(idents)), 290)
        self.assertGreaterEqual(len({ident >> 12 for ident in idents}), 14)

    def test_another_start_gives_others(self):
        seen = []
        for _ in range(2):
            upstream = self.upstream()
            ouzel = self.ouzel(upstream)
            for number in range(8):
                ask(ouzel.server, f'n{number}.example')
            seen.append([(asked.source[1], asked.ident) for asked in upstream.asked])
        self.assertEqual(set(seen[0]) & set(seen[1]), set())

    def test_what_leaves(self):
        """One question, RD set, own OPT of 1232 octets; nothing of the client's OPT goes along."""
        upstream = self.upstream()
        ouzel = self.ouzel(upstream)
        ask(ouzel.server, 'a.example', use_edns=0, payload=4000,
            options=[harness.dns.edns.ECSOption('192.0.2.0', 24)])
        message = upstream.asked[0].message()
        self.assertEqual(len(message.question), 1)
        self.assertEqual(message.opcode(), 0)
        self.assertTrue(message.flags & harness.dns.flags.RD)
        self.assertFalse(message.flags & (harness.dns.flags.TC | harness.dns.flags.QR))
        self.assertEqual(message.edns, 0)
        self.assertEqual(message.payload, 1232)
        self.assertEqual([option.otype for option in message.options],
                         [harness.dns.edns.OptionType.COOKIE])
        self.assertEqual(len(message.options[0].to_wire()), 8, 'our own half and no more')
