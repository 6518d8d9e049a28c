# SPDX-License-Identifier: MIT
"""What is answered from memory, for how long, and that equal questions are asked once."""

import threading
import time

import dns.message

import harness
from case import Case
from harness import ask, rdata_texts


class Memory(Case):
    def test_second_ask_is_answered_from_memory(self):
        upstream = self.upstream()
        ouzel = self.ouzel(upstream, workers=2)
        for _ in range(20):
            self.assertEqual(rdata_texts(ask(ouzel.server, 'a.example')), ['192.0.2.1'])
        self.assertEqual(upstream.names(), ['a.example'])
        self.assertEqual(ouzel.total('ouzel_answers_total', source='cache'), 19)
        self.assertEqual(ouzel.total('ouzel_answers_total', source='upstream'), 1)
        self.assertEqual(ouzel.total('ouzel_upstream_queries_total'), 1)
        self.assert_balance(ouzel)

    def test_case_makes_no_difference(self):
        upstream = self.upstream()
        ouzel = self.ouzel(upstream)
        for name in ('case.example', 'CASE.example', 'cAsE.ExAmPlE'):
            self.assertEqual(rdata_texts(ask(ouzel.server, name)), ['192.0.2.1'])
        self.assertEqual(len(upstream.asked), 1)

    def test_type_and_do_make_a_difference(self):
        upstream = self.upstream()
        ouzel = self.ouzel(upstream)
        ask(ouzel.server, 'a.example', 'A')
        ask(ouzel.server, 'a.example', 'A', want_dnssec=True)
        self.assertEqual(len(upstream.asked), 2)

    def test_ttl_counts_down(self):
        upstream = self.upstream(lambda asked: asked.send(asked.reply(ttl=100)))
        ouzel = self.ouzel(upstream)

        def ttl():
            return ask(ouzel.server, 'a.example').answer[0].ttl
        begin = time.monotonic()
        self.assertEqual(ttl(), 100)
        self.assertTrue(harness.eventually(lambda: ttl() <= 98, step=0.1))
        now = ttl()
        self.assertGreaterEqual(now, 98 - (time.monotonic() - begin))
        self.assertEqual(len(upstream.asked), 1)

    def test_ttl_passes(self):
        upstream = self.upstream(lambda asked: asked.send(asked.reply(ttl=1)))
        ouzel = self.ouzel(upstream)
        ask(ouzel.server, 'a.example')
        harness.lapse(2.2)
        reply = ask(ouzel.server, 'a.example')
        self.assertEqual(reply.answer[0].ttl, 1)
        self.assertEqual(len(upstream.asked), 2)

    def test_ttl_zero_is_not_cached(self):
        upstream = self.upstream(lambda asked: asked.send(asked.reply(ttl=0)))
        ouzel = self.ouzel(upstream)
        for _ in range(3):
            self.assertEqual(ask(ouzel.server, 'a.example').answer[0].ttl, 0)
        self.assertEqual(len(upstream.asked), 3)

    def test_ttl_limits(self):
        upstream = self.upstream(lambda asked: asked.send(
            asked.reply(ttl=1 if asked.name == 'short.example' else 1000000)))
        ouzel = self.ouzel(upstream, settings={'cache': {'ttl-min': '10s', 'ttl-max': '1m'}})
        ask(ouzel.server, 'short.example')
        harness.lapse(2.1)
        ask(ouzel.server, 'short.example')
        self.assertEqual(upstream.names(), ['short.example'])
        ask(ouzel.server, 'long.example')
        self.assertLessEqual(ask(ouzel.server, 'long.example').answer[0].ttl, 60)

    def test_negative_answer(self):
        """Cached for the lesser of the SOA's TTL and its MINIMUM; not cached without an SOA."""
        def script(asked):
            reply = dns.message.make_response(asked.message(), recursion_available=True)
            reply.set_rcode(3)
            if asked.name.startswith('soa'):
                reply.authority.append(dns.rrset.from_text(
                    'example.', 900, 'IN', 'SOA', 'ns.example. h.example. 1 2 3 4 2'))
            asked.send(reply.to_wire())
        upstream = self.upstream(script)
        ouzel = self.ouzel(upstream)
        for _ in range(3):
            self.assert_status(ask(ouzel.server, 'soa.example'), 'NXDOMAIN')
        self.assertEqual(len(upstream.asked), 1)
        self.assertLessEqual(ask(ouzel.server, 'soa.example').authority[0].ttl, 2)
        harness.lapse(3.1)
        self.assert_status(ask(ouzel.server, 'soa.example'), 'NXDOMAIN')
        self.assertEqual(len(upstream.asked), 2)
        for _ in range(2):
            self.assert_status(ask(ouzel.server, 'none.example'), 'NXDOMAIN')
        self.assertEqual(len(upstream.asked), 4)

    def test_denied_name(self):
        """That a name does not exist is the answer to every type, and asked once; of an alias
        that leads nowhere each type is asked for."""
        def script(asked):
            reply = dns.message.make_response(asked.message(), recursion_available=True)
            reply.set_rcode(3)
            if asked.name == 'alias.example':
                reply.answer.append(dns.rrset.from_text(
                    'alias.example.', 900, 'IN', 'CNAME', 'none.example.'))
            reply.authority.append(dns.rrset.from_text(
                'example.', 900, 'IN', 'SOA', 'ns.example. h.example. 1 2 3 4 900'))
            asked.send(reply.to_wire())
        upstream = self.upstream(script)
        ouzel = self.ouzel(upstream, workers=2)
        for rdtype in ('A', 'AAAA', 'HTTPS', 'A'):
            for name in ('None.Example', 'alias.example'):
                reply = ask(ouzel.server, name, rdtype)
                self.assert_status(reply, 'NXDOMAIN')
                self.assertEqual(reply.question[0].to_text(), f'{name}. IN {rdtype}')
        self.assertEqual(sorted(upstream.names()), 3 * ['alias.example'] + ['none.example'])
        self.assertEqual(ouzel.total('ouzel_answers_total', source='cache'), 4)

    def test_truncated_answer_is_not_cached(self):
        upstream = self.upstream(lambda asked: asked.send(asked.reply([], flags=0x0200)))
        ouzel = self.ouzel(upstream)
        for _ in range(2):
            reply = ask(ouzel.server, 'cut.example', timeout=8)
            self.assertIsNotNone(reply)
            self.assertEqual(reply.answer, [])
        self.assertEqual(ouzel.total('ouzel_answers_total', source='cache'), 0)

    def test_memory_is_bounded(self):
        """A cache of the least size with far more answers than it holds: the old ones go."""
        upstream = self.upstream(lambda asked: asked.send(asked.reply(['192.0.2.9'] * 40)))
        ouzel = self.ouzel(upstream, settings={'cache': {'size': '1M'}})
        queries = [harness.plain_query(f'n{i}.example') for i in range(4000)]
        replies = harness.ask_many(ouzel.server, queries)
        self.assertNotIn(None, replies)
        self.assertGreater(ouzel.total('ouzel_cache_evicted_total'), 500)
        self.assertIsNotNone(ask(ouzel.server, 'n3999.example'))
        self.assert_balance(ouzel)


