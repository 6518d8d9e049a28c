# SPDX-License-Identifier: MIT
"""Questions as clients ask them: few names are asked much and most hardly ever, by Zipf's law, and
some never asked before. The same seed makes the same questions."""

import array
import bisect
import itertools
import random

ZONE = 'bench.example'
# Popular names are not neighbours in a cache, which has learned the names in their order: the rank
# is multiplied by a prime. As it is larger than all counts of names here, no two ranks meet.
SCATTER = 2654435761


class Zipf:
    """Draws numbers below `names`; the one of rank r (from 1) as often as 1 / r ** exponent says.
    A table of sums takes 8 octets a name, and a draw a search in it."""

    def __init__(self, names, seed, exponent=1.0):
        self.names = names
        self.sums = array.array('d', itertools.accumulate(
            rank ** -exponent for rank in range(1, names + 1)))
        self.random = random.Random(seed)

    def rank(self):
        """Counted from 0."""
        return bisect.bisect_left(self.sums, self.random.random() * self.sums[-1])

    def draw(self):
        return self.rank() * SCATTER % self.names


SIZES = (60, 120, 480, 1220)  # octets of answers that a Form can have
EDNS_FROM = 512  # octets, above which a query has to say that it takes more
NAME = 30  # octets of such a name on the wire


class Form:
    """How the question about the name of a number reads. With `octets`, one of SIZES, names have 30
    octets and the whole answer has so many (62 for 60): an A record for 60, texts for more."""

    def __init__(self, octets=None):
        self.octets = octets
        self.template, self.more = f'n{{}}.{ZONE} A\n', ''
        if octets:
            suffix = f's{octets}.{ZONE}'
            digits = NAME - len(suffix) - len('n') - 3  # two lengths, and the root
            self.template = f'n{{:0{digits}}}.{suffix} {self.kind(octets)}\n'
            self.more = ' E' if octets > EDNS_FROM else ''

    @staticmethod
    def kind(octets):
        return 'A' if octets == 60 else 'TXT'

    @classmethod
    def record(cls, octets):
        """The line of the zone that answers these questions."""
        data = '192.0.2.1'
        if cls.kind(octets) == 'TXT':
            opt = 11 if octets > EDNS_FROM else 0
            left, data = octets - 12 - (NAME + 4) - 12 - opt, ''
            while left:
                text = min(left - 1, 255)
                data += f'"{"x" * text}" '
                left -= text + 1
        return f'*.s{octets} IN {cls.kind(octets)} {data}\n'

    def learned(self, number):
        """As dnsperf reads it."""
        return self.template.format(number)

    def asked(self, number):
        """As kxdpgun reads it."""
        return self.template.format(number).replace('\n', f'{self.more}\n')


def mixed(zipf, count, hit_percent, number):
    """So many names, of which so many of a hundred are drawn and the others are new ones that only
    the round of this number has."""
    for fresh in range(count):
        if zipf.random.random() * 100 < hit_percent:
            yield f'n{zipf.draw()}'
        else:
            yield f'f{number}x{fresh}'


def known_write(path, zipf, count, form):
    """Questions about names that are all known."""
    with open(path, 'w', encoding='ascii') as file:
        file.writelines(form.asked(zipf.draw()) for _ in range(count))


def mixed_write(path, zipf, count, hit_percent, number):
    with open(path, 'w', encoding='ascii') as file:
        file.writelines(f'{name}.{ZONE} A\n' for name in mixed(zipf, count, hit_percent, number))


def fresh_write(path, number, count):
    """A file of names never asked before: those of the round of this number."""
    with open(path, 'w', encoding='ascii') as file:
        file.writelines(f'r{number}x{i}.{ZONE} A\n' for i in range(count))
