"""Prints stanzas of four lines, separated by blank lines: after a line end, only "T" or another line end can follow.

    python3 tests/quality/stanzas.py [STANZAS [SEED]] > stanzas.txt
"""

import random
import sys

NOUNS = "sun sea fox oak hen bee cat dog".split()
ADJECTIVES = "old red shy odd wet dry big sad".split()


def stanza(rng):
    def line():
        first, second = rng.sample(NOUNS, 2)
        return f"The {first} and the {second} are {rng.choice(ADJECTIVES)},\n"

    return "".join(line() for _ in range(4))


count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
print("\n".join(stanza(rng) for _ in range(count)), end="")
