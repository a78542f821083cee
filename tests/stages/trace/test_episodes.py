"""Episodes cut out of traces: every one a trace by itself, every call in one place only."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.frames import Frame, diff, leaves_scope, resolve
from model.trace import MARK, mark_line
from stages.trace.episodes import cut_episodes
from stages.trace.programs import generate
from tests.stages.trace.tracer.traces import CASES, trace

NESTED = """\
def main():
    total = 0
    for n in (1, 2):
        total = total + outer(n)
    return total


def outer(n):
    m = inner(n)
    return m + 1


def inner(n):
    return n * 10
"""


def frames_of(source, entry="main", arguments=""):
    recording = trace(source, entry, arguments)
    return [Frame.from_row(row) for row in recording.frames]


@pytest.fixture(scope="module")
def nested():
    return frames_of(NESTED)


def names(episodes):
    return [episode.name for episode in episodes]


def test_every_call_is_an_episode_of_its_own_where_none_is_stepped_into(nested):
    episodes = cut_episodes(nested, depth=9, step_in=0, events=99, seed=0)
    assert names(episodes) == ["main", "outer", "inner", "outer", "inner"]
    main, outer = episodes[:2]
    assert [f.line for f in main.frames] == [1, 2, 3, 4, 3, 4, 3, 5, 5]
    assert [step.locals for step in diff(main.frames)][4] == (("total", "11"), ("n", ".."))
    assert outer.ending == ("return", "11") and main.ending == ("return", "32")
    assert outer.context(mark_line(NESTED, 1)) == mark_line(NESTED, 8)


def test_all_is_one_episode_where_all_is_stepped_into(nested):
    (whole,) = cut_episodes(nested, depth=9, step_in=1, events=99, seed=0)
    assert whole.frames == nested


def test_the_depth_bounds_what_is_stepped_into(nested):
    episodes = cut_episodes(nested, depth=1, step_in=1, events=99, seed=0)
    assert names(episodes) == ["main", "inner", "inner"]
    assert {frame.depth for frame in episodes[0].frames} == {0, 1}


def test_the_seed_decides_and_about_half_are_stepped_into(nested):
    def made(seed):
        return [e.frames for e in cut_episodes(nested, depth=1, step_in=0.5, events=99, seed=seed)]

    assert made(3) == made(3)
    kept = sum(len(made(seed)[0]) > 9 for seed in range(200))
    assert 130 < kept < 170  # of two callees, at least one: three quarters


def test_a_long_episode_is_cut_and_what_is_called_then_has_its_own(nested):
    episodes = cut_episodes(nested, depth=9, step_in=1, events=8, seed=0)
    assert [len(e.frames) for e in episodes] == [8, 7]
    assert names(episodes) == ["main", "outer"]
    assert episodes[0].ending == ("event-budget", "") and not leaves_scope(episodes[0].frames)


def test_what_is_no_function_is_never_an_entry():
    frames = frames_of((CASES / "lambda_key.py").read_text())
    assert names(cut_episodes(frames, depth=0, step_in=0, events=99, seed=0)) == ["main"]
    frames = frames_of((CASES / "generator.py").read_text())
    episodes = cut_episodes(frames, depth=0, step_in=0, events=99, seed=0)
    assert all("def" in episode.frames[0].source for episode in episodes)


def test_an_entry_that_yields_is_an_episode_up_to_there():
    source = "def g(n):\n    for i in range(n):\n        yield i\n"
    frames = frames_of(f"{source}\n\ndef main():\n    return list(g(2))\n")
    inner = [frame for frame in frames if frame.depth == 1]
    (episode,) = cut_episodes(inner, depth=0, step_in=0, events=99, seed=0)
    assert (episode.name, episode.ending) == ("g", ("return", "0"))


def test_an_exception_leaves_every_episode_it_passes_through():
    frames = frames_of((CASES / "exception_propagates.py").read_text())
    episodes = cut_episodes(frames, depth=0, step_in=0, events=99, seed=0)
    assert {e.ending[0] for e in episodes if e.name != "main"} == {"exception"}


def is_a_trace(episode, context):
    """What holds for every episode."""
    frames = episode.frames
    marked = episode.context(mark_line(context, 1)).splitlines()
    assert frames[0].event == "call" and frames[0].depth == 0
    assert marked[episode.entry_line - 1] == frames[0].source.rstrip("\n") + MARK
    depth = -1
    for frame in frames:
        depth += frame.event == "call"
        assert frame.depth == depth
        depth -= frame.event == "return"
    steps = resolve(diff(frames))
    assert [(s.locals, s.value) for s in steps] == [(f.locals, f.value) for f in frames]
    assert leaves_scope(frames) == (episode.ending[0] != "event-budget")


CHOICES = {
    "depth": st.integers(0, 3),
    "step_in": st.sampled_from([0, 0.3, 0.7, 1]),
    "events": st.sampled_from([3, 20, 10_000]),
    "seed": st.integers(0, 99),
}


@pytest.mark.parametrize("case", sorted(CASES.glob("*.py")), ids=lambda case: case.stem)
def test_episodes_of_every_case_are_traces(case):
    source = case.read_text()
    recording = trace(source, events=300)
    frames = [Frame.from_row(row) for row in recording.frames]
    for depth, step_in in ((0, 0), (1, 0.5), (9, 0.5)):
        for episode in cut_episodes(frames, depth=depth, step_in=step_in, events=50, seed=1):
            is_a_trace(episode, source)


@settings(max_examples=60, deadline=None)
@given(index=st.integers(0, 10_000), level=st.integers(1, 4), **CHOICES)
def test_episodes_of_programs_are_traces_and_hold_every_function_once(
    index, level, depth, step_in, events, seed
):
    program = generate(1, level, index)
    frames = frames_of(program.source, program.entry, program.arguments)
    choice = {"depth": depth, "step_in": step_in, "events": events, "seed": seed}
    episodes = cut_episodes(frames, **choice)
    for episode in episodes:
        is_a_trace(episode, program.source)
        assert len(episode.frames) <= events
    if events == 10_000:
        before, after = (
            sorted((f.line, f.locals) for f in some if f.event == "call" and "def " in f.source)
            for some in (frames, [f for e in episodes for f in e.frames])
        )
        assert before == after
