"""A small repository: modules, fixtures, every kind of outcome, and a commit that fixes a bug."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from stages.trace.repository.settings import RepositorySettings

FILES = {
    "LICENSE": "MIT License\n",
    "pyproject.toml": """\
[project]
name = "shop"
version = "1"
license = "MIT"

[tool.pytest.ini_options]
addopts = "--cov=shop --cov-report=term -n 2 -ra"
pythonpath = ["."]
""",
    "src/shop/__init__.py": "",
    "src/shop/prices.py": '''\
import json
import math
from fractions import (
    Fraction,
)

try:
    import decimal
except ImportError:
    decimal = None

RATE = Fraction(1, 5)
_UNUSED = 3


class Base:
    pass


class Basket(
    Base,
):
    """Holds things. Written by jane.doe@corp.com."""

    def __init__(self, owner):
        """Start empty."""
        self.owner = owner  # ask jane.doe@corp.com
        self.things = []

    def add(self, price):
        self.things.append(price)
        return self

    def total(self):
        return with_tax(sum(self.things))

    def unused(self):
        return json.dumps(self.things)


def with_tax(net):
    """Add the tax.

    >>> with_tax(10)
    12
    """
    return math.floor(net + net * RATE)


def never_entered():
    return decimal
''',
    "src/shop/words.py": """\
def shout(word):
    return word.upper() + "!"


def countdown(n):
    while n:
        yield n
        n -= 1


def initials(text):
    return "".join(word[0] for word in text.split(" "))
""",
    "tests/conftest.py": """\
import pytest
from shop.prices import Basket


@pytest.fixture
def basket():
    made = Basket("me")
    made.add(10)
    yield made
    made.things.clear()
""",
    "tests/test_prices.py": """\
import asyncio
import os
import subprocess
import sys
import threading
import unittest

import pytest
from shop.prices import Basket, with_tax
from shop.words import countdown, shout


def test_total(basket):
    assert basket.add(5).total() == 18


@pytest.mark.parametrize("net, gross", [(10, 12), (0, 0)])
def test_tax(net, gross):
    assert with_tax(net) == gross


class TestWords:
    word = "hey"

    def test_shout(self):
        assert shout(self.word) == "HEY!"


class OldStyle(unittest.TestCase):
    def setUp(self):
        self.basket = Basket("unit")

    def test_empty(self):
        self.assertEqual(self.basket.total(), 0)


def test_fails():
    assert shout("a") == "a"


@pytest.mark.skip
def test_skipped():
    raise AssertionError


def test_skips_itself():
    shout("a")
    pytest.skip("not today")


@pytest.mark.xfail
def test_expected():
    assert shout("a") == "b"


def test_generator():
    assert list(countdown(3)) == [3, 2, 1]


def test_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(shout("x")))
    thread.start()
    thread.join()
    assert found == ["X!"]


def test_process():
    assert not {name for name in os.environ if name.startswith(("OPEN_CWM", "PYTEST_PL"))}
    code = "import sys; print('open_cwm_pytest' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "False\\n"


def test_sees_no_tracer():
    assert sys.gettrace() is None


async def twice(word):
    await asyncio.sleep(0)
    return shout(word) * 2


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
async def test_waits():
    both = await asyncio.gather(twice("a"), twice("b"))
    assert both == ["A!A!", "B!B!"]


def test_long():
    total = 0
    for number in range(10_000):
        total += number
    assert total == 49_995_000


def test_address():
    assert id(object()) > 0


def test_number_of_the_process():
    number = hash(threading)
    assert number
    place = id(number)
    assert place


@pytest.fixture
def broken():
    raise OSError("no fixture")


def test_broken(broken):
    pass
""",
    "tests/test_dies.py": """\
import os
import time


def test_before():
    assert os.getpid()


def test_exits():
    os._exit(3)


def test_after():
    assert len("abc") == 3
""",
    "tests/test_syntax.py": "def test_nothing(:\n",
}

CONTEXT = """\
# src/shop/prices.py
import math
from fractions import (
    Fraction,
)
RATE = Fraction(1, 5)

class Basket(
    Base,
):
    def add(self, price):
        self.things.append(price)
        return self

    def total(self):
        return with_tax(sum(self.things))

def with_tax(net):
    return math.floor(net + net * RATE)

# tests/test_prices.py
def test_total(basket):
    assert basket.add(5).total() == 18
"""
"""Of the trace of `test_total`, without its mark."""

FIXED = {
    "src/shop/words.py": FILES["src/shop/words.py"].replace('split(" ")', "split()"),
    "tests/test_words.py": """\
from shop.words import initials


def test_two_spaces():
    assert initials("a  b") == "ab"


def test_one_space():
    assert initials("a b") == "ab"
""",
}


@dataclass(frozen=True)
class Repository:
    """The repository, and its commits by what they are."""

    path: Path
    first: str
    fix: str
    head: str

    def settings(self, **changes: object) -> RepositorySettings:
        return RepositorySettings(name="shop", path=str(self.path), **changes)  # type: ignore[arg-type]


def _git(path: Path, *arguments: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "tests", f"GIT_{role}_EMAIL": "tests"}
        environment[f"GIT_{role}_DATE"] = "2024-01-01T00:00:00Z"
    command = ["git", "-C", str(path), *arguments]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return run.stdout.strip()


def write(path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)


def _commit(path: Path, files: dict[str, str], message: str) -> str:
    write(path, files)
    _git(path, "add", "-A")
    _git(path, "commit", "-q", "-m", message)
    return _git(path, "rev-parse", "HEAD")


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    path = tmp_path_factory.mktemp("git") / "shop"
    path.mkdir()
    _git(path, "init", "-q")
    first = _commit(path, FILES, "first")
    fix = _commit(path, FIXED, "shout louder")
    head = _commit(path, {"README.md": "shop\n"}, "say what it is")
    return Repository(path, first, fix, head)
