"""The identity of a step: what its result depends on, as canonical JSON and its sha256.

In it: stage name, revision, settings, the content digests of the inputs, for sources a snapshot of
what is out there, and for stages that execute code the interpreter's major.minor. Never in it:
where and how a step runs (workers, hosts, paths, devices), which is its placement. A value without
a stable form is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cluster.dag.errors import DagError
from cluster.dag.stage import Stage


class UnstableValueError(DagError):
    """A setting or snapshot holds a value without a stable form; says which and what to use."""


class SettingsError(DagError):
    """A resolved configuration does not fit the settings it is read into; says which field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What a step's result depends on; ``fingerprint`` is the sha256 of its canonical JSON."""

    stage: str
    revision: int
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    snapshot: Any = None
    python: str | None = None

    @property
    def fingerprint(self) -> str:
        """The sha256, in hex, that names the step's folder in the store."""
        value = {field.name: getattr(self, field.name) for field in fields(self)}
        return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def identify(stage: Stage, settings: Any, inputs: Mapping[str, str], snapshot: Any) -> Identity:
    """Return the identity of a step whose inputs have the given content digests."""
    check_stable(snapshot, f"snapshot of {stage.name}")
    python = f"{sys.version_info.major}.{sys.version_info.minor}" if stage.executes_code else None
    return Identity(
        stage=stage.name,
        revision=stage.revision,
        settings=settings_json(settings),
        inputs=dict(inputs),
        snapshot=snapshot,
        python=python,
    )


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: one text for one value."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def check_stable(value: Any, where: str) -> None:
    """Raise `UnstableValueError` when ``value`` would not be the same text in another process.

    Stable are None, booleans, integers, finite floats, strings, enumerations with stable values,
    and lists, tuples, string-keyed mappings and dataclasses of them.
    """
    if isinstance(value, Enum):
        check_stable(value.value, where)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise UnstableValueError(f"{where} is {value}: JSON has no such number")
    elif value is None or isinstance(value, bool | int | str):
        return
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            check_stable(item, f"{where}[{index}]")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise UnstableValueError(f"{where} has the key {key!r}: use strings as keys")
            check_stable(item, f"{where}.{key}")
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            check_stable(getattr(value, field.name), f"{where}.{field.name}")
    else:
        raise UnstableValueError(
            f"{where} is a {type(value).__qualname__} ({value!r:.80}), which has no"
            " stable form: use numbers, strings, tuples or frozen dataclasses; paths and hosts"
            " belong in the placement"
        )


_adapters: dict[type, TypeAdapter[Any]] = {}


def _adapter(kind: type) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def settings_json(settings: Any) -> dict[str, Any]:
    """Return a settings dataclass as JSON values; equal for what is equal to the fields' types."""
    normal = normal_form(settings)
    value: dict[str, Any] = _adapter(type(normal)).dump_python(normal, mode="json")
    return value


def normal_form(settings: Any) -> Any:
    """Return settings as they are when written and read back: 1 in a float field is 1.0."""
    check_stable(settings, type(settings).__qualname__)
    adapter = _adapter(type(settings))
    return adapter.validate_python(adapter.dump_python(settings, mode="json"))


def placement_json(placement: Any) -> dict[str, Any]:
    """Return a placement as JSON values ({} for None); unlike settings it may hold paths."""
    if placement is None:
        return {}
    value: dict[str, Any] = _adapter(type(placement)).dump_python(placement, mode="json")
    return value


def read_settings(kind: type, value: Mapping[str, Any], where: str) -> Any:
    """Read settings of type ``kind`` from JSON values; a name that ``kind`` lacks is refused."""
    adapter = _adapter(kind)
    try:
        settings = adapter.validate_python(dict(value))
    except ValidationError as error:
        raise SettingsError(f"{where}: {error}") from error
    extra = _extra(value, adapter.dump_python(settings, mode="json"), where)
    if extra:
        raise SettingsError(f"{', '.join(extra)}: no such setting in {kind.__qualname__}")
    return settings


def _extra(given: Any, read: Any, where: str) -> list[str]:
    """Return the names in ``given`` that reading lost: pydantic ignores them in dataclasses."""
    found: list[str] = []
    if isinstance(given, Mapping) and isinstance(read, Mapping):
        for key, value in given.items():
            found += (
                _extra(value, read[key], f"{where}.{key}") if key in read else [f"{where}.{key}"]
            )
    elif isinstance(given, list | tuple) and isinstance(read, list | tuple):
        for index, (left, right) in enumerate(zip(given, read, strict=False)):
            found += _extra(left, right, f"{where}[{index}]")
    return found
