# SPDX-License-Identifier: MIT
"""The documents that ouzel prints are those of the tree, and are what they are meant to be."""

import os
import shutil
import subprocess
import unittest

import harness

DOCUMENTS = {
    'settings': 'docs/reference.md',
    'sample': 'docs/ouzel.yaml.sample',
    'manual': 'docs/ouzel.8',
    'manual-settings': 'docs/ouzel.yaml.5',
    'completion': 'packaging/ouzel.bash'}


def said(*words):
    return subprocess.run([harness.BINARY, *words], capture_output=True, text=True, check=True,
                          timeout=20 * harness.PATIENCE).stdout


class Documents(unittest.TestCase):
    maxDiff = None

    def test_tree_is_what_is_printed(self):
        for topic, path in DOCUMENTS.items():
            with self.subTest(path=path), \
                    open(os.path.join(harness.ROOT, path), encoding='utf-8') as file:
                self.assertEqual(said('help', topic), file.read(),
                                 'make it with: scripts/documents')

    @unittest.skipUnless(shutil.which('groff'), 'groff is not installed')
    def test_manuals_are_good_roff(self):
        for topic in ('manual', 'manual-settings'):
            done = subprocess.run(['groff', '-man', '-Tutf8', '-ww', '-z'],
                                  input=said('help', topic), capture_output=True, text=True,
                                  check=True, timeout=20)
            self.assertEqual(done.stderr, '')

    def test_completion(self):
        """bash completes commands, orders, options and topics."""
        def completed(*words):
            script = (f'source "$0"; COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; '
                      '_ouzel; printf "%s\\n" "${COMPREPLY[@]}"')
            path = os.path.join(harness.ROOT, DOCUMENTS['completion'])
            return subprocess.run(['bash', '-c', script, path], capture_output=True, text=True,
                                  check=True, timeout=20).stdout.split()
        self.assertEqual(completed('ouzel', 'se'), ['serve'])
        self.assertEqual(completed('ouzel', 'ctl', 'expl'), ['explain'])
        self.assertEqual(completed('ouzel', 'serve', '--up'), ['--upstream'])
        self.assertEqual(completed('ouzel', 'help', 'manual-'), ['manual-settings'])
