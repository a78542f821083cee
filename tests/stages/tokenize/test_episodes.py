"""Episodes: consecutive frames that fit, each readable by itself."""

import pytest

from model.frames import Step, diff, resolve
from model.trace import encode_steps, parse
from stages.tokenize.episodes import cut
from tests.model.recording import record
from tests.stages.rows import PROGRAM


@pytest.fixture(scope="module")
def frames():
    return record(PROGRAM.format(a=1, b=30, step=1)).frames


def test_a_trace_that_fits_is_one_episode(frames, tokenizer):
    (episode,) = cut(frames, room=100_000, most=4, shortest=3, tokenizer=tokenizer)
    assert (episode.start, episode.end) == (0, len(frames))
    assert episode.ids == encode_steps(diff(frames), tokenizer)
    assert episode.given == len(encode_steps(diff(frames[:1]), tokenizer))


def test_episodes_fit_follow_one_another_and_resolve_to_the_recorded_values(frames, tokenizer):
    episodes = cut(frames, room=150, most=100, shortest=1, tokenizer=tokenizer)
    assert len(episodes) > 5
    assert [e.start for e in episodes[1:]] == [e.end for e in episodes[:-1]]
    for episode in episodes:
        assert len(episode.ids) <= 150
        parsed = parse([*episode.ids, tokenizer.special("eos")], tokenizer)
        expected = [
            Step(f.event, f.source, f.locals, f.value) for f in frames[episode.start : episode.end]
        ]
        assert resolve(parsed.frames) == expected


def test_an_episode_never_starts_without_locals(frames, tokenizer):
    for room in range(40, 200, 7):
        for episode in cut(frames, room=room, most=100, shortest=1, tokenizer=tokenizer):
            assert frames[episode.start].locals is not None


def test_the_number_and_the_length_of_episodes_are_bounded(frames, tokenizer):
    assert len(cut(frames, room=150, most=2, shortest=1, tokenizer=tokenizer)) == 2
    short = cut(frames, room=150, most=100, shortest=5, tokenizer=tokenizer)
    assert all(e.end - e.start >= 5 for e in short)


def test_nothing_fits_in_no_room(frames, tokenizer):
    assert cut(frames, room=5, most=4, shortest=1, tokenizer=tokenizer) == []
    assert cut((), room=500, most=4, shortest=1, tokenizer=tokenizer) == []
