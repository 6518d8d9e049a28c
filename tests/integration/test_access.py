# SPDX-License-Identifier: MIT
"""Access lists."""

from case import Case
from harness import ask, rdata_texts

PLANE_ANSWERS = 12


class Access(Case):
    PLANE = {'test_refused': 1, 'test_refused_also_from_memory': 5, 'test_dropped': 1,
             'test_allowed': 5}
    SETTINGS = {'access': {
        'allow': ['127.0.0.0/8', '::1/128'], 'refuse': ['127.250.0.0/16', '127.251.1.0/24'],
        'drop': ['127.251.0.0/16']}}

    def setUp(self):
        super().setUp()
        self.fake = self.upstream()
        self.process = self.ouzel(self.fake, settings=self.SETTINGS)

    def test_refused(self):
        for source in ('127.250.0.1', '127.250.255.254', '127.251.1.7'):
            with self.subTest(source=source):
                reply = ask(self.process.server, 'a.example', source=source)
                self.assert_status(reply, 'REFUSED')
                self.assertEqual(reply.answer, [])
        self.assertEqual(self.fake.asked, [])
        self.assertEqual(self.process.total('ouzel_answers_total', source='refused'), 3)
        self.assert_balance(self.process)

    def test_refused_also_from_memory(self):
        self.assertIsNotNone(ask(self.process.server, 'a.example'))
        self.assert_status(ask(self.process.server, 'a.example', source='127.250.0.1'), 'REFUSED')

    def test_dropped(self):
        for source in ('127.251.0.1', '127.251.2.1'):
            self.assertIsNone(ask(self.process.server, 'a.example', source=source, timeout=0.3))
        self.assertEqual(self.fake.asked, [])
        self.assertEqual(self.process.total('ouzel_drops_total', reason='access'), 2)
        self.assert_balance(self.process)

    def test_allowed(self):
        for source in ('127.0.0.1', '127.249.255.255', '127.252.0.1'):
            self.assertEqual(rdata_texts(ask(self.process.server, 'a.example', source=source)),
                             ['192.0.2.1'])


class NoClient(Case):
    PLANE = 5

    def test_in_no_list(self):
        """A client that no list names is refused."""
        upstream = self.upstream()
        ouzel = self.ouzel(upstream, settings={'access': {'allow': ['127.1.0.0/16']}})
        self.assert_status(ask(ouzel.server, 'a.example', source='127.2.0.1'), 'REFUSED')
        self.assertIsNotNone(ask(ouzel.server, 'a.example', source='127.1.0.1').answer)
