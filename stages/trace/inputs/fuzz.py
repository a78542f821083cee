"""Inputs by guess, for functions that nothing else calls: by a parameter's name, annotation,
default, documentation and use, then by the errors that the guesses raise.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import random
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from stages.trace.inputs.calls import Subject
from stages.trace.inputs.fuzz_values import (
    CALL_HINTS,
    LIBRARIES,
    NAME_HINTS,
    ORDER,
    STANDARD,
    VALUES,
    WORD_HINTS,
)

_NAME, _WORDS, _USE, _SAID, _CONSTANT = 20, 40, 30, 50, 60
_MODULES = {name: import_module(name) for name in STANDARD}  # before there are forks
_OWN_CONSTANTS = 6
_SECOND_CHOICE, _GIVE_OPTIONAL, _SURPRISE = 0.25, 0.3, 0.3


@dataclass(slots=True)
class _Parameter:
    """What is known of one parameter: scores by kind, and values of its own."""

    name: str
    keyword: bool
    optional: bool
    starred: bool = False
    scores: Counter[str] = field(default_factory=Counter)
    values: dict[str, list[str]] = field(default_factory=dict)
    words: frozenset[str] = frozenset()
    """Of its annotation."""
    ruled_out: set[str] = field(default_factory=set)
    kind: str = ""

    def ranked(self, known: dict[str, list[str]]) -> list[str]:
        """Return the kinds that have values, the likeliest first; all when all are ruled out."""
        order = {kind: place for place, kind in enumerate(ORDER)}
        every = [
            each for each in {**self.values, **known} if each in order or self.scores[each] > 0
        ]
        left = [each for each in every if each not in self.ruled_out]
        if not left:
            self.ruled_out.clear()
            left = every
        return sorted(left, key=lambda each: (-self.scores[each], order.get(each, 99), each))


class Fuzzer:
    """Proposes argument lists for a subject and learns from what they come to.

    ``names`` are what the argument lists may use. The same seed and the same answers give the same
    proposals.
    """

    def __init__(self, subject: Subject, seed: str) -> None:
        self._rng = random.Random(f"{seed}|fuzz")
        self.names: dict[str, Any] = dict(_MODULES)
        self._values = _known_values(subject, self.names)
        self._parameters = list(_parameters(subject))
        _learn(self._parameters, subject)
        if subject.kind == "function":  # a driver has no names of the module's
            self._learn_classes(subject)
        self._made: dict[str, Any] = {}

    def _learn_classes(self, subject: Subject) -> None:
        """Where a parameter is named after a class that the module knows, try an instance."""
        for name, value in list(vars(subject.module).items()):
            if not isinstance(value, type) or not name.isidentifier():
                continue
            for each in self._parameters:
                if name in each.words or name.lower() == each.name.replace("_", "").lower():
                    self.names[name] = value
                    each.values["instance"] = [f"{name}()"]
                    each.scores["instance"] = _CONSTANT

    def tries(self, count: int) -> Iterator[str]:
        """Yield up to ``count`` different argument lists; call `tell` after each."""
        seen: set[str] = set()
        for number in range(3 * count):
            if len(seen) == count:
                return
            source = self._proposal(number)
            if source not in seen:
                seen.add(source)
                yield source

    def _proposal(self, number: int) -> str:
        parts, by_name = [], False
        for each in self._parameters:
            each.kind = ""
            if each.optional and (not number or self._rng.random() > _GIVE_OPTIONAL):
                by_name = True  # those after it can no longer be told apart by place
                continue
            kinds = each.ranked(self._values)
            if each.optional and (each.scores[kinds[0]] <= 0 or (each.starred and by_name)):
                by_name = True
                continue
            second = len(kinds) > 1 and number and self._rng.random() < _SECOND_CHOICE
            each.kind = kinds[1 if second else 0]
            pool = each.values.get(each.kind, []) + self._values.get(each.kind, [])
            value = pool[0] if not number else self._rng.choice(pool)
            by_keyword = each.keyword or (each.optional and by_name)
            parts.append(f"{each.name}={value}" if by_keyword else value)
        return ", ".join(parts)

    def tell(self, error: BaseException | None) -> None:
        """Learn from how the last proposal ended: an ill-typed one rules a kind out."""
        given = [each for each in self._parameters if each.kind]
        if not isinstance(error, TypeError | AttributeError) or not given:
            return
        text = str(error)
        named = set(re.findall(r"""['"](\w+)['"]|\b(\w+) object""", text))
        types = {each for pair in named for each in pair if each}
        blamed = [each for each in given if types & self._types(each.kind)] or given
        if self._rng.random() < _SURPRISE:
            guilty = self._rng.choice(blamed)
        else:  # the one of which the least was known
            guilty = min(blamed, key=lambda each: each.scores[each.kind])
        guilty.ruled_out.add(guilty.kind)
        wanted = set(re.findall(r"[a-z]+", text.rpartition(", not ")[0].lower()))
        wanted |= types - self._types(guilty.kind)
        for word in wanted & WORD_HINTS.keys():
            guilty.scores[WORD_HINTS[word]] += _SAID
        attribute = re.search(r"has no attribute '(\w+)'", text)
        if attribute:
            for kind in self._values:
                if hasattr(self._sample(kind), attribute[1]):
                    guilty.scores[kind] += _SAID

    def _types(self, kind: str) -> set[str]:
        sample = self._sample(kind)
        return {type(sample).__name__} if sample is not None else set()

    def _sample(self, kind: str) -> Any:
        """Return the first value of a kind; making one of each would cost more than a guess."""
        if kind not in self._made:
            self._made[kind] = None
            with contextlib.suppress(Exception):
                self._made[kind] = eval(self._values[kind][0], dict(self.names))
        return self._made[kind]


