# SPDX-License-Identifier: MIT
"""The forwarder before upstreams of every kind: TCP, EDNS, cookies, 0x20, failures, stale
answers and refreshes, with real sockets."""

import collections
import socket
import struct
import threading
import time

import dns.flags
import dns.message

import harness
from case import Case
from harness import ask, rdata_texts

TC = 0x0200


def truncating(asked):
    """Says TC to datagrams and all over TCP."""
    if asked.tcp:
        asked.send(asked.reply([f'198.18.0.{i}' for i in range(100)]))
    else:
        asked.send(asked.reply([], flags=TC))


class Tcp(Case):
    def test_truncated_is_asked_over_tcp(self):
        upstream = self.upstream(truncating, tcp=True)
        ouzel = self.ouzel(upstream)
        for _ in range(2):  # from upstream, then from memory
            reply = ask(ouzel.server, 'a.example', use_edns=0, payload=4096)
            self.assertTrue(reply.flags & dns.flags.TC, 'does not fit 1232 octets')
        ouzel = self.ouzel(upstream, settings={'server': {'udp-payload-max': 4096}})
        reply = ask(ouzel.server, 'a.example', use_edns=0, payload=4096)
        self.assertFalse(reply.flags & dns.flags.TC)
        self.assertEqual(len(rdata_texts(reply)), 100)
        self.assertEqual([asked.tcp for asked in upstream.asked], [False, True] * 2)
        self.assert_balance(ouzel)

    def test_connection_stays_open_and_is_shared(self):
        upstream = self.upstream(truncating, tcp=True)
        ouzel = self.ouzel(upstream)
        queries = [harness.plain_query(f'n{i}.example') for i in range(200)]
        self.assertNotIn(None, harness.ask_many(ouzel.server, queries, window=16))
        self.assertLessEqual(len(upstream.connections), 2)
        self.assertEqual(sum(asked.tcp for asked in upstream.asked), 200)

    def test_answers_out_of_order(self):
        def script(asked):
            if not asked.tcp:
                asked.send(asked.reply([], flags=TC))
                return
            number = int(asked.name[1:asked.name.index('.')])
            asked.send(asked.reply([f'198.18.1.{number}']), delay=0.3 - 0.02 * number)
        upstream = self.upstream(script, tcp=True)
        ouzel = self.ouzel(upstream)
        replies = harness.ask_many(
            ouzel.server, [harness.plain_query(f'n{i}.example') for i in range(10)])
        for number, data in enumerate(replies):
            self.assertEqual(rdata_texts(dns.message.from_wire(data)), [f'198.18.1.{number}'])
        self.assertEqual(len(upstream.connections), 1)

    def test_upstream_that_closes_after_each_answer(self):
        def script(asked):
            truncating(asked)
            if asked.tcp:
                harness.close_now(asked.connection)
        upstream = self.upstream(script, tcp=True)
        ouzel = self.ouzel(upstream)
        for number in range(10):
            reply = ask(ouzel.server, f'n{number}.example')
            self.assertTrue(reply.flags & dns.flags.TC)
        self.assertEqual(ouzel.total('ouzel_answers_total', source='failure'), 0)
        self.assert_balance(ouzel)

    def test_upstream_that_closes_without_a_reply(self):
        """It has one chance now and then; the other one answers."""
        def script(asked):
            if asked.tcp:
                harness.close_now(asked.connection)
            else:
                asked.send(asked.reply([], flags=TC))
        sick, good = self.upstream(script, tcp=True), self.upstream()
        ouzel = self.ouzel(settings={'forward': [
            {'zone': '.', 'to': [str(sick), str(good)], 'strategy': 'ordered'}]})
        for number in range(5):
            self.assertEqual(rdata_texts(ask(ouzel.server, f'n{number}.example')), ['192.0.2.1'])

    def test_no_tcp_there(self):
        """TC from the one that refuses connections; the other one answers."""
        sick = self.upstream(lambda asked: asked.send(asked.reply([], flags=TC)))
        good = self.upstream()
        ouzel = self.ouzel(settings={'forward': [
            {'zone': '.', 'to': [str(sick), str(good)], 'strategy': 'ordered'}]})
        def refused():
            return ouzel.total('ouzel_upstream_connections_ended_total', by='failure') >= 1
        # The other one may have answered before the connection was refused, or even before the
        # first one's word came: so more than one question may be needed.
        for number in range(100):
            self.assertEqual(rdata_texts(ask(ouzel.server, f'n{number}.example')), ['192.0.2.1'])
            if number >= 4 and harness.eventually(refused, 0.1):
                break
        self.assertTrue(refused())

    def test_pieces(self):
        """A message that comes octet by octet, and two that come in one piece."""
        def script(asked):
            if not asked.tcp:
                asked.send(asked.reply([], flags=TC))
                return
            data = asked.reply(['198.18.2.1'])
            data = struct.pack('>H', len(data)) + data
            asked.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if asked.name == 'slow.example':
                for octet in data:
                    asked.connection.send(bytes([octet]))
                    harness.lapse(0.002)
            else:
                together.append(data)
                if len(together) == 2:
                    asked.connection.sendall(b''.join(together))
        together = []
        upstream = self.upstream(script, tcp=True)
        ouzel = self.ouzel(upstream)
        self.assertEqual(rdata_texts(ask(ouzel.server, 'slow.example')), ['198.18.2.1'])
        replies = harness.ask_many(
            ouzel.server, [harness.plain_query(f'n{i}.example') for i in range(2)])
        for data in replies:
            self.assertEqual(rdata_texts(dns.message.from_wire(data)), ['198.18.2.1'])

    def test_largest_answer(self):
        """65,535 octets over TCP are accepted and cached, and a UDP client gets TC."""
        def script(asked):
            if not asked.tcp:
                asked.send(asked.reply([], flags=TC))
                return
            head = asked.reply([])[:6] + b'\0\0' + asked.reply([])[8:]
            count, data = 0, b''
            while len(head) + len(data) + 267 <= 65535:
                data += b'\xc0\x0c\0\x10\0\1\0\0\1\0\0\xff\xfe' + bytes([count % 256]) * 254
                count += 1
            asked.send(head[:6] + struct.pack('>H', count) + head[8:] + data)
        upstream = self.upstream(script, tcp=True)
        ouzel = self.ouzel(upstream)
        for _ in range(2):
            reply = ask(ouzel.server, 'big.example', 'TXT')
            self.assertTrue(reply.flags & dns.flags.TC)
            self.assertEqual(reply.rcode(), 0)
        self.assertEqual(sum(asked.tcp for asked in upstream.asked), 1)
        self.assertEqual(ouzel.total('ouzel_answers_total', source='cache'), 1)

    def test_idle_connection_is_closed(self):
        upstream = self.upstream(truncating, tcp=True)
        ouzel = self.ouzel(upstream, settings={'upstream': {'tcp-idle-timeout': '1s'}})
        ask(ouzel.server, 'a.example')
        self.assertEqual(ouzel.total('ouzel_upstream_connections_open'), 1)
        before = ouzel.descriptors()
        self.assertTrue(harness.eventually(
            lambda: ouzel.total('ouzel_upstream_connections_open') == 0, 5))
        # Those of the stats server's own clients come and go.
        self.assertTrue(harness.eventually(lambda: ouzel.descriptors() < before))
        ask(ouzel.server, 'b.example')
        self.assertEqual(len(upstream.connections), 2)


