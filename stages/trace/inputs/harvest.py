"""Literal arguments from the whole corpus: who calls a function with what can be written down.

Every call in every document whose arguments are literals is resolved by the names that its file
imports, through re-exports, to the function that it means. Calls in examples of docstrings count
too. Nothing is executed.
"""

from __future__ import annotations

import ast
import doctest
import hashlib
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stages.trace.tracer.arguments import read_arguments
from stages.trace.tracer.source import Function

_CHARS = 300
_KEPT = 16  # argument lists of one function: those whose hashes are smallest
_HOPS = 8  # re-exports that are followed


@dataclass(slots=True)
class _Module:
    """The names of a module: what it defines, what it has from elsewhere, what it takes whole."""

    functions: set[str] = field(default_factory=set)
    imports: dict[str, str] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)

    def joined(self, other: _Module | None) -> _Module:
        """Return this and another file of the same name as one, whichever comes first."""
        if other is None:
            return self
        imports = {
            name: min(each.imports[name] for each in (self, other) if name in each.imports)
            for name in {**self.imports, **other.imports}
        }
        stars = sorted({*self.stars, *other.stars})
        return _Module(self.functions | other.functions, imports, stars)


def harvest(documents: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the argument sources of calls in ``documents`` by ``module:function``.

    Documents have a "path", relative to an import root, and a "text"; those that do not parse are
    passed over. The result does not depend on their order.
    """
    modules: dict[str, _Module] = {}
    calls: dict[str, _Smallest] = defaultdict(_Smallest)
    for document in documents:
        name, is_package = _module_of(document["path"])
        tree = _parsed(document["text"])
        if tree is None or not name:
            continue
        module = _names(tree, name, is_package)
        modules[name] = module.joined(modules.get(name))
        for target, arguments in _calls(tree, module, name):
            calls[target].add(arguments)
    found: dict[str, _Smallest] = defaultdict(_Smallest)
    for target, sources in calls.items():
        function = _resolve(target, modules)
        if function is not None:
            for arguments in sources.values():
                found[function].add(arguments)
    return {function: found[function].values() for function in sorted(found)}


class _Smallest:
    """A bounded set of texts that does not depend on the order in which they came."""

    def __init__(self) -> None:
        self._by_hash: dict[bytes, str] = {}

    def add(self, text: str) -> None:
        """Add one; beyond the bound the one with the largest hash goes."""
        self._by_hash[hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()] = text
        if len(self._by_hash) > _KEPT:
            del self._by_hash[max(self._by_hash)]

    def values(self) -> list[str]:
        """Return them in the order of their hashes."""
        return [text for _, text in sorted(self._by_hash.items())]


def _module_of(path: str) -> tuple[str, bool]:
    if not path.endswith(".py"):
        return "", False
    name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return name, path.endswith("/__init__.py")


def _parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings(action="ignore"):  # escapes that are none
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _names(tree: ast.AST, name: str, is_package: bool) -> _Module:
    """Return what names mean in a module; one that is imported as two things means neither."""
    module = _Module()
    twice: set[str] = set()
    for node in getattr(tree, "body", ()):
        if isinstance(node, Function):
            module.functions.add(node.name)
    for node in ast.walk(tree):
        for bound, target in _imported(node, name, is_package):
            if bound == "*":
                module.stars.append(target)
            elif module.imports.setdefault(bound, target) != target:
                twice.add(bound)
    for each in twice:
        del module.imports[each]
    return module


def _imported(node: ast.AST, module: str, is_package: bool) -> Iterator[tuple[str, str]]:
    """Yield (name that is bound, dotted name of what it is)."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            yield (alias.asname, alias.name) if alias.asname else (top, top)
    elif isinstance(node, ast.ImportFrom):
        parts = module.split(".")
        keep = len(parts) - node.level + is_package
        base = parts[: max(0, keep)] if node.level else []
        source = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            if alias.name == "*":
                yield "*", source
            else:
                yield alias.asname or alias.name, f"{source}.{alias.name}"


def _calls(tree: ast.AST, module: _Module, name: str) -> Iterator[tuple[str, str]]:
    """Yield (dotted name, argument source) of the literal calls of a module and its examples."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _literal_call(node, module, name)
        elif isinstance(node, ast.Constant) and ">>> " in str(node.value):
            yield from _calls_in_examples(str(node.value), module, name)


def _calls_in_examples(text: str, module: _Module, name: str) -> Iterator[tuple[str, str]]:
    try:
        examples = doctest.DocTestParser().get_examples(text)
    except ValueError:  # the prompt's layout is broken
        return
    tree = _parsed("".join(each.source for each in examples))
    if tree is None:
        return
    there = _names(tree, name, is_package=False)
    both = _Module(module.functions, {**module.imports, **there.imports}, module.stars)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _literal_call(node, both, name)


def _literal_call(node: ast.Call, module: _Module, name: str) -> Iterator[tuple[str, str]]:
    """Yield what is called and with what, if both can be told from the source."""
    target = _target(node.func, module, name)
    arguments = _literal_arguments(node) if target else None
    if target and arguments is not None:
        yield target, arguments


def _target(function: ast.expr, module: _Module, name: str) -> str | None:
    """Return the dotted name of what is called, or None when the file does not say."""
    attributes: list[str] = []
    while isinstance(function, ast.Attribute):
        attributes.insert(0, function.attr)
        function = function.value
    if not isinstance(function, ast.Name):
        return None
    if function.id in module.functions and not attributes:
        return f"{name}.{function.id}"
    if function.id in module.imports:
        return ".".join([module.imports[function.id], *attributes])
    if module.stars and not attributes and not function.id.startswith("_"):
        return f"{name}.{function.id}"  # from one of the modules that are taken whole, or nothing
    return None


def _literal_arguments(call: ast.Call) -> str | None:
    """Return the source of a call's arguments when all are literals, each as Python writes it."""
    try:
        source = ", ".join(
            [ast.unparse(each) for each in call.args]
            + [f"{each.arg}={ast.unparse(each.value)}" for each in call.keywords]
        )
        if len(source) > _CHARS:
            return None
        positional, keywords = read_arguments(source)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    texts = [repr(each) for each in positional]
    return ", ".join([*texts, *(f"{key}={value!r}" for key, value in keywords.items())])


def _resolve(target: str, modules: Mapping[str, _Module], hops: int = _HOPS) -> str | None:
    """Follow a dotted name through imports to ``module:function``, or None."""
    home = target
    while home and home not in modules:
        home = home.rpartition(".")[0]
    name, _, rest = target[len(home) + 1 :].partition(".")
    if not home or not name or not hops:
        return None
    module = modules[home]
    if name in module.functions:
        return None if rest else f"{home}:{name}"
    if name in module.imports:
        return _resolve(".".join([module.imports[name], rest]).rstrip("."), modules, hops - 1)
    if rest:
        return None
    found = (_resolve(f"{each}.{name}", modules, hops - 1) for each in module.stars)
    return next((each for each in found if each), None)
