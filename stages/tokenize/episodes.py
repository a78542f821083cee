"""Cut a trace into episodes: runs of consecutive frames that fit beside the context.

Only here are lengths in tokens known. The first frame of an episode shows all its locals, so that
nothing refers to what was cut off; what follows is diffed against it as in a whole trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.frames import Frame, Scopes
from model.tokens import Tokenizer
from model.trace import encode_step


@dataclass(frozen=True, slots=True)
class Episode:
    """The frames ``start`` to ``end`` (exclusive) of a trace as tokens; the first has ``given``."""

    ids: list[int]
    given: int
    start: int
    end: int


def next_episode(
    frames: Sequence[Frame], start: int, *, room: int, tokenizer: Tokenizer
) -> Episode | None:
    """Return the longest episode from ``start`` on that takes at most ``room`` tokens.

    It begins at the first frame at or after ``start`` that shows locals and itself fits; None when
    there is no such frame.
    """
    while start < len(frames):
        if frames[start].locals is not None:
            episode = _fill(frames, start, room, tokenizer)
            if episode.end > start:
                return episode
        start += 1
    return None


def _fill(frames: Sequence[Frame], start: int, room: int, tokenizer: Tokenizer) -> Episode:
    scopes, ids, end, given = Scopes(), list[int](), start, 0
    for frame in frames[start:]:
        step = encode_step(scopes.diff(frame), tokenizer)
        if len(ids) + len(step) > room:
            break
        ids += step
        given = given or len(ids)
        end += 1
    return Episode(ids, given, start, end)


def cut(
    frames: Sequence[Frame], *, room: int, most: int, shortest: int, tokenizer: Tokenizer
) -> list[Episode]:
    """Return up to ``most`` episodes of at least ``shortest`` frames; a trace that fits is one."""
    episodes: list[Episode] = []
    start = 0
    while len(episodes) < most:
        episode = next_episode(frames, start, room=room, tokenizer=tokenizer)
        if episode is None:
            break
        whole = episode.start == 0 and episode.end == len(frames)
        if whole or episode.end - episode.start >= shortest:
            episodes.append(episode)
        start = episode.end
    return episodes