class Edns(Case):
    def plain_after(self, refuse, wanted, names=5):
        """An upstream that does not take EDNS is asked without, and when that was so with three
        kinds of questions at once. `wanted` has a letter for each query: with a Cookie, with Edns
        alone, Plain."""
        def script(asked):
            asked.send(asked.reply() if asked.plain else refuse(asked))
        upstream = self.upstream(script)
        ouzel = self.ouzel(upstream)
        for number in range(names):
            reply = ask(ouzel.server, f'n{number}.example', use_edns=0)
            self.assertEqual(rdata_texts(reply), ['192.0.2.1'])
            self.assertEqual(reply.edns, 0, 'ours is with the client alone')
        self.assertEqual(''.join(edns_letter(asked) for asked in upstream.asked), wanted)

    def test_formerr(self):
        self.plain_after(lambda asked: asked.reply(rcode=1), 'CEPCEPCEPPP')

    def test_notimp(self):
        self.plain_after(lambda asked: asked.reply(rcode=4), 'CPCPCPPP')

    def test_formerr_without_a_question(self):
        self.plain_after(lambda asked: header_only(asked, 1), 'CEPCEPCEPPP')

    def test_badvers(self):
        """Which has an OPT record, so the server supports EDNS."""
        def badvers(asked):
            data = bytearray(asked.reply([]))
            data[10:12] = b'\0\1'
            return bytes(data) + b'\0\0\x29\x04\xd0\1\0\0\0\0\0'
        self.plain_after(badvers, 'CPCPCPCPCP')

    def test_formerr_to_a_cookie(self):
        """EDNS goes on without it."""
        upstream = self.upstream(lambda asked: asked.send(
            asked.reply(rcode=1 if edns_letter(asked) == 'C' else 0)))
        ouzel = self.ouzel(upstream)
        for number in range(5):
            self.assertEqual(rdata_texts(ask(ouzel.server, f'n{number}.example')), ['192.0.2.1'])
        self.assertEqual(''.join(edns_letter(asked) for asked in upstream.asked), 'CECECEEE')

    def test_formerr_of_the_question_itself(self):
        """Said without EDNS as well: the client's query was fine, and EDNS goes on."""
        upstream = self.upstream(lambda asked: asked.send(
            asked.reply(rcode=1 if asked.name.startswith('bad') else 0)))
        ouzel = self.ouzel(upstream)
        reply = ask(ouzel.server, 'bad.example', use_edns=0)
        self.assert_status(reply, 'SERVFAIL')
        self.assertEqual(harness.ede_codes(reply), [22])
        ask(ouzel.server, 'good.example')
        self.assertEqual(''.join(edns_letter(asked) for asked in upstream.asked), 'CEPC')