class Once(Case):
    def test_equal_questions_are_asked_once(self):
        """2 workers, 64 clients that ask the same 100 new names at once: upstream sees each name
        exactly once, and every client gets the right answer. (If this machine is so busy that the
        fake upstream is late, there are resends and probes, which the test recognises.)"""
        names = [f'n{i}.once.example' for i in range(100)]
        addresses = {name: f'198.51.100.{i}' for i, name in enumerate(names)}
        upstream = self.upstream(
            lambda asked: asked.send(
                asked.reply(None if asked.is_probe else [addresses[asked.name]]), delay=0.15))
        ouzel = self.ouzel(upstream, workers=2)
        start = threading.Barrier(64)
        wrong = []

        def client(number):
            queries = [harness.plain_query(name) for name in names]
            turn = number % len(names)
            queries = queries[turn:] + queries[:turn]
            start.wait()
            replies = harness.ask_many(ouzel.server, queries, window=100)
            for place, reply in enumerate(replies):
                name = names[(place + turn) % len(names)]
                if reply is None:
                    wrong.append(f'{name}: no reply')
                elif rdata_texts(dns.message.from_wire(reply)) != [addresses[name]]:
                    wrong.append(f'{name}: another answer')

        threads = [threading.Thread(target=client, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual(wrong[:10], [], f'{len(wrong)} of 6400 went wrong; {ouzel.metrics()}')
        rows = ouzel.metrics()
        resends = harness.metric_sum(rows, 'ouzel_upstream_resends_total')
        # It may be late to read what it was sent, or lose some.
        self.assertTrue(harness.eventually(lambda: set(upstream.names()) == set(names)))
        self.assertLessEqual(len(upstream.asked), 100 + resends)
        # More than each client has asked where this machine lost some, which were asked again.
        self.assertGreaterEqual(harness.metric_sum(rows, 'ouzel_queries_total'), 6400)
        self.assertTrue(harness.eventually(
            lambda: harness.metric_sum(rows, 'ouzel_upstream_queries_total')
            <= 100 + resends + len(upstream.probes)))
        self.assertGreater(harness.metric_sum(rows, 'ouzel_handed_over_total'), 0,
                           'no question was handed to its home: did both workers work?')
        self.assert_balance(ouzel)
