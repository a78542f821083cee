"""A predicted trace beside the true one, for people: a table of steps, and what it came to.

Equal steps are green and marked ``=``, others red and marked ``≠``, so that the marks say it where
there are no colours.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from model.comparison import Comparison, Place
from model.frames import Frame, Step
from model.trace import unmark

_RIGHT, _WRONG, _SAME = "green", "bold red", "·"


def steps_table(comparison: Comparison, context: str) -> Table:
    """Return one row per step: the true action and its changes, and what was predicted there.

    ``context`` is the source that the model was given. Where the prediction has ended, what is left
    of the true trace is only counted.
    """
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("step", justify="right")
    table.add_column("")
    table.add_column("event", no_wrap=True)
    table.add_column("line", justify="right")
    for name in ("source", "true", "predicted"):
        table.add_column(name, overflow="fold")
    call = comparison.call
    given = ", ".join(f"{name} = {value}" for name, value in call.locals or ()) or _SAME
    cells = ("0", "", call.event, str(call.line), call.source.rstrip("\n"), given, "(given)")
    table.add_row(*(Text(cell, "dim") for cell in cells))
    lines = set(unmark(context).split("\n"))
    ended = False
    for number, place in enumerate(comparison.places, 1):
        if ended:
            more = f"… and {comparison.true_steps - number + 1:,} more in the true trace"
            table.add_row("", "", "", "", Text(more, "dim"))
            break
        ended = place.predicted is None
        table.add_row(str(number), *_row(place, lines))
    return table


def _row(place: Place, lines: set[str]) -> tuple[Text, Text, Text, Text, Text, Text]:
    mark = Text("=", _RIGHT) if place.same else Text("≠", _WRONG)
    predicted, true = _predicted(place, lines), place.true
    if true is None:
        return mark, Text("(ended)", "dim"), Text(), Text(), Text(), predicted
    source = Text.assemble(("│ " * true.depth, "dim"), true.source.rstrip("\n"))
    state = _state(true, place.true_news)
    return mark, Text(true.event), Text(str(true.line)), source, state, predicted


def _state(step: Frame | Step, shown: Mapping[str, str]) -> Text:
    if step.value is not None:
        return Text(_printable(step.value))
    return Text(_printable(", ".join(f"{name} = {v}" for name, v in shown.items())) or _SAME)


def _predicted(place: Place, lines: set[str]) -> Text:
    """Return what was predicted: the action where it differs, then the values, the wrong ones red.

    A wrong value is shown also where the prediction merely carries it on.
    """
    step, true = place.predicted, place.true
    if step is None:
        return Text("(ended)", _WRONG)
    if place.same or true is None or not place.same_action:
        state = _state(step, place.predicted_news)
        state.stylize(_RIGHT if place.same else _WRONG)
        return state if place.same else _action(step, lines) + state
    if true.value is not None:
        return Text(_printable(str(step.value)), _WRONG)
    there, truth = dict(step.locals or ()), dict(true.locals or ())
    parts = [
        Text(_printable(f"{name} = {value}"), _RIGHT if truth.get(name) == value else _WRONG)
        for name, value in there.items()
        if name in place.predicted_news or truth.get(name) != value
    ]
    parts += [Text(f"no {name}", _WRONG) for name in truth if name not in there]
    return Text(", ").join(parts)


def _action(step: Step, lines: set[str]) -> Text:
    source = unmark(step.source).rstrip("\n")
    unknown = "" if source in lines else " (no such line)"
    return Text(f"{step.event} `{_printable(source.strip())}`{unknown}: ", _WRONG)


def _printable(text: str) -> str:
    """Escape what would move a terminal's cursor or cannot be printed: a model may write it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def verdict(comparison: Comparison) -> Text:
    """Return the share of equal steps, the first difference and whether the end is right."""
    true_steps, first = comparison.true_steps, comparison.first_difference
    share = f" ({comparison.equal / true_steps:.0%})" if true_steps else ""
    text = Text(f"{comparison.equal} of {true_steps} steps equal{share}")
    text.append(", no difference" if first is None else f", first difference at step {first}")
    text.append("\n")
    true, predicted = comparison.true_ending, comparison.predicted_ending
    said = "has no end" if predicted is None else str(predicted)
    if true is None:
        return text.append(f"the prediction {said}; the true trace was cut")
    if comparison.ends_right:
        return text.append(f"= {true}: predicted right", _RIGHT)
    return text.append(f"≠ {true}; the prediction {said}", _WRONG)