def header_only(asked, rcode):
    return struct.pack('>HHHHHH', asked.ident, 0x8180 | rcode, 0, 0, 0, 0)


def edns_letter(asked):
    if asked.plain:
        return 'P'
    return 'E' if cookie_of(asked) is None else 'C'


class HeaderOnly(Case):
    def test_next_upstream_at_once(self):
        for rcode in (1, 2, 3, 4, 5):
            with self.subTest(rcode=rcode):
                sick = self.upstream(lambda asked, rcode=rcode: asked.send(
                    header_only(asked, rcode)))
                good = self.upstream(lambda asked: asked.send(asked.reply(['192.0.2.7'])))
                ouzel = self.ouzel(settings={'forward': [
                    {'zone': '.', 'to': [str(sick), str(good)], 'strategy': 'ordered'}]})
                start = time.monotonic()
                self.assertEqual(rdata_texts(ask(ouzel.server, 'a.example')), ['192.0.2.7'])
                self.assertLess(time.monotonic() - start, 1.0 * harness.PATIENCE)

    def test_no_other_upstream(self):
        """The client hears of it at once, and never that the name does not exist."""
        for rcode in (1, 2, 3, 4, 5):
            with self.subTest(rcode=rcode):
                sick = self.upstream(lambda asked, rcode=rcode: asked.send(
                    header_only(asked, rcode)))
                ouzel = self.ouzel(sick)
                start = time.monotonic()
                reply = ask(ouzel.server, 'a.example', use_edns=0)
                self.assert_status(reply, 'SERVFAIL')
                self.assertEqual(harness.ede_codes(reply), [22])
                self.assertLess(time.monotonic() - start, 1.0 * harness.PATIENCE)


def cookie_of(asked):
    return harness.option_of(asked.message(), 10)


def with_cookie(data, cookie, rcode=0):
    """A reply that has no additional records, with an OPT record that holds this cookie."""
    option = struct.pack('>HH', 10, len(cookie)) + cookie
    return (data[:10] + b'\0\1' + data[12:] +
            struct.pack('>BHHBBHH', 0, 41, 1232, rcode >> 4, 0, 0, len(option)) + option)


