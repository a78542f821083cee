"""Inputs that a language model makes: argument lists for functions, read as literals or not at all.

The functions are strangers' code and the answers a stranger's text: nothing of either is executed
here. Of an answer only lines that are calls of the function with literal arguments count, and what
is kept of them is the source of the values, not the text. CWM prompts a model of 70 B parameters so
beside fuzzing (arXiv 2510.02387, §2.1); its prompt is not published, this one is our own.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from stages.trace.inputs.answer_cache import AnswerCache
from stages.trace.inputs.endpoint import Endpoint, EndpointError
from stages.trace.inputs.llm_settings import LLMEndpoint, LLMSettings
from stages.trace.tracer.arguments import literal_source, read_arguments

_LINE_CHARS = 400
_HEADING = re.compile(r"###\s*(\d{1,4})\s*")

_PROMPT = """\
You write test inputs for Python functions.

For each function below, write {count} calls of it: ordinary ones, and such that take other paths \
through the function (empty values, limits, special cases). Prefer calls that return to calls that \
raise. Small values are best.

Rules:
- Every argument is a literal: numbers, strings, True, False, None, and lists, tuples, \
dictionaries and sets of these. No names, no operators, no calls within the call.
- One call per line, nothing else on the line. No two calls are alike.
- Start the calls of a function with a line "### " and its number. No other text, no code fences.

{functions}
"""
_FUNCTION = "### {number}\n{source}"


@dataclass(kw_only=True, slots=True)
class Answers:
    """``inputs``: for every function that was asked about, its argument lists as source.

    ``counts``: functions asked about ("asked") and known from before ("remembered"), argument lists
    kept ("kept"), and lines dropped, by reason: "not-a-call", "not-literal", "repeated",
    "too-many"; "nothing" counts functions for which nothing is left.
    """

    inputs: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


def ask(
    functions: Mapping[str, str], settings: LLMSettings, endpoint: LLMEndpoint, cache_folder: Path
) -> Answers:
    """Ask for argument lists of ``functions``, a mapping from "module:function" to source.

    What is in ``cache_folder`` is not asked again, so that a stage that was ended goes on where it
    was and a second run asks nothing. Raises `EndpointError` when the endpoint cannot be used: what
    it has answered until then is kept.
    """
    answers = Answers()
    keys = {name: _key(name, source, settings) for name, source in functions.items()}
    with AnswerCache(cache_folder) as cache:
        new = [name for name in functions if keys[name] not in cache]
        answers.counts["remembered"] = len(functions) - len(new)
        answers.counts["asked"] = len(new)
        if new:
            batches = list(_batches(new, settings.functions_per_request))
            with closing(_completions(batches, functions, settings, endpoint)) as completions:
                for batch, text in completions:
                    found = read_answer(text, batch, settings.inputs_per_function)
                    cache.put({keys[name]: found[name] for name in batch})
        for name in functions:
            kept = cache[keys[name]]
            answers.inputs[name] = list(kept["inputs"])
            answers.counts["kept"] += len(kept["inputs"])
            answers.counts["nothing"] += not kept["inputs"]
            answers.counts.update(kept["dropped"])
    return answers


def _key(name: str, source: str, settings: LLMSettings) -> str:
    """Return what an answer depends on, as a digest."""
    asked = (settings.model, settings.prompt_version, settings.inputs_per_function)
    text = json.dumps([_called(name), source, *asked, settings.temperature])
    return hashlib.sha256(text.encode()).hexdigest()


def _called(name: str) -> str:
    """Return the name that a function is called by: "gcd" of "math:gcd"."""
    return name.rpartition(":")[2]


def _batches(names: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    rest = iter(names)
    while batch := tuple(islice(rest, size)):
        yield batch


def _completions(
    batches: Sequence[tuple[str, ...]],
    functions: Mapping[str, str],
    settings: LLMSettings,
    where: LLMEndpoint,
) -> Generator[tuple[tuple[str, ...], str], None, None]:
    """Yield every batch with the model's answer, as they come.

    When one has none to be had, the answers under way are yielded still before that is raised.
    """
    endpoint = Endpoint(settings, where)

    def complete(batch: tuple[str, ...]) -> str:
        return endpoint.complete(question({name: functions[name] for name in batch}, settings))

    with ThreadPoolExecutor(where.concurrency, "llm") as pool:
        waiting: dict[Future[str], tuple[str, ...]] = {
            pool.submit(complete, batch): batch for batch in batches
        }
        problem: EndpointError | None = None
        try:
            for done in as_completed(waiting):
                try:
                    text = done.result()
                except EndpointError as error:  # so does every request that has not begun
                    problem = error
                else:
                    yield waiting[done], text
        finally:  # nothing is left unless whoever asks goes away
            endpoint.give_up()
            pool.shutdown(cancel_futures=True)
    if problem is not None:
        raise problem


def question(functions: Mapping[str, str], settings: LLMSettings) -> str:
    """Return the prompt about some functions."""
    parts = [
        _FUNCTION.format(number=number, source=source.rstrip())
        for number, source in enumerate(functions.values(), 1)
    ]
    return _PROMPT.format(count=settings.inputs_per_function, functions="\n\n".join(parts))


def read_answer(text: str, names: Sequence[str], limit: int) -> dict[str, dict[str, Any]]:
    """Return for each function ``{"inputs": [argument source, …], "dropped": {reason: count}}``.

    ``names`` are the functions in the order of their numbers; at most ``limit`` inputs are kept of
    each. Lines that are under no function's heading are passed over.
    """
    inputs: dict[str, list[str]] = {name: [] for name in names}
    dropped: dict[str, Counter[str]] = {name: Counter() for name in names}
    name = ""
    for line in map(str.strip, text.rpartition("</think>")[2].splitlines()):
        if heading := _HEADING.fullmatch(line):
            number = int(heading[1])
            name = names[number - 1] if 1 <= number <= len(names) else ""
        elif name and line:
            try:
                arguments = read_call(line, _called(name))
                if arguments in inputs[name]:
                    raise _DroppedError("repeated")
                if len(inputs[name]) == limit:
                    raise _DroppedError("too-many")
                inputs[name].append(arguments)
            except _DroppedError as reason:
                dropped[name][str(reason)] += 1
    return {name: {"inputs": inputs[name], "dropped": dict(dropped[name])} for name in names}


class _DroppedError(ValueError):
    """A line of an answer is not kept; says why, in a word."""


def read_call(line: str, called: str) -> str:
    """Return the source of the arguments of a call of ``called``, written anew from its values.

    Raises a ValueError that says "not-a-call" or "not-literal".
    """
    if len(line) > _LINE_CHARS or not (line.startswith(f"{called}(") and line.endswith(")")):
        raise _DroppedError("not-a-call")
    try:
        call = ast.parse(line, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise _DroppedError("not-a-call")
        positional, keywords = read_arguments(line[len(called) + 1 : -1])
    except _DroppedError:
        raise
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise _DroppedError("not-literal") from error
    given = [each.arg for each in call.keywords]
    if None in given or len(set(given)) < len(given):  # None: a "**"
        raise _DroppedError("not-literal")
    texts = [literal_source(value) for value in positional]
    for name, value in keywords.items():
        text = literal_source(value)
        texts.append(None if text is None else f"{name}={text}")
    if None in texts:
        raise _DroppedError("not-literal")
    return ", ".join(text for text in texts if text is not None)