def _known_values(subject: Subject, names: dict[str, Any]) -> dict[str, list[str]]:
    """Return the values that can be written here, and add the modules that they name."""
    module = subject.module
    top = module.__name__.partition(".")[0]
    used = {top, *(getattr(each, "__name__", "") for each in vars(module).values())}
    found = {}
    for kind, values in VALUES.items():
        library = LIBRARIES.get(kind)
        if library is not None:
            if library not in used or library not in sys.modules:
                continue
            names[library] = sys.modules[library]
        found[kind] = list(values)
    return found


def _parameters(subject: Subject) -> Iterator[_Parameter]:
    try:
        signature = inspect.signature(getattr(subject.module, subject.name))
    except (ValueError, TypeError):
        signature = inspect.signature(subject.function)
    for each in signature.parameters.values():
        if each.kind is each.VAR_KEYWORD:
            continue
        starred = each.kind is each.VAR_POSITIONAL
        known = _Parameter(
            each.name,
            keyword=each.kind is each.KEYWORD_ONLY,
            optional=starred or each.default is not each.empty,
            starred=starred,
        )
        if starred:
            known.scores["integer"] += _NAME
        elif each.default not in (each.empty, None):
            _learn_default(known, each.default)
        if each.annotation is not each.empty:
            text = _text_of(each.annotation)
            known.words = frozenset(re.findall(r"\w+", text))
            _learn_words(known, text, _WORDS)
        yield known


def _text_of(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _learn_default(known: _Parameter, default: Any) -> None:
    for kind, word in WORD_HINTS.items():
        if type(default).__name__ == kind:
            known.scores[word] += _WORDS


def _learn_words(known: _Parameter, text: str, weight: int) -> None:
    for place, word in enumerate(re.findall(r"[a-z]+", text.lower())[:12]):
        if word in WORD_HINTS:
            known.scores[WORD_HINTS[word]] += 4 * weight // (4 + place)


def _learn(parameters: list[_Parameter], subject: Subject) -> None:
    """Score kinds by names, documentation and use."""
    document = inspect.getdoc(subject.function) or ""
    tree = ast.parse(textwrap.dedent("".join(subject.shown.text)))
    for each in parameters:
        for pattern, kinds in NAME_HINTS:
            if pattern.fullmatch(each.name):
                for kind in kinds:
                    each.scores[kind] += _NAME
        said = re.search(rf"^\W*(?:param )?{re.escape(each.name)}\W*:\s*(.+)$", document, re.M)
        if said:
            _learn_words(each, said[1], _WORDS)
    by_name = {each.name: each for each in parameters}
    for node in ast.walk(tree):
        for name, kinds in _uses(node):
            if name in by_name:
                for kind in kinds:
                    by_name[name].scores[kind] += _USE
        for name, constant in _compared(node):
            if name in by_name:
                own = by_name[name].values.setdefault("constant", [])
                if constant not in own and len(own) < _OWN_CONSTANTS:
                    own.append(constant)
                by_name[name].scores["constant"] = _CONSTANT


def _uses(node: ast.AST) -> Iterator[tuple[str, list[str]]]:
    """Yield (name, kinds) for what a node does with a name."""
    match node:
        case ast.Call(func=ast.Name(id=name)):
            yield name, ["callable", "type"]
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            yield name, [kind for kind, type_ in _TYPES if hasattr(type_, attribute)]
        case ast.For(iter=ast.Name(id=name)) | ast.comprehension(iter=ast.Name(id=name)):
            target = node.target
            yield name, ["pairs"] if isinstance(target, ast.Tuple) else ["numbers", "strings"]
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str())):
            yield name, ["dictionary"]
        case ast.Subscript(value=ast.Name(id=name)):
            yield name, ["numbers", "tuple", "strings", "string", "dictionary"]
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.FloorDiv()):
            for side in (node.left, node.right):
                if isinstance(side, ast.Name):
                    yield side.id, ["integer", "float"]
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func).rpartition(".")[2]
        for argument in node.args:
            if isinstance(argument, ast.Name) and called in CALL_HINTS:
                yield argument.id, CALL_HINTS[called].split()
        if called == "isinstance" and len(node.args) == 2 and isinstance(node.args[0], ast.Name):
            words = re.findall(r"\w+", ast.unparse(node.args[1]).lower())
            yield node.args[0].id, [WORD_HINTS[each] for each in words if each in WORD_HINTS]


_TYPES = (
    ("string", str), ("bytes", bytes), ("numbers", list), ("dictionary", dict), ("set", set),
    ("file", __import__("io").StringIO), ("integer", int), ("float", float),
)  # fmt: skip


def _compared(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield (name, constant) for what a name is compared with or looked for in."""
    if not isinstance(node, ast.Compare) or not isinstance(node.left, ast.Name):
        return
    for other in node.comparators:
        items = other.elts if isinstance(other, ast.Tuple | ast.List | ast.Set) else [other]
        for item in items:
            if isinstance(item, ast.Constant) and isinstance(item.value, str | int | float):
                yield node.left.id, repr(item.value)