class Cookies(Case):
    SERVER = b'SeRvErCo'

    def test_learned_and_sent(self):
        upstream = self.upstream(lambda asked: asked.send(
            with_cookie(asked.reply(), cookie_of(asked)[:8] + self.SERVER)))
        ouzel = self.ouzel(upstream)
        for number in range(3):
            ask(ouzel.server, f'n{number}.example')
        cookies = [cookie_of(asked) for asked in upstream.asked]
        self.assertEqual(len(cookies[0]), 8)
        self.assertEqual(cookies[1:], [cookies[0] + self.SERVER] * 2)

    def test_each_upstream_has_its_own(self):
        one, two = self.upstream(), self.upstream()
        ouzel = self.ouzel(one, two)
        for number in range(5):
            ask(ouzel.server, f'n{number}.example')
        self.assertTrue(harness.eventually(lambda: one.asked and two.asked))
        self.assertNotEqual(cookie_of(one.asked[0]), cookie_of(two.asked[0]))

    def test_wrong_cookie_is_a_forgery(self):
        def script(asked):
            asked.send(with_cookie(asked.reply(['203.0.113.66']), b'x' * 8 + self.SERVER))
            asked.send(with_cookie(asked.reply(), cookie_of(asked)[:8] + self.SERVER), delay=0.02)
        upstream = self.upstream(script)
        ouzel = self.ouzel(upstream)
        self.assertEqual(rdata_texts(ask(ouzel.server, 'a.example')), ['192.0.2.1'])
        self.assertGreaterEqual(ouzel.total('ouzel_upstream_replies_total', verdict='mismatched'),
                                1)

    def test_badcookie_is_asked_again(self):
        def script(asked):
            cookie = cookie_of(asked)
            if len(cookie) == 8:
                asked.send(with_cookie(asked.reply([], rcode=7), cookie + self.SERVER, 23))
            else:
                asked.send(with_cookie(asked.reply(), cookie))
        upstream = self.upstream(script)
        ouzel = self.ouzel(upstream)
        self.assertEqual(rdata_texts(ask(ouzel.server, 'a.example')), ['192.0.2.1'])
        self.assertEqual(len(upstream.asked), 2)

    def test_missing_cookie_moves_to_tcp(self):
        """A server that sent one and then does not: the reply may be forged."""
        def script(asked):
            reply = asked.reply(['198.18.9.1' if asked.tcp else '192.0.2.1'])
            known = asked.name == 'first.example' or asked.tcp
            asked.send(with_cookie(reply, cookie_of(asked)[:8] + self.SERVER) if known else reply)
        upstream = self.upstream(script, tcp=True)
        ouzel = self.ouzel(upstream)
        ask(ouzel.server, 'first.example')
        self.assertEqual(rdata_texts(ask(ouzel.server, 'second.example')), ['198.18.9.1'])

    def test_switched_off(self):
        upstream = self.upstream()
        ouzel = self.ouzel(upstream, settings={'upstream': {'cookies': False}})
        ask(ouzel.server, 'a.example')
        self.assertIsNone(cookie_of(upstream.asked[0]))


def spelled(asked):
    """The name as it was asked."""
    return asked.question[:-4]


class Spelling(Case):
    NAME = 'abcdefghijklmnopqrstuvwxyz.example'

    def test_random_and_back_as_the_client_wrote(self):
        upstream = self.upstream()
        ouzel = self.ouzel(upstream)
        ask(ouzel.server, self.NAME)
        ask(ouzel.server, 'x' + self.NAME)
        for asked in upstream.asked:
            self.assertNotEqual(spelled(asked), spelled(asked).lower())
            self.assertNotEqual(spelled(asked), spelled(asked).upper())
        reply = ask(ouzel.server, self.NAME.upper())
        self.assertEqual(reply.question[0].name.to_text(), self.NAME.upper() + '.')
        self.assertEqual(reply.answer[0].name.to_text(), self.NAME.upper() + '.')

    def test_upstream_that_loses_it(self):
        """Three kinds are asked over TCP to see whether it is a forger, and no more after that."""
        upstream = self.upstream(lambda asked: asked.send(
            asked.reply(question=asked.question[:-4].lower() + asked.question[-4:])), tcp=True)
        ouzel = self.ouzel(upstream)
        for number in range(4):
            self.assertEqual(rdata_texts(ask(ouzel.server, f'n{number}{self.NAME}')),
                             ['192.0.2.1'])
        self.assertEqual([asked.tcp for asked in upstream.asked],
                         [False, True] * 3 + [False])
        for asked in upstream.asked[6:]:
            self.assertEqual(spelled(asked), spelled(asked).lower())

    def test_upstream_that_loses_it_and_has_no_tcp(self):
        """What may be forged is not believed, however often; and mixed case stays."""
        upstream = self.upstream(lambda asked: asked.send(
            asked.reply(question=asked.question[:-4].lower() + asked.question[-4:])))
        ouzel = self.ouzel(upstream)
        for number in range(4):
            self.assert_status(ask(ouzel.server, f'n{number}{self.NAME}', timeout=6), 'SERVFAIL')
        for asked in upstream.asked:
            self.assertNotEqual(spelled(asked), spelled(asked).lower())

    def test_upstream_that_loses_it_and_has_cookies(self):
        """With our cookie the reply is its own."""
        upstream = self.upstream(lambda asked: asked.send(with_cookie(
            asked.reply(question=asked.question[:-4].lower() + asked.question[-4:]),
            cookie_of(asked)[:8] + Cookies.SERVER)))
        ouzel = self.ouzel(upstream)
        for number in range(4):
            self.assertEqual(rdata_texts(ask(ouzel.server, f'n{number}{self.NAME}')),
                             ['192.0.2.1'])
        self.assertEqual(len(upstream.asked), 4)

    def fails_in_mixed_case(self, fail):
        def script(asked):
            if spelled(asked) == spelled(asked).lower():
                asked.send(asked.reply())
            else:
                fail(asked)
        upstream = self.upstream(script, tcp=True)
        ouzel = self.ouzel(upstream)
        for number in range(4):
            self.assertEqual(rdata_texts(ask(ouzel.server, f'n{number}{self.NAME}', timeout=6)),
                             ['192.0.2.1'])
        self.assertEqual(sum(asked.tcp for asked in upstream.asked), 3, 'then it is known')
        self.assertEqual(spelled(upstream.asked[-1]), spelled(upstream.asked[-1]).lower())

    def test_upstream_that_refuses_mixed_case(self):
        self.fails_in_mixed_case(lambda asked: asked.send(asked.reply(rcode=5)))

    def test_upstream_that_fails_in_mixed_case(self):
        self.fails_in_mixed_case(lambda asked: asked.send(asked.reply(rcode=2)))

    def test_upstream_that_ignores_mixed_case(self):
        self.fails_in_mixed_case(lambda asked: None)

    def test_switched_off(self):
        upstream = self.upstream()
        ouzel = self.ouzel(upstream, settings={'upstream': {'random-case': False}})
        ask(ouzel.server, self.NAME)
        self.assertEqual(spelled(upstream.asked[0]), spelled(upstream.asked[0]).lower())


