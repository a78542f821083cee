"""Every way to get inputs, on a small package, in a real sandbox."""

import pytest

from tests.stages.trace.inputs.packages import calls, functions, recordings, trace, write

MATHS = '''\
"""Sums."""


def double(n):
    """
    >>> double(2)
    4
    >>> double(double(3))
    12
    >>> double(2)
    4
    """
    m = n + n
    return m


def tested(a, b):
    total = a
    total += b
    return total


def helper(items):
    count = 0
    for _ in items:
        count += 1
    return count


def running(numbers, start=0):
    """
    >>> list(running([1, 2]))
    [1, 3]
    """
    total = start
    for number in numbers:
        total += number
        yield total


async def later(text):
    result = text.upper()
    return result


def guessed(text, width):
    parts = text.split()
    return [part.ljust(width) for part in parts]


def picky(mapping, mode):
    if mode == "keys":
        return sorted(mapping.keys())
    raise TypeError(mode)


if __name__ == "__main__":
    print(helper("abcd"))
'''
TESTS = """\
import unittest
import pytest
from sample.maths import helper, running, tested


class Case(unittest.TestCase):
    def setUp(self):
        self.one = 1

    def test_tested(self):
        self.assertEqual(tested(self.one, 2), 3)
        self.assertEqual(tested("a", "b"), "ab")

    def test_fails(self):
        tested(5, 5)
        raise ValueError


class TestPlain:
    def setup_method(self, method):
        self.items = [method.__name__]

    def test_helper(self):
        assert helper(self.items) == 1


@pytest.mark.parametrize(("a", "b"), [(7, 8), pytest.param(9, 10)])
def test_parameters(a, b):
    tested(a, b)


def test_running():
    assert list(running([4, 5], start=1)) == [5, 10]


def test_needs_a_fixture(tmp_path):
    raise AssertionError("nothing calls it")
"""
FILES = {
    "sample/__init__.py": "",
    "sample/maths.py": MATHS,
    "sample/tests/__init__.py": "",
    "sample/tests/test_maths.py": TESTS,
}
INPUTS = {"helper": [["harvest", "(1, 2)"], ["llm", "'xyz'"], ["llm", "{}"]]}


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    write(folder, FILES)
    return folder, functions(folder, ["sample/maths.py"], INPUTS)


@pytest.fixture(scope="module")
def made(wanted):
    return trace(*wanted)


def test_doctests_give_their_first_different_calls(made):
    assert calls(made, "double", "doctest") == ["2", "3", "6"]


def test_shipped_tests_run_with_their_set_up_and_parameters(made):
    assert set(calls(made, "tested", "unittest")) == {"1, 2", "'a', 'b'", "5, 5", "7, 8"}
    assert calls(made, "helper", "unittest") == ["['test_helper']"]


def test_main_blocks_run_as_programs(made):
    assert calls(made, "helper", "main") == ["'abcd'"]


def test_inputs_from_outside_keep_their_method(made):
    assert calls(made, "helper", "harvest") == ["(1, 2)"]
    assert calls(made, "helper", "llm") == ["'xyz'", "{}"]


def test_mutations_are_near_what_is_known_and_new(made):
    known = set(calls(made, "double", "doctest"))
    mutated = calls(made, "double", "mutation")
    assert mutated and not known & set(mutated) and len(mutated) == len(set(mutated))


def test_only_the_uncovered_are_guessed_at(wanted, made):
    assert {name for name, each in made.items() if each["tried"].get("fuzz")} == {
        "later",
        "guessed",
        "picky",
    }
    for name, method, recording in recordings(wanted[1], made):
        if method == "fuzz":
            assert recording.lines >= 2 or name == "later"
            assert not recording.result.startswith(("TypeError", "AttributeError"))
    assert any("'keys'" in each for each in calls(made, "picky", "fuzz"))


def test_generators_and_coroutines_are_driven(wanted, made):
    running = made["running"]["recordings"]
    assert all(each["name"] == "main" and each["arguments"] == "" for each in running)
    drivers = {each["method"]: each["driver"] for each in running}
    assert drivers["doctest"] == "\n\ndef main():\n    return list(running([1, 2]))\n"
    assert "running([4, 5], 1)" in drivers["unittest"]
    found = list(recordings(wanted[1], made))
    whole = next(each for name, method, each in found if (name, method) == ("running", "doctest"))
    sources = [frame["source"] for frame in whole.frames]
    assert sources[0] == "def main():\n" and "        yield total\n" in sources
    assert whole.result == "[1, 3]" and whole.outcome == "return"
    later = next(each for name, _, each in found if name == "later")
    assert later.frames[1]["source"].startswith("    return asyncio.run(later('")
    assert "    result = text.upper()\n" in [frame["source"] for frame in later.frames]


def test_every_method_reports_its_tries_and_seconds(made):
    assert made["double"]["tried"]["doctest"] == 3
    assert made["tested"]["tried"]["unittest"] == 4  # that name it
    assert made["helper"]["tried"]["llm"] == 2
    for each in made.values():
        assert set(each["tried"]) <= set(each["cpu"])
        assert all(seconds >= 0 for seconds in each["cpu"].values())


def test_methods_that_are_not_wanted_do_not_run(wanted):
    made = trace(*wanted, methods=["doctest", "harvest"])
    assert {each["method"] for one in made.values() for each in one["recordings"]} == {
        "doctest",
        "harvest",
    }


def test_the_modules_of_a_batch_are_imported_before_any_is_traced(tmp_path):
    write(
        tmp_path,
        {
            "early.py": "import colorsys\n\n\ndef f(n):\n    m = n\n    return m\n",
            "late.py": "import sys\n\n\ndef g(n):\n    there = 'colorsys' in sys.modules\n"
            "    return there\n",
        },
    )
    late = functions(tmp_path, ["late.py"], {"g": [["llm", "1"]]})
    early = functions(tmp_path, ["early.py"])
    together = trace(tmp_path, [*late, *early])["g"]["recordings"]
    assert trace(tmp_path, [*early, *late])["g"]["recordings"] == together
    assert together[0]["result"] == "True"


def test_what_shows_a_process_id_differs_in_the_second_execution(tmp_path):
    text = "import os\n\n\ndef f(n):\n    pid = os.getpid()\n    return pid + n\n"
    write(tmp_path, {"ids.py": text})
    wanted = functions(tmp_path, ["ids.py"], {"f": [["llm", "1"]]})
    first = trace(tmp_path, wanted, methods=["llm"])["f"]["recordings"]
    again = trace(tmp_path, wanted, methods=["llm"], digests_only=True)["f"]["recordings"]
    assert [each["digest"] for each in first] != again


def test_a_second_run_and_other_batches_make_the_same(wanted, made):
    folder, every = wanted
    other = (
        "import math\n\n\ndef area(radius):\n    square = radius**2\n    return math.pi * square\n"
    )
    write(folder, {"sample/areas.py": other})
    more = functions(folder, ["sample/areas.py"])
    together = trace(folder, [*more, *every])
    alone = trace(folder, more)
    digests = {
        name: [recording["digest"] for recording in each["recordings"]]
        for name, each in together.items()
    }
    assert digests == {
        name: [recording["digest"] for recording in each["recordings"]]
        for name, each in {**made, **alone}.items()
    }
    assert digests == {
        name: each["recordings"]
        for name, each in trace(folder, [*more, *every], digests_only=True).items()
    }
