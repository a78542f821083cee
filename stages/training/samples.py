"""What the model makes of a few held-out traces while it trains, as text beside the truth.

Every token is predicted given the true history: one forward pass per trace, which all workers make
together. A frame that is predicted otherwise is shown as a difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.distributed as dist

from model.tokens import Tokenizer
from stages.training.job import Job
from stages.training.packing import Row
from stages.training.sequence_parallel import SequenceParallel
from stages.training.step import read
from stages.training.token_file import TokenFile

SAMPLES = "samples.md"
"""File of a checkpoint that holds the samples of every validation, one after the other."""
LONGEST = 1024
"""Tokens of a trace that is shown; the logits of all of them are held at once."""
_LOOKED_AT = 1000  # documents of a data set
_CONTEXT_LINES, _FRAMES = 20, 24


class Samples:
    """The first few held-out documents with a trace, and the file that samples go to."""

    def __init__(
        self, job: Job, files: Mapping[str, TokenFile], parallel: SequenceParallel
    ) -> None:
        """Take the documents from ``files``, the held-out parts of data sets by name."""
        self._file = job.metrics_file.with_name(SAMPLES)
        self._parallel = parallel
        self._tokenizer = Tokenizer.load(job.tokenizer)
        room = min(job.settings.context_length, LONGEST)
        wanted = job.placement.samples
        self._documents = [
            (name, file, number)
            for name, file in (files.items() if wanted else ())
            for number in traces(file, self._tokenizer, room, wanted)
        ][:wanted]

    def write(self, engine: Any, step: int) -> None:
        """Append the samples after ``step`` steps to the file; called by all workers.

        The engine must be in evaluation mode.
        """
        texts = []
        for name, file, number in self._documents:
            ids = file[number][0].tolist()
            predicted = self._predict(engine, file, number)
            title = f"## Step {step:,}: {name}, {file.keys[number]}"
            texts.append(f"{title}\n\n{compared(ids, predicted, self._tokenizer)}\n")
        if dist.get_rank() == 0 and texts:
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write("\n".join([*texts, ""]))

    def _predict(self, engine: Any, file: TokenFile, number: int) -> list[int]:
        """Return the likeliest token after each of a document's."""
        end = int(file.ends[number])
        start = end - len(file[number][0])
        batch = read([Row((0,), (start,), (end,), (end,))], [file], self._parallel)
        with torch.no_grad():
            found = engine(batch.ids, batch.packing).argmax(1).tolist()
        size = self._parallel.size
        if size == 1:
            return list(found)
        parts: list[list[int]] = [[]] * dist.get_world_size()
        dist.all_gather_object(parts, found)
        return [token for part in parts[:size] for token in part][: end - start]


def traces(file: TokenFile, tokenizer: Tokenizer, longest: int, wanted: int) -> list[int]:
    """Return the first ``wanted`` documents that hold a trace and at most ``longest`` tokens."""
    mark, found = tokenizer.special("trace_context_start"), list[int]()
    for number in range(min(len(file), _LOOKED_AT)):
        ids = file[number][0]
        if len(ids) <= longest and mark in ids[:2]:
            found.append(number)
            if len(found) == wanted:
                break
    return found


def compared(ids: Sequence[int], predicted: Sequence[int], tokenizer: Tokenizer) -> str:
    """Return a trace with what was predicted, ``predicted[t]`` for ``ids[t + 1]``, as Markdown.

    A frame that is right stands on a line of its own, another one as a difference of two.
    """
    separator = tokenizer.special("frame_sep")
    ends = [place + 1 for place, token in enumerate(ids) if token == separator]
    given = ends[0] if ends else len(ids)
    frames = list(pairwise(ends))
    shown: list[str] = []
    right = 0
    for start, end in frames:
        truth, guess = list(ids[start:end]), list(predicted[start - 1 : end - 1])
        right += sum(a == b for a, b in zip(truth, guess, strict=True))
        if truth == guess:
            shown.append("  " + _line(truth, tokenizer))
        else:
            shown += ["- " + _line(truth, tokenizer), "+ " + _line(guess, tokenizer)]
    more = len(shown) - _FRAMES
    if more > 0:
        shown = [*shown[:_FRAMES], f"  … {more:,} lines more"]
    context = tokenizer.decode(ids[:given], skip_specials=True).splitlines()
    if len(context) > _CONTEXT_LINES:
        context = ["…", *context[-_CONTEXT_LINES:]]
    tokens = max(frames[-1][1] - given if frames else 0, 1)
    return "\n".join(
        [
            "````python",
            *context,
            "````",
            "",
            f"Given the true history, {right / tokens:.0%} of the tokens are right"
            " (- the truth, + predicted):",
            "",
            "````diff",
            *shown,
            "````",
        ]
    )


def _line(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    return tokenizer.decode(ids).replace("\n", "\\n")