class Storm(Case):
    def test_ten_thousand_forged_replies(self):
        """They reach the open ports from the upstream's own address; none gets in, the question
        that they are for is answered over TCP, and others do not wait longer than usual."""
        stop = threading.Event()

        def storm(asked):
            forged = asked.reply(['203.0.113.66'], question=asked.question)
            for ident in range(10000):
                if stop.is_set():
                    return
                if ident != asked.ident:
                    asked.send(struct.pack('>H', ident) + forged[2:])

        def script(asked):
            if asked.tcp:
                asked.send(asked.reply(['198.18.9.9']))
            elif asked.name == 'victim.example':
                threading.Thread(target=storm, args=(asked,), daemon=True).start()
            else:
                asked.send(asked.reply())
        upstream = self.upstream(script, tcp=True)
        ouzel = self.ouzel(upstream)
        self.addCleanup(stop.set)
        for number in range(20):
            ask(ouzel.server, f'warm{number}.example')
        self.assertEqual(rdata_texts(ask(ouzel.server, 'victim.example')), ['198.18.9.9'])
        for number in range(50):
            self.assertEqual(rdata_texts(ask(ouzel.server, f'other{number}.example')),
                             ['192.0.2.1'])
        self.assertEqual(rdata_texts(ask(ouzel.server, 'victim.example')), ['198.18.9.9'])
        self.assertGreaterEqual(ouzel.total('ouzel_upstream_moved_to_tcp_total'), 1)
        self.assert_balance(ouzel)


class Failures(Case):
    def test_remembered(self):
        upstream = self.upstream(lambda asked: asked.send(asked.reply(rcode=2)))
        ouzel = self.ouzel(upstream)
        self.assert_status(ask(ouzel.server, 'a.example'), 'SERVFAIL')
        sends = len(upstream.asked)
        for _ in range(5):
            reply = ask(ouzel.server, 'a.example', use_edns=0)
            self.assert_status(reply, 'SERVFAIL')
            self.assertIn(13, harness.ede_codes(reply))
        self.assertEqual(len(upstream.asked), sends)
        self.assertEqual(ouzel.total('ouzel_failures_remembered_total'), 5)
        self.assert_balance(ouzel)

    def test_unreachable_upstream(self):
        ouzel = self.ouzel(harness.join(harness.fresh_address(), 5399))
        start = time.monotonic()
        reply = ask(ouzel.server, 'a.example', use_edns=0)
        self.assert_status(reply, 'SERVFAIL')
        self.assertLess(time.monotonic() - start, 0.5 * harness.PATIENCE)
        self.assertIn(23, harness.ede_codes(reply))

    def test_back_from_an_outage(self):
        """What failed for want of an upstream is asked again as soon as there is one."""
        answers = threading.Event()
        upstream = self.upstream(lambda asked: answers.is_set() and asked.send(asked.reply()))
        ouzel = self.ouzel(upstream)
        self.assert_status(ask(ouzel.server, 'a.example', timeout=7), 'SERVFAIL')
        answers.set()
        self.assertTrue(harness.eventually(
            lambda: rdata_texts(ask(ouzel.server, 'b.example', timeout=6)) == ['192.0.2.1'], 3))
        self.assertEqual(rdata_texts(ask(ouzel.server, 'a.example')), ['192.0.2.1'])


