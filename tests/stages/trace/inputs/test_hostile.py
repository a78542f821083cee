"""Functions that do harm: each loses what it did itself, the next one nothing."""

import pytest

from tests.stages.trace.inputs.packages import calls, functions, trace, write

HARM = {
    "closes": "import os\n    os.closerange(0, 1000)",
    "closes_low": "import os\n    os.closerange(3, 100)",
    "forks": "import os\n    pid = os.fork()\n    print(pid)",
    "forks_otherwise": "import ctypes\n    pid = ctypes.CDLL(None).fork()\n    print(pid)",
    "leaves": "import os\n    os._exit(0)",
    "leaves_politely": "import sys\n    sys.exit('bye')",
    "spins": "import itertools\n    return sum(itertools.repeat(0))",
    "waits": "import threading\n    threading.Event().wait()",
    "reads": "import sys\n    sys.stdin.read()",
    "kills": "import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)",
    "kills_all": "import os, signal\n    os.kill(-1, signal.SIGTERM)",
    "moves": "import os\n    os.chdir('/')",
    "patches": "import builtins\n    builtins.len = lambda value: 99",
    "patches_json": "import json\n    json.dumps = lambda *a, **k: 'forged'",
    "writes_pipes": "import os\n    [os.write(fd, b'x' * 9) for fd in range(3, 256)]",
    "eats": "x = []\n    while True: x.append(bytes(1 << 26))",
    "recurses": "return recurses(n)",
    "exhausts": "import os\n    [os.dup(1) for _ in range(10**4)]",
}
FINE = "def fine{0}(n):\n    m = len('abc') + n\n    return m\n\n\n"


def source():
    text = ""
    for number, (name, body) in enumerate(HARM.items()):
        text += f'def {name}(n):\n    """\n    >>> {name}(1)\n    """\n    {body}\n\n\n'
        text += FINE.format(number).replace(
            "):\n", f'):\n    """\n    >>> fine{number}(1)\n    """\n'
        )
    return text


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    write(folder, {"hostile.py": source()})
    wanted = functions(folder, ["hostile.py"])
    return trace(folder, wanted, methods=["doctest", "mutation"], mutations=1, cpu_seconds=1)


def test_what_comes_after_harm_is_unharmed(made):
    for number in range(len(HARM)):
        each = made[f"fine{number}"]
        assert each["dropped"] == [] and calls(made, f"fine{number}", "doctest") == ["1"]
        assert each["recordings"][0]["result"] == "4"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("closes", "crash"),
        ("leaves", "crash"),
        ("kills", "crash"),
        ("spins", "timeout"),
        ("waits", "timeout"),
    ],
)
def test_harm_is_named(made, name, reason):
    assert not made[name]["recordings"]
    assert reason in {why for why, _ in made[name]["dropped"]}


@pytest.mark.parametrize("name", ["closes_low", "eats", "moves", "leaves_politely", "recurses"])
def test_harm_that_the_recording_survives_is_recorded(made, name):
    assert calls(made, name, "doctest") == ["1"]


def test_processes_are_refused(made):
    assert "PermissionError" in made["forks"]["recordings"][0]["result"]


def test_what_a_function_writes_the_next_does_not_find(tmp_path):
    text = (
        "import os, tempfile\n\n\n"
        "def write(name):\n    open(name, 'w').close()\n    os.mkdir('d')\n    os.chmod('d', 0)\n"
        "    return sorted(os.listdir('.'))\n\n\n"
        "def look(name):\n    there = os.listdir('.') + os.listdir(tempfile.gettempdir())\n"
        "    return there\n"
    )
    write(tmp_path, {"files.py": text})
    given = {"write": [["llm", "'a'"]], "look": [["llm", "'a'"]]}
    made = trace(tmp_path, functions(tmp_path, ["files.py"], given), methods=["llm"])
    assert made["write"]["recordings"][0]["result"] == "['a', 'd']"
    assert made["look"]["recordings"][0]["result"] == "[]"


def test_a_method_that_takes_the_fork_along_leaves_the_others(tmp_path):
    text = (
        'import os\n\n\ndef f(n):\n    """\n    >>> f(5)\n    """\n'
        "    if n < 5:\n        os._exit(1)\n    m = n\n    return m\n"
    )
    write(tmp_path, {"fragile.py": text})
    wanted = functions(tmp_path, ["fragile.py"], {"f": [["harvest", "1"], ["llm", "8"]]})
    made = trace(tmp_path, wanted)["f"]
    assert {each["method"] for each in made["recordings"]} >= {"doctest", "llm"}
    assert ["crash", "harvest"] in [[why, text.partition(":")[0]] for why, text in made["dropped"]]
