"""Look at generated programs: ``python -m stages.trace.programs --family loops``."""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated

import tyro
from rich import box
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table

from stages.trace.programs import FAMILIES, LEVEL, LEVELS, draw
from stages.trace.programs.survey import Survey, record, survey

_PROGRAM = "python -m stages.trace.programs"
_ABOUT = f"""Show an example of the generated programs, and what they are like.

  {_PROGRAM}                                        every family at five difficulties
  {_PROGRAM} --family permutation --difficulty 0.5  one, with an example
  {_PROGRAM} --family level --difficulty 3          a level, 0 to {LEVELS[-1]}

"kept" is the share that ends as it should with small values; "alike" the share that repeats
another one, whatever the names."""

_FIVE = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclasses.dataclass(frozen=True)
class Options:
    """What to show."""

    family: Annotated[str, tyro.conf.arg(metavar="NAME")] = ""
    """One of the families, or "level"; all families when there is none."""
    difficulty: float | None = None
    """From 0 to 1, of a level its number; five of them when there is none."""
    count: int = 300
    """Programs that the numbers are over."""
    seed: int = 0
    """Chooses the programs."""
    index: int = 0
    """Which program is the example."""


def main(arguments: list[str]) -> int:
    """Run the command and return the exit code."""
    options = tyro.cli(Options, args=arguments, prog=_PROGRAM, description=_ABOUT)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    families = [options.family] if options.family else list(FAMILIES)
    several = tuple(map(float, LEVELS)) if options.family == LEVEL else _FIVE
    wanted = several if options.difficulty is None else (options.difficulty,)
    try:
        if options.family and options.difficulty is not None:
            _show_example(console, options)
        console.print(_table(families, wanted, options))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _show_example(console: Console, options: Options) -> None:
    assert options.difficulty is not None
    program = draw(options.seed, options.family, options.difficulty, options.index)
    recording = record(program)
    console.print(Syntax(program.source, "python", background_color="default"))
    console.print(f"{program.entry}({program.arguments})", style="bold", markup=False)
    ending = "" if recording.outcome == "return" else f"{recording.outcome}: "
    console.print(f"{ending}{recording.result}", markup=False)
    console.print(f"{program.name}, {len(recording.steps)} frames\n", style="dim")


def _table(families: list[str], difficulties: tuple[float, ...], options: Options) -> Table:
    table = Table(box=box.SIMPLE)
    for name in ("family", "difficulty", "lines", "frames", "most", "kept", "alike", "outcomes"):
        table.add_column(name, justify="left" if name in ("family", "outcomes") else "right")
    for family in families:
        for difficulty in difficulties:
            found = survey(family, difficulty, options.count, options.seed)
            table.add_row(family, f"{difficulty:g}", *_cells(found))
    return table


def _cells(found: Survey) -> list[str]:
    outcomes = ", ".join(
        f"{name} {count / found.programs:.0%}" for name, count in found.outcomes.most_common()
    )
    return [
        f"{found.lines:.1f}",
        f"{found.frames:.1f}",
        str(found.most_frames),
        f"{found.kept:.1%}",
        f"{found.alike:.1%}",
        outcomes,
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
