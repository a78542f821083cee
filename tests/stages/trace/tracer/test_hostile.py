"""Programs that change what is shown while it is shown: both engines show the same, and go on."""

from __future__ import annotations

import gc

import pytest

from stages.trace.tracer import Target, TraceLimits, Tracer
from stages.trace.tracer.source import whole_source
from tests.stages.trace.tracer.traces import ENGINES, trace, whole

PROGRAMS = {
    "a list emptied by an item": """\
class Clears:
    def __init__(self, items):
        self.items = items
    def __repr__(self):
        self.items.clear()
        return "C"
def main():
    items = []
    items += [1, Clears(items), {2: Clears(items)}, {3, 4}, *range(40)]
    again = [Clears(items)] * 3
    return items
""",
    "an item replaced by itself": """\
class Replaces:
    def __init__(self, items):
        self.items = items
    def __repr__(self):
        self.items[0] = 7
        return "R"
def main():
    items = []
    items += [Replaces(items), 1]
    x = 1
    return items
""",
    "a dict that grows and shrinks": """\
class Grows:
    def __init__(self, items):
        self.items = items
    def __repr__(self):
        self.items.update(dict.fromkeys(range(200)))
        self.items.clear()
        return "G"
def main():
    items = {}
    items["a"], items["b"] = Grows(items), {1: items, 2: [Grows(items)]}
    class Plain: pass
    plain = Plain()
    plain.__dict__.update(x=Grows(plain.__dict__), y=1)
    return items, plain
""",
    "classes that go away": """\
import gc
class Other:
    pass
class Others(list):
    pass
def made():
    class Gone:
        def __repr__(self):
            self.__class__ = Other
            raise ValueError
    class Long(list):
        def __len__(self):
            self.__class__ = Others
            gc.collect()
            return 5000
    class Dict:
        @property
        def __dict__(self):
            object.__setattr__(self, "__class__", Other)
            gc.collect()
            return {"a": 1}
    return Gone(), Long(), Dict()
def main():
    gone, long, attributes = made()
    return gone, long, attributes
""",
    "a key that empties the list around it": """\
outer = []
class Key:
    def __hash__(self):
        return hash("__import__")
    def __eq__(self, other):
        outer.clear()
        return False
def main():
    inner = {Key(): 1}
    outer.extend([{"__builtins__": inner}, *range(30)])
    found = outer
    return 1
""",
    "call_tracing": """\
import sys
class Traces:
    def __repr__(self):
        sys.call_tracing(f, ())
        return "T"
def f():
    for _ in range(5):
        x = "é" * 900
def main():
    items = [Traces(), {1: Traces()}]
    return items
""",
}


@pytest.mark.parametrize("source", PROGRAMS.values(), ids=PROGRAMS)
def test_what_changes_while_it_is_shown(source):
    python, native = (
        whole(trace(source, engine=each, value_chars=60)) for each in ENGINES.values()
    )
    assert python == native
    assert native[1] == "return"


FINALISERS = """\
import gc
kept = []
class Cycle:
    def __init__(self):
        self.own = self
    def __del__(self):
        del kept[:1]
def main():
    gc.enable()
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(5):
            kept.extend([{1, 2}, frozenset([3])] * 8)
            Cycle()
    finally:
        gc.set_threshold(*before)
    return 1
"""


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_finalisers_that_change_what_is_shown(make):
    assert trace(FINALISERS, engine=make).outcome == "return"  # when they run is no one's promise


def test_an_item_that_replaced_itself_is_shown_as_it_is_then():
    for each in ENGINES.values():
        recording = trace(PROGRAMS["an item replaced by itself"], engine=each)
        assert recording.result == "[7, 1]"
        assert recording.frames[-2]["locals"][0] == {"name": "items", "value": "[7, 1]"}


KEPT = """\
def numbers():
    text = ["x" * 9] * 2
    for i in range(4):
        yield i

def go_on(kept):
    return [next(each) for each in kept]
"""


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_a_generator_outlives_the_tracer_that_saw_it_begin(make):
    names = {}
    exec(compile(KEPT, "<kept>", "exec"), names)
    go_on, kept, traces = names["go_on"], [names["numbers"]() for _ in range(3)], []
    for _ in range(3):
        shown = whole_source(KEPT, "go_on")
        target = Target("go_on", go_on, shown)
        tracer = Tracer({go_on.__code__: target}, TraceLimits(), engine=make)
        with tracer.watching():
            go_on(kept)
        traces.append(tracer.finished[0])
        del tracer
        gc.collect()
    values = [[s[3] for s in each.steps if s[0] == "return" and s[5] > 0] for each in traces]
    assert [each[:3] for each in values] == [["0"] * 3, ["1"] * 3, ["2"] * 3]
    called = [s[2] for s in traces[1].steps if s[0] == "call"]
    seen = [each for each in called if each[:1] == ("text",)]
    assert seen == [("text", "['xxxxxxxxx', 'xxxxxxxxx']", "i", "0")] * 3


STOPS = """\
class Stops:
    def __repr__(self):
        try:
            stop()
        except BaseException:
            pass
        return "S"
class Lies(Stops):
    @property
    def __class__(self):
        return self.__repr__()
def main():
    a = 1
    items = [kind()]
    b = 2
    return items
"""


@pytest.mark.parametrize("kind", ["Stops", "Lies"])
@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_a_recording_ends_while_a_value_is_shown(make, kind):
    names = {"stop": lambda: tracer.cut("time-budget")}
    exec(compile(STOPS, "<stops>", "exec"), names)
    names["kind"], main = names[kind], names["main"]
    target = Target("main", main, whole_source(STOPS, "main"))
    tracer = Tracer({main.__code__: target}, TraceLimits(), engine=make)
    for _ in range(3):
        with tracer.watching():
            main()
    assert [each.outcome for each in tracer.finished] == ["time-budget"] * 3
    assert [len(each.steps) for each in tracer.finished] == [3] * 3
