"""A trace in words: what each step does, with the values that it has there, then the output.

By rule, in the layout of CWM's natural-language traces (``[EXPLANATION]`` and ``[OUTPUT]``), which
were written by a language model; what repeats itself is told in short, by the rules of
`stages.trace.renderings.outline`. The wording varies with the seed. `check` reads the output back:
a rendering that it refuses is not one to learn from.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator, Mapping

from model.frames import Trace
from stages.trace.renderings.outline import Enter, Entry, Fold, Leave, Line, Skip, outline
from stages.trace.renderings.phrases import PHRASES, STYLES
from stages.trace.renderings.structure import Called
from stages.trace.renderings.tree import Call

_OUTPUT = re.compile(r"\[OUTPUT\](.*)\[/OUTPUT\]\n\Z", re.DOTALL)
_RAISES = "raises "
_NAME = re.compile(r"[^\W\d]\w*")
_NAMED = 4
"""Values told beside a condition, at most."""


def prose(trace: Trace, seed: int | str) -> str:
    """Return the trace in words.

    The output is the value returned, ``raises`` and the exception, or ``unknown`` where a budget
    cut the trace. Raises `model.frames.TraceError` for frames that do not start with a call.
    """
    writer = _Writer(random.Random(f"{seed}"))
    sentences = list(writer.sentences(outline(trace)))
    style = writer.chance.choice(STYLES)
    text = "".join(style.format(n=n, text=text) for n, text in enumerate(sentences, 1))
    return f"[EXPLANATION]\n{text.rstrip()}\n[/EXPLANATION]\n[OUTPUT]{_ending(trace)}[/OUTPUT]\n"


def check(text: str, trace: Trace) -> bool:
    """Say whether the output stated is the recorded one, and can be compared at all.

    A value returned must be a Python literal, whole: one cut short says nothing.
    """
    found = _OUTPUT.search(text)
    if found is None or not trace.whole or found[1] != _ending(trace):
        return False
    return found[1].startswith(_RAISES) or is_literal(found[1])


def is_literal(text: str) -> bool:
    """Say whether ``text`` is a Python literal without an ellipsis, which stands for what was left
    out."""
    try:
        ast.literal_eval(text)
        tree = ast.parse(text.strip(), mode="eval")
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
    return not any(isinstance(n, ast.Constant) and n.value is ... for n in ast.walk(tree))


def _ending(trace: Trace) -> str:
    last = trace.frames[-1]
    if not trace.whole:
        return "unknown"
    if not last.unwinding:
        return last.value or ""
    outermost, depth = "", 0
    for number, frame in enumerate(trace.frames):
        depth += frame.event == "call" and number > 0
        if frame.event == "exception" and depth == 0:
            outermost = frame.value or ""
        depth -= frame.event == "return"
    return _RAISES + outermost


class _Writer:
    """Turns entries into sentences; what a line came to is said once its calls have been told."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.waiting: list[Line] = []

    def sentences(self, entries: list[Entry]) -> Iterator[str]:
        for entry in entries:
            while self.waiting and self.waiting[-1].depth >= entry.depth:
                if said := self._outcome(self.waiting.pop(), "back"):
                    yield said
            if isinstance(entry, Line):
                yield from self._line(entry)
            else:
                yield from self._other(entry)

    def say(self, kind: str, **values: object) -> str:
        """Return one of the phrases for ``kind``."""
        return self.chance.choice(PHRASES[kind]).format(**values)

    def _line(self, entry: Line) -> Iterator[str]:
        source = f"`{entry.item.frame.source.strip()}`"
        if not entry.item.calls:
            yield self._outcome(entry, "")
            return
        names = " and ".join(list(dict.fromkeys(map(_name, entry.called)))[:_NAMED])
        begins = f"{self.say('pass', number=entry.iteration)} " if entry.iteration else ""
        yield begins + self.say("calls", source=source, names=names)
        self.waiting.append(entry)

    def _outcome(self, entry: Line, back: str) -> str:
        """Say what a line did; ``back``: the phrase for after its calls."""
        source = f"`{entry.item.frame.source.strip()}`"
        parts = [*self._condition(entry, source), *self._effects(entry)]
        what = self.say("and").join(parts)
        if back:
            return self.say(back, source=source, what=what) if parts else ""
        if entry.iteration:
            begins = self.say("pass", number=entry.iteration)
            if entry.loop is not None and entry.loop.is_tested:
                return f"{begins} {_sentence(what)}"
            return f"{begins} {self.say('does' if parts else 'nothing', source=source, what=what)}"
        if entry.holds is not None or entry.passes is not None:
            return _sentence(what)
        return self.say("does" if parts else "nothing", source=source, what=what)

    def _condition(self, entry: Line, source: str) -> Iterator[str]:
        if entry.passes is not None:
            times = "1 pass" if entry.passes == 1 else f"{entry.passes:,} passes"
            yield self.say("loop ends", source=source, times=times)
        block, holds = entry.condition, entry.holds
        if entry.iteration and entry.loop is not None and entry.loop.is_tested:
            block, holds = entry.loop, True
        if block is None or holds is None:
            return
        known = dict(entry.item.frame.locals or ())
        names = dict.fromkeys(_NAME.findall(entry.item.frame.source))
        values = {name: known[name] for name in names if name in known}
        some = dict(list(values.items())[:_NAMED])
        said = self.say(f"{block.word} {'holds' if holds else 'fails'}", source=source)
        yield (self.say("with", values=_values(some)) if some else "") + said

    def _effects(self, entry: Line) -> Iterator[str]:
        item = entry.item
        before = dict(item.frame.locals or ())
        new = {name: value for name, value in item.news.items() if name not in before}
        if new:
            yield self.say("new", values=_values(new))
        for name, value in item.news.items():
            if name in before:
                yield self.say(
                    "changed", name=f"`{name}`", old=_flat(before[name]), new=_flat(value)
                )
        for name in item.gone:
            yield self.say("gone", name=f"`{name}`")
        for frame in item.raised:
            yield self.say("is raised", value=_flat(frame.value))
        if entry.end is not None and entry.end.end is not None and not entry.end.end.unwinding:
            kind = "is yielded" if entry.yields else "is returned"
            yield self.say(kind, value=_flat(entry.end.end.value))

    def _other(self, entry: Entry) -> Iterator[str]:
        if isinstance(entry, Enter):
            kind = {"module": "module", "class": "class body"}.get(entry.called.kind, "enter")
            kind = "resumed" if entry.called.resumed else kind
            yield _capital(self.say(kind, name=_name(entry.called), arguments=self._given(entry)))
            if entry.called.resumed and (sent := entry.call.sent):
                yield _sentence(self.say("new", values=_values(sent)))
            for frame in entry.call.raised:
                yield _sentence(self.say("is raised", value=_flat(frame.value)))
        elif isinstance(entry, Fold):
            came, name = self._result(entry.call), _name(entry.called)
            yield _capital(self.say("fold", name=name, arguments=self._given(entry), result=came))
        elif isinstance(entry, Skip):
            yield self._skip(entry)
        elif isinstance(entry, Leave):
            yield from self._leave(entry)

    def _given(self, entry: Enter | Fold) -> str:
        """Say what a call is given; a generator that goes on is given nothing."""
        if entry.called.kind not in ("function", "lambda"):
            return ""
        values = _arguments(entry.call)
        kind = "with arguments" if isinstance(entry, Enter) else "given"
        return self.say(kind, values=values) if values else ""

    def _skip(self, entry: Skip) -> str:
        news = self.say("leads to", values=_values(entry.news)) if entry.news else ""
        last = entry.first + entry.count - 1
        kind = {"passes": "passes" if entry.first else "some passes", "calls": "more calls"}.get(
            entry.what, entry.what
        )
        return self.say(kind, count=f"{entry.count:,}", first=entry.first, last=last, news=news)

    def _result(self, call: Call) -> str:
        if call.end is None:
            return self.say("not ended")
        if call.end.unwinding:
            return self.say("raised", value=_flat(call.failure))
        return self.say("returned", value=_flat(call.end.value))

    def _leave(self, entry: Leave) -> Iterator[str]:
        call = entry.call
        if call.end is None:
            if entry.depth == 0:
                yield self.say("cut")
        elif call.end.unwinding:
            value = _flat(call.failure)
            yield _capital(self.say("left", name=_name(entry.called), value=value))
        elif not call.items:
            yield _sentence(f"{_name(entry.called)} {self._result(call)}")


def _name(called: Called) -> str:
    return f"`{called.name}`" if called.kind in ("function", "class", "generator") else called.name


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _sentence(text: str) -> str:
    return _capital(text) + "."


def _arguments(call: Call) -> str:
    return _values({name: v for name, v in call.frame.locals or () if name != ".0"})


def _values(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {_flat(value)}" for name, value in values.items())


def _flat(value: str | None) -> str:
    return " ".join((value or "").splitlines())
