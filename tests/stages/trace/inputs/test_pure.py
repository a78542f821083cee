"""Functions that an accelerator in C hides."""

import bisect
import heapq
import sys
import textwrap
import types

from stages.trace.inputs.pure import in_python


def test_a_hidden_function_is_found_in_a_copy():
    found = in_python(heapq, ["heappush", "merge"])
    assert found["merge"] is heapq and found["heappush"] is not heapq
    assert isinstance(found["heappush"].heappush, types.FunctionType)
    heap = [3]
    found["heappush"].heappush(heap, 1)
    assert heap == [1, 3]


def test_the_module_itself_stays_as_it_was():
    before = heapq.heappush, sys.modules["_heapq"], sys.modules["heapq"]
    in_python(heapq, ["heappush"])
    assert before == (heapq.heappush, sys.modules["_heapq"], sys.modules["heapq"])
    assert isinstance(in_python(bisect, ["bisect"])["bisect"].bisect, types.FunctionType)


def test_other_modules_are_left_alone():
    assert in_python(textwrap, ["wrap", "missing"]) == {"wrap": textwrap, "missing": textwrap}
    made = types.ModuleType("made")
    made.f = len
    assert in_python(made, ["f"]) == {"f": made}
