# SPDX-License-Identifier: MIT
"""The page of the stats address, as a browser shows it."""

import html.parser
import os
import re
import shutil
import struct
import subprocess
import tempfile
import unittest

import harness
from case import Case
from harness import ask


class Tables(html.parser.HTMLParser):
    """The rows of each table that has an id, and the figures of the cards by their names."""

    def __init__(self, document):
        super().__init__()
        self.tables, self.cards, self.links = {}, {}, []
        self.table = self.cell = self.figure = None
        self.feed(document)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs[name] for name in ('src', 'href') if name in attrs]
        if tag == 'table':
            self.table = self.tables.setdefault(attrs.get('id'), [])
        elif tag == 'tr':
            self.table.append([])
        elif tag in ('td', 'th'):
            self.table[-1].append('')
            self.cell = self.table
        elif tag == 'b':
            self.figure = ''

    def handle_endtag(self, tag):
        if tag in ('td', 'th'):
            self.cell = None

    def handle_data(self, data):
        if self.cell:
            self.cell[-1][-1] += data
        elif self.figure == '':
            self.figure = data
        elif self.figure:
            self.cards[data] = self.figure
            self.figure = None


@unittest.skipUnless(shutil.which('chromium'), 'chromium is not installed')
class Page(Case):
    WEIGHT = 4

    def setUp(self):
        super().setUp()
        self.fake = self.upstream(lambda asked: asked.send(asked.reply(
            rcode=2 if asked.name.startswith('fails') else 0)))
        self.home = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.home, True)

    def browse(self, process, *arguments):
        return subprocess.run(
            ['chromium', '--headless', '--no-sandbox', '--disable-gpu', '--no-proxy-server',
             f'--user-data-dir={self.home}', '--virtual-time-budget=2500', *arguments,
             f'http://{harness.join(*process.stats)}/'],
            capture_output=True, check=True, timeout=30 * harness.PATIENCE).stdout.decode()

    def test_shows_what_the_stats_tell(self):
        process = self.ouzel(self.fake, workers=2)
        for name in ['often.example'] * 5 + ['a.example', 'b.example', 'fails.example']:
            ask(process.server, name)
            harness.lapse(0.0015)  # one of those within a millisecond is counted for all of them
        seen = Tables(self.browse(process, '--dump-dom'))
        told = process.stats_json()
        self.assertEqual(seen.cards['cached answers'], str(told['ouzel_cache_entries']))
        self.assertEqual(seen.cards['waiting clients'], '0')
        answers = {row[0]: row[2] for row in seen.tables['answers']}
        counts = told['ouzel_answers_total'].items()
        self.assertEqual(answers, {source: str(count) for source, count in counts if count})
        self.assertEqual(seen.tables['upstreams'][1][:2], [str(self.fake), 'alive'])
        self.assertEqual(seen.tables['drops'], [['none', '']])
        memory = {row[0]: row[1] for row in seen.tables['memory']}
        self.assertRegex(memory['the process, resident'], r'^\d+\.\d MiB$')
        self.assertEqual(seen.tables['questions'][0], ['often.example. A', '62.5 %'])
        self.assertEqual(seen.tables['clients'], [['127.0.0.1', '100.0 %']])
        self.assertEqual(seen.tables['failures'], [['fails.example. A', '100.0 %']])
        all_told = dict(row for row in seen.tables['all'])
        self.assertEqual(all_told['ouzel_queries_total udp'], '8')
        self.assertFalse([link for link in seen.links if re.match(r'\w+:|//', link)])

    def test_screenshot_at_the_width_of_a_phone_and_of_a_wall(self):
        process = self.ouzel(self.fake, settings={'stats': {'top': 'false'}})
        ask(process.server, 'a.example')
        for width in 500, 1920:
            path = os.path.join(self.home, f'{width}.png')
            self.browse(process, f'--window-size={width},1000', f'--screenshot={path}')
            with open(path, 'rb') as file:
                head = file.read(24)
            self.assertEqual(head[:8], b'\x89PNG\r\n\x1a\n')
            self.assertEqual(struct.unpack('>I', head[16:20])[0], width)
            self.assertGreater(os.path.getsize(path), 10000)  # an empty page has less
        seen = Tables(self.browse(process, '--dump-dom'))
        self.assertFalse(seen.tables['questions'])  # hidden by stats.top
