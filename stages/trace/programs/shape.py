"""What a program is, whatever its names."""

from __future__ import annotations

import ast
import hashlib

_Definition = ast.FunctionDef | ast.ClassDef


def shape(source: str) -> str:
    """Return a digest of a program that renaming what it defines does not change: variables,
    parameters, functions, classes, methods and attributes.
    """
    tree = ast.parse(source)
    _Renaming(tree).apply(tree)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


class _Renaming:
    """New names in the order of first sight; members of classes have a space of their own."""

    def __init__(self, tree: ast.AST) -> None:
        self.new: dict[str, str] = {}
        nodes = list(ast.walk(tree))
        self.methods = {
            each
            for node in nodes
            if isinstance(node, ast.ClassDef)
            for each in node.body
            if isinstance(each, _Definition)
        }
        self.members = {each.name for each in self.methods} | {
            node.attr
            for node in nodes
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        }
        others = (node for node in nodes if node not in self.methods)
        self.names = {name for node in others for name in _defines(node)}

    def apply(self, tree: ast.AST) -> None:
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                node.id = self._name(node.id)
            elif isinstance(node, ast.arg | ast.keyword) and node.arg:
                node.arg = self._name(node.arg)
            elif isinstance(node, ast.Attribute):
                node.attr = self._member(node.attr)
            elif isinstance(node, _Definition):
                own = node in self.methods
                node.name = self._member(node.name) if own else self._name(node.name)
            elif isinstance(node, ast.ExceptHandler) and node.name:
                node.name = self._name(node.name)
            elif isinstance(node, ast.Nonlocal | ast.Global):
                node.names = [self._name(name) for name in node.names]

    def _name(self, name: str) -> str:
        return self._numbered(name, name) if name in self.names else name

    def _member(self, name: str) -> str:
        own = name in self.members and not name.startswith("__")
        return self._numbered(f".{name}", name) if own else name

    def _numbered(self, key: str, name: str) -> str:
        return self.new.setdefault(key, f"v{len(self.new)}")


def _defines(node: ast.AST) -> tuple[str, ...]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return (node.id,)
    if isinstance(node, ast.arg):
        return (node.arg,)
    if isinstance(node, ast.ExceptHandler) and node.name:
        return (node.name,)
    return (node.name,) if isinstance(node, _Definition) else ()
