# SPDX-License-Identifier: MIT
"""Load through dnsperf, with NSD behind: no query lost, no answer wrong, each name asked once."""

import harness
import load
from case import Case


class Dnsperf(Case):
    ALONE = True
    NAMES = 10000
    SECONDS = 4

    def test_two_passes(self):
        report = load.two_passes(self.directory, self.NAMES, self.SECONDS, workers=2, clients=16,
                                 keep=self.keep)
        self.assertEqual(report['first']['lost'], 0, report)
        self.assertEqual(report['second']['lost'], 0, report)
        for number in ('first', 'second'):
            self.assertEqual(report[number]['codes'], {'NOERROR': report[number]['sent']}, report)
        self.assertEqual(report['first']['sent'], self.NAMES)
        self.assertGreater(report['second']['sent'], self.NAMES)
        self.assertEqual(report['asked_upstream_second'], 0, 'the second pass was not from memory')
        self.assertEqual(report['wrong'], [])
        self.assertEqual(report['imbalance'], 0)
        self.assertLess(report['asked_upstream_first'], self.NAMES * 1.02,
                        'far more was asked upstream than there are names')

    def test_other_order_of_magnitude(self):
        """What is read from dnsperf's report is what it says."""
        text = ('  Queries sent:         12\n  Queries completed:    11 (91.67%)\n'
                '  Queries lost:         1 (8.33%)\n\n'
                '  Response codes:       NOERROR 10 (90.91%), NXDOMAIN 1 (9.09%)\n'
                '  Queries per second:   2.000000\n')
        self.assertEqual(load.read_dnsperf(text), {
            'sent': 12, 'lost': 1, 'codes': {'NOERROR': 10, 'NXDOMAIN': 1}, 'rate': 2.0})
        self.assertEqual(harness.numbered_names(70000)['n65536'], '198.19.0.0')