class Stale(Case):
    WEIGHT = 3

    def begin(self, **cache):
        self.down = False
        upstream = self.upstream(lambda asked: self.down or asked.send(asked.reply(ttl=1)))
        ouzel = self.ouzel(upstream, settings={'cache': cache})
        for number in range(3):
            ask(ouzel.server, f'n{number}.example')
        harness.lapse(1.2)
        self.down = True
        return upstream, ouzel

    def assert_stale(self, reply, ede):
        self.assertEqual([rrset.ttl for rrset in reply.answer], [30])
        self.assertEqual(harness.ede_codes(reply), [ede])

    def test_after_a_while_then_at_once(self):
        upstream, ouzel = self.begin(**{'stale-answer-after': '300ms'})
        start = time.monotonic()
        self.assert_stale(ask(ouzel.server, 'n0.example', use_edns=0), 3)
        took = time.monotonic() - start
        self.assertGreater(took, 0.29)
        self.assertLess(took, 1.0 * harness.PATIENCE)
        self.assertTrue(harness.eventually(lambda: ouzel.total('ouzel_upstream_up') == 0))
        start = time.monotonic()
        self.assert_stale(ask(ouzel.server, 'n1.example', use_edns=0), 3)
        self.assertLess(time.monotonic() - start, 0.2 * harness.PATIENCE, 'the outage is known')
        self.down = False
        upstream.script = lambda asked: asked.send(asked.reply(['198.18.7.7']))
        self.assertTrue(harness.eventually(
            lambda: rdata_texts(ask(ouzel.server, 'n0.example')) == ['198.18.7.7'], 10))
        self.assertGreaterEqual(ouzel.total('ouzel_answers_total', source='stale'), 2)
        self.assert_balance(ouzel)

    def test_a_living_upstream_wins(self):
        upstream, ouzel = self.begin()
        upstream.script = lambda asked: asked.send(asked.reply(['198.18.7.8']), delay=0.2)
        self.assertEqual(rdata_texts(ask(ouzel.server, 'n0.example')), ['198.18.7.8'])

    def test_when_the_upstream_fails(self):
        upstream, ouzel = self.begin()
        upstream.script = lambda asked: asked.send(asked.reply(rcode=2))
        self.assert_stale(ask(ouzel.server, 'n0.example', use_edns=0), 3)
        sends = len(upstream.asked)
        self.assert_stale(ask(ouzel.server, 'n0.example', use_edns=0), 3)
        self.assertEqual(len(upstream.asked), sends, 'not asked again for 30 s')

    def test_switched_off(self):
        _, ouzel = self.begin(**{'stale-max-age': '0s'})
        self.assert_status(ask(ouzel.server, 'n0.example', timeout=7), 'SERVFAIL')


class Refresh(Case):
    def test_popular_answers_are_renewed(self):
        """Asked three times: refreshed before it expires. Asked once: not."""
        upstream = self.upstream(lambda asked: asked.send(asked.reply(ttl=6)))
        ouzel = self.ouzel(upstream, workers=2)
        for _ in range(5):
            ask(ouzel.server, 'hot.example')
        ask(ouzel.server, 'cold.example')
        self.assertTrue(harness.eventually(
            lambda: upstream.names().count('hot.example') == 2, 8))
        harness.lapse(1.5)  # the first lifetime has ended
        self.assertEqual(rdata_texts(ask(ouzel.server, 'hot.example')), ['192.0.2.1'])
        counts = collections.Counter(upstream.names())
        self.assertEqual(counts, {'hot.example': 2, 'cold.example': 1})
        self.assertEqual(ouzel.total('ouzel_refreshes_total'), 1)
        self.assertEqual(ouzel.total('ouzel_refreshes_used_total'), 1)
        self.assertEqual(ouzel.total('ouzel_answers_total', source='cache'), 5)
        self.assert_balance(ouzel)
