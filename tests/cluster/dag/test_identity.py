"""The identity of a step: stable, complete, and refused where it could not be."""

import dataclasses
import json
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from cluster.dag.identity import (
    SettingsError,
    UnstableValueError,
    canonical_json,
    check_stable,
    identify,
    read_settings,
    settings_json,
)
from cluster.dag.stage import Kind, Stage


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    weight: float = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    rate: float = 1e-3
    mix: tuple[Part, ...] = (Part(),)
    name: str | None = None
    anything: Any = None


STAGE = Stage(
    name="s", revision=1, run="m:run", settings=Settings, output=Kind(name="k"), executes_code=True
)


def fingerprint(stage=STAGE, settings=None, inputs=None, snapshot=None):
    settings = settings if settings is not None else Settings()
    return identify(stage, settings, inputs or {"a": "1", "b": "2"}, snapshot).fingerprint


def test_what_is_equal_has_one_fingerprint():
    assert fingerprint() == fingerprint(inputs={"b": "2", "a": "1"})
    assert fingerprint(settings=Settings(rate=1)) == fingerprint(settings=Settings(rate=1.0))
    assert fingerprint(snapshot={"x": 1, "y": [2]}) == fingerprint(snapshot={"y": (2,), "x": 1})


def test_every_part_counts():
    parts = [
        fingerprint(),
        fingerprint(stage=dataclasses.replace(STAGE, revision=2)),
        fingerprint(stage=dataclasses.replace(STAGE, name="t")),
        fingerprint(stage=dataclasses.replace(STAGE, executes_code=False)),
        fingerprint(settings=Settings(mix=(Part(weight=0.4),))),
        fingerprint(inputs={"a": "1", "b": "3"}),
        fingerprint(inputs={"a": "1", "c": "2"}),
        fingerprint(snapshot={"x": 1}),
    ]
    assert len(set(parts)) == len(parts)


def test_the_fingerprint_does_not_depend_on_the_process():
    program = "from tests.cluster.dag.test_identity import fingerprint; print(fingerprint())"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[3],
            check=True,
        )
        assert done.stdout.strip() == fingerprint()


class Colour(Enum):
    RED = object()


@pytest.mark.parametrize(
    "value",
    [lambda: 1, object(), {1, 2}, float("nan"), float("inf"), Path("/x"), b"x", {1: 2}, Colour.RED],
    ids=repr,
)
def test_a_value_without_a_stable_form_is_refused_by_name(value):
    with pytest.raises(UnstableValueError, match=r"Settings\.anything\[0\]"):
        settings_json(Settings(anything=[value]))


def test_stable_values_pass():
    check_stable({"a": [1, 2.5, None, True, "x", (Part(),)]}, "here")


def test_settings_are_written_and_read_back():
    settings = Settings(rate=2, mix=(Part(weight=0.1), Part(weight=0.9)), name="n")
    value = json.loads(canonical_json(settings_json(settings)))
    assert read_settings(Settings, value, "s") == settings


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"rat": 1}, "s.rat"),
        ({"mix": [{"weight": 1, "wait": 2}]}, r"s.mix\[0\].wait"),
        ({"rate": "fast"}, "rate"),
    ],
)
def test_a_name_or_value_that_does_not_fit_is_refused(value, named):
    with pytest.raises(SettingsError, match=named):
        read_settings(Settings, value, "s")
