# SPDX-License-Identifier: MIT
"""Right answers under any mix of traffic: every kind of query at once, for a moment. scripts/mixed
does the same for as long as one likes, with other settings."""

import os
import tempfile
import unittest

import mixed

SECONDS = 1.5


class Mixed(unittest.TestCase):
    ALONE = ENGINES = True

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix='ouzel-test-')
        cls.addClassCleanup(directory.cleanup)
        cls.seed = int.from_bytes(os.urandom(4), 'big')
        cls.mixed = mixed.Mixed(directory.name, cls.seed)
        cls.addClassCleanup(cls.mixed.stop)
        cls.faults = cls.mixed.learn()

    def check(self, **how):
        if self.faults:
            self.fail('\n'.join(['a quiet server:', *self.faults]))
        counts, faults = self.mixed.run(SECONDS, **how)
        if faults:
            self.fail('\n'.join([f'seed {self.seed}: {counts}', *faults]))

    def test_one_worker(self):
        self.check(workers=1)

    def test_two_workers_and_an_operator(self):
        self.check(workers=2, orders=True)

    def test_three_workers_at_all_addresses(self):
        self.check(workers=3, wildcard=True)

    def test_four_workers_and_limits(self):
        self.check(workers=4, limits=True)
