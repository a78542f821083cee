import math
import random

import pytest

from stages.evaluate.trigram import Trigram


def brute_force(training, document):
    """Witten-Bell written out with loops."""

    def followers(context, length):
        found = []
        for text in training:
            padded = b"\0\0" + text
            found += [
                padded[i]
                for i in range(2, len(padded))
                if padded[i - length : i] == context[2 - length :]
            ]
        return found

    total = 0.0
    padded = b"\0\0" + document
    for i in range(2, len(padded)):
        probability = 1 / 256
        for length in range(3):
            seen = followers(padded[i - 2 : i], length)
            if seen:
                kinds = len(set(seen))
                count = seen.count(padded[i])
                probability = (count + kinds * probability) / (len(seen) + kinds)
        total -= math.log2(probability)
    return total


def test_equals_brute_force():
    generator = random.Random(0)
    texts = [bytes(generator.choices(b"abcx\n\xff", k=40)) for _ in range(4)]
    trigram = Trigram(texts[:3])
    for text in (texts[0], texts[3], b"zzz", b""):
        assert trigram.bits(text) == pytest.approx(brute_force(texts[:3], text))


def test_probabilities_sum_to_one():
    trigram = Trigram([b"abcabd", b"ab"])
    for head in (b"", b"ab", b"zz"):
        costs = [trigram.bits(head + bytes([c])) - trigram.bits(head) for c in range(256)]
        assert sum(2.0**-cost for cost in costs) == pytest.approx(1)


def test_without_training_every_byte_costs_eight_bits():
    assert Trigram([]).bits(b"hello") == pytest.approx(40)
