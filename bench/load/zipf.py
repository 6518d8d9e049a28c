# SPDX-License-Identifier: MIT
"""Questions as clients ask them: few names are asked much and most hardly ever, by Zipf's law, and
some never asked before. The same seed makes the same questions."""

import array
import bisect
import itertools
import random

from bench.lab.cables import ZONE

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


def mixed(zipf, count, hit_percent, number):
    """So many names, of which so many of a hundred are drawn and the others are new ones that only
    the round of this number has."""
    for fresh in range(count):
        if hit_percent == 100 or zipf.random.random() * 100 < hit_percent:
            yield f'n{zipf.draw()}'
        else:
            yield f'f{number}x{fresh}'


def questions_write(path, zipf, count, hit_percent=100, number=0):
    with open(path, 'w', encoding='ascii') as file:
        file.writelines(f'{name}.{ZONE} A\n' for name in mixed(zipf, count, hit_percent, number))


def fresh_write(path, number, count):
    """A file of names never asked before: those of the round of this number."""
    with open(path, 'w', encoding='ascii') as file:
        file.writelines(f'r{number}x{i}.{ZONE} A\n' for i in range(count))
