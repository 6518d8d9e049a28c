# SPDX-License-Identifier: MIT
"""What is made of upstream's answers: protection against rebinding, and DNS64."""

import dns.message
import dns.rdatatype
import dns.rrset

import harness
from case import Case
from harness import ask, ede_codes, rdata_texts

PLANE_ANSWERS = 100


def answering(records):
    """A script that answers from {(name, type): [data, ...]}; what is not there is empty, with an
    SOA."""
    def script(asked):
        query = asked.message()
        question = query.question[0]
        reply = dns.message.make_response(query)
        data = records.get((asked.name, dns.rdatatype.to_text(question.rdtype)))
        if data:
            reply.answer.append(dns.rrset.from_text(question.name, 300, 'IN', question.rdtype,
                                                    *data))
        else:
            reply.authority.append(dns.rrset.from_text('example.', 60, 'IN', 'SOA',
                                                       'ns.example. a.example. 1 2 3 4 60'))
        asked.send(reply.to_wire())
    return script


class Rebind(Case):
    PLANE = 5
    RECORDS = {('public.example', 'A'): ['192.0.2.1'], ('private.example', 'A'): ['192.168.1.1'],
               ('mixed.example', 'A'): ['192.0.2.1', '10.0.0.1'],
               ('six.example', 'AAAA'): ['fd00::1'], ('loop.example', 'A'): ['127.0.0.1'],
               ('x.plex.example', 'A'): ['192.168.1.1'], ('www.corp.example', 'A'): ['10.0.0.1'],
               ('svc.example', 'HTTPS'): ['1 . ipv4hint=192.168.1.1']}

    def start(self, rebind):
        upstream = self.upstream(answering(self.RECORDS))
        return self.ouzel(upstream, settings={
            'filter': {'rebind': rebind, 'rebind-allow': ['plex.example']},
            'forward': [{'zone': '.', 'to': [str(upstream)]},
                        {'zone': 'corp.example', 'to': [str(upstream)]}]})

    def test_on(self):
        ouzel = self.start(True)
        for name, rdtype in (('private.example', 'A'), ('mixed.example', 'A'),
                             ('six.example', 'AAAA'), ('loop.example', 'A'),
                             ('svc.example', 'HTTPS')):
            for where in ('upstream', 'memory'):
                with self.subTest(name=name, where=where):
                    reply = ask(ouzel.server, name, rdtype, use_edns=0)
                    self.assert_status(reply, 'NOERROR')
                    self.assertEqual(reply.answer, [])
                    self.assertEqual(ede_codes(reply), [15])
        self.assertEqual(ouzel.total('ouzel_rebinds_total'), 5)
        for name in ('x.plex.example', 'www.corp.example', 'public.example'):
            self.assertEqual(rdata_texts(ask(ouzel.server, name)),
                             self.RECORDS[name, 'A'])
        self.assert_balance(ouzel)

    def test_off(self):
        ouzel = self.start(False)
        self.assertEqual(rdata_texts(ask(ouzel.server, 'private.example')), ['192.168.1.1'])


class Dns64(Case):
    PLANE = 5
    RECORDS = {('four.example', 'A'): ['192.0.2.1', '192.0.2.2'],
               ('both.example', 'A'): ['192.0.2.3'], ('both.example', 'AAAA'): ['2001:db8::3'],
               ('mapped.example', 'A'): ['192.0.2.4'],
               ('mapped.example', 'AAAA'): ['::ffff:192.0.2.4'],
               ('private.example', 'A'): ['10.0.0.1']}

    def start(self, **settings):
        self.fake = self.upstream(answering(self.RECORDS))
        return self.ouzel(self.fake, workers=2, settings={'dns64': dict(settings)})

    def test_well_known_prefix(self):
        ouzel = self.start(enable=True)
        for _ in range(2):
            for name, wanted in (('four.example', ['64:ff9b::c000:201', '64:ff9b::c000:202']),
                                 ('both.example', ['2001:db8::3']),
                                 ('mapped.example', ['64:ff9b::c000:204']),
                                 ('private.example', []), ('none.example', [])):
                with self.subTest(name=name):
                    reply = ask(ouzel.server, name, 'AAAA')
                    self.assert_status(reply, 'NOERROR')
                    self.assertEqual(rdata_texts(reply), wanted)
        self.assertEqual(rdata_texts(ask(ouzel.server, 'four.example')),
                         self.RECORDS['four.example', 'A'])
        self.assert_balance(ouzel)

    def test_many_at_once(self):
        """Equal questions go the way of the second one together."""
        ouzel = self.start(enable=True)
        queries = [harness.plain_query(f'n{number % 20}.four.example', 28)
                   for number in range(400)]
        for number in range(20):
            self.RECORDS[f'n{number}.four.example', 'A'] = ['192.0.2.9']
        replies = harness.ask_many(ouzel.server, queries, window=100)
        for data in replies:
            self.assertEqual(rdata_texts(dns.message.from_wire(data)), ['64:ff9b::c000:209'])
        self.assert_balance(ouzel)

    def test_own_prefix(self):
        ouzel = self.start(enable=True, prefix='2001:db8:64::/48')
        self.assertEqual(rdata_texts(ask(ouzel.server, 'private.example', 'AAAA')),
                         ['2001:db8:64:a00:0:100::'])

    def test_off(self):
        ouzel = self.start()
        self.assertEqual(rdata_texts(ask(ouzel.server, 'four.example', 'AAAA')), [])
        self.assertEqual(len(self.fake.asked), 1)
