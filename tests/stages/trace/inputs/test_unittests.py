"""Which test modules belong to a module."""

import importlib
import sys

import pytest

from stages.trace.inputs.unittests import test_modules as find
from tests.stages.trace.inputs.packages import write

FILES = {
    "shop/__init__.py": "",
    "shop/sums.py": "def add(a, b):\n    return a\n",
    "shop/_low.py": "def dig(a):\n    return a\n",
    "shop/odd.py": "def strange(a):\n    return a\n",
    "shop/deep/__init__.py": "",
    "shop/deep/sums.py": "def add(a, b):\n    return a\n",
    "shop/tests/__init__.py": "",
    "shop/tests/test_sums.py": "from shop.sums import add\n",
    "shop/tests/test_low.py": "from shop._low import dig\n",
    "shop/tests/test_others.py": "from shop.odd import strange\nimport shop.sums\nadd\n",
    "shop/tests/test_nothing.py": "odd\n",
    "shop/deep/tests/test_sums.py": "add\n",
}


@pytest.fixture
def shop(tmp_path, monkeypatch):
    write(tmp_path, FILES)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [each for each in sys.modules if each.partition(".")[0] == "shop"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("module", "names", "found"),
    [
        ("shop.sums", ["add"], ["shop.tests.test_sums", "shop.deep.tests.test_sums"]),
        ("shop.deep.sums", ["add"], ["shop.deep.tests.test_sums", "shop.tests.test_sums"]),
        ("shop._low", ["dig"], ["shop.tests.test_low"]),
        ("shop.odd", ["strange"], ["shop.tests.test_others"]),
        ("shop.odd", ["other"], []),
    ],
)
def test_by_name_then_by_mention(shop, module, names, found):
    assert find(importlib.import_module(module), names, 5) == found


def test_the_standard_library_has_its_own():
    assert find(importlib.import_module("textwrap"), ["wrap"], 2) == ["test.test_textwrap"]
    found = find(importlib.import_module("json.decoder"), ["scanstring", "py_scanstring"], 2)
    assert found and all(each.startswith("test.test_json") for each in found)
    assert len(find(importlib.import_module("os"), ["walk"], 1)) == 1
