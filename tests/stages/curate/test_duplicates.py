"""Similarity of signatures, pairs within a bucket, and clusters."""

import random

import pytest

from stages.curate.duplicates import bands, clusters, related_pairs, signature, similarity
from stages.curate.settings import CurateSettings

SETTINGS = CurateSettings(permutations=256, bands=64)


def words(count, seed):
    return random.Random(seed).sample([f"w{i}" for i in range(10_000)], count)


def test_the_estimate_is_near_the_true_jaccard_similarity():
    shared, one, other = words(600, 0), words(200, 1), words(200, 2)
    estimate = similarity(
        signature(" ".join(shared + one), SETTINGS), signature(" ".join(shared + other), SETTINGS)
    )
    assert estimate == pytest.approx(600 / 1000, abs=0.12)  # 4 standard errors


def test_layout_and_the_process_do_not_change_a_signature():
    assert signature("a = b + c\n", SETTINGS) == signature("a=b+c", SETTINGS)
    assert signature("", SETTINGS) == signature("", SETTINGS)
    assert len(signature("x", SETTINGS)) == 4 * SETTINGS.permutations


def test_similar_texts_share_a_band_and_make_a_pair():
    base = words(500, 0)
    near, far = base[:490] + words(10, 3), words(500, 4)
    signed = [
        (n, signature(" ".join(t), SETTINGS)) for n, t in zip("abc", (base, near, far), strict=True)
    ]
    buckets = {}
    for item in signed:
        for key, value in bands(item, SETTINGS.bands):
            buckets.setdefault(key, []).append(value)
    pairs = {pair for bucket in buckets.values() for pair in related_pairs(bucket, SETTINGS)}
    assert pairs == {("a", "b", True)}


def test_clusters_are_components_named_after_their_smallest_member():
    pairs = [("c", "b", True), ("b", "a", True), ("x", "a", False), ("y", "z", True)]
    assert dict(clusters(pairs)) == {
        "a": ("a", "a"),
        "b": ("a", "a"),
        "c": ("a", "a"),
        "x": ("x", "a"),
        "y": ("y", "y"),
        "z": ("y", "y"),
    }
    assert dict(clusters(reversed(pairs))) == dict(clusters(pairs))
