"""Which literal calls of a corpus are harvested, and what they are resolved to."""

from stages.trace.inputs.harvest import harvest

FILES = {
    "pkg/__init__.py": "from .core import one\nfrom .more import *\n",
    "pkg/core.py": '''\
def one(a, b=0):
    """
    >>> one(4, b=5)
    >>> from pkg.other import two
    >>> two("in an example")
    """
    return a


def two(a):
    return a


one(1)
one([1, {"a": (2, None)}], b=-3)
one(unknown)
one(*[1])
one(**{"b": 1})
self.one(9)
one
''',
    "pkg/more.py": "def three(*a):\n    return a\n",
    "pkg/other.py": "from pkg.core import two\n",
    "user.py": """\
import pkg
import pkg.core as core
from pkg import one as uno, three
from pkg import *
import json as two
from pkg.core import two

pkg.one('by package')
core.two('by alias')
uno('by name')
pkg.three(1, 2)
three()
two('ambiguous')
pkg.nothing(1)
local(1)


def f():
    from pkg.core import one
    one("inside", 'a"b')
""",
    "broken.py": "def f(:\n",
    "notes.txt": "one(7)",
    "round/a.py": "from round.b import *\nfrom round.b import x\nx(1)\n",
    "round/b.py": "from round.a import *\nfrom round.a import x\nx(2)\n",
}


def documents(names=tuple(FILES)):
    return [{"path": name, "text": FILES[name]} for name in names]


def test_calls_are_resolved_by_what_their_file_imports():
    found = {name: set(sources) for name, sources in harvest(documents()).items()}
    assert found == {
        "pkg.core:one": {
            "1",
            "[1, {'a': (2, None)}], b=-3",
            "4, b=5",
            "'by package'",
            "'by name'",
            "'inside', 'a\"b'",
        },
        "pkg.core:two": {"'in an example'", "'by alias'"},
        "pkg.more:three": {"1, 2", ""},
    }


def test_the_order_of_documents_does_not_matter():
    assert harvest(documents()) == harvest(documents(reversed(FILES)))


def test_of_many_calls_a_bounded_part_is_kept_whatever_their_order():
    calls = [f"f({number})\n" for number in range(100)]
    head = "def f(n):\n    return n\n\n\n"
    kept = harvest([{"path": "m.py", "text": head + "".join(calls)}])
    assert len(kept["m:f"]) == 16
    assert kept == harvest([{"path": "m.py", "text": head + "".join(reversed(calls))}])


def test_long_arguments_are_left_out():
    assert harvest([{"path": "m.py", "text": f"def f(n): pass\nf({'1' * 400})\n"}]) == {}
