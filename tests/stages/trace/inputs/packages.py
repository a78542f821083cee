"""Small packages to trace, and the worker's answer about them out of a real sandbox."""

import hashlib

from cluster.sandbox import Limits, Sandbox
from stages.trace.candidates import Candidate, candidates_of
from stages.trace.inputs.drivers import with_driver
from stages.trace.settings import TraceSettings
from stages.trace.tracer.recording import Recording

PAYLOAD = {
    "methods": ["doctest", "unittest", "main", "harvest", "mutation", "fuzz", "llm"],
    "limits": {"events": 400, "bytes": 40_000, "value_chars": 80, "calls": 20_000},
    "seed": 0,
    "calls": 4,
    "mutations": 3,
    "fuzz_tries": 24,
    "test_modules": 2,
    "tests": 30,
    "cpu_seconds": 2,
    "wall_seconds": 20.0,
}
LIMITS = Limits(cpu_seconds=60, wall_seconds=240, memory_bytes=1 << 30, processes=64)


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def functions(folder, paths, inputs=None):
    """Return the worker's functions of these files, as the stage makes them."""
    found = []
    for path in paths:
        text = (folder / path).read_text()
        document = {
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "text": text,
            "origin": "sample",
            "path": path,
            "licence": "MIT",
        }
        found += [
            {
                "module": each.module,
                "function": each.function,
                "document": each.document,
                "shown": each.shown.to_json(),
                "kind": each.kind,
                "inputs": (inputs or {}).get(each.function, []),
                "_shown": each.shown,
            }
            for each in candidates_of(document, "train", TraceSettings(min_lines=1))
            if isinstance(each, Candidate)
        ]
    return found


def trace(folder, wanted, **changes):
    """Trace functions in one batch; return what became of each by its name."""
    payload = {**PAYLOAD, **changes, "functions": [{**each, "_shown": None} for each in wanted]}
    with Sandbox(preload=("stages.trace.worker",), path=(folder,)) as box:
        result = box.call("stages.trace.worker:trace_functions", payload, limits=LIMITS)
    assert result.outcome == "ok", result.error
    return {each["function"]: made for each, made in zip(wanted, result.value, strict=True)}


def recordings(wanted, made):
    """Yield (function, method, Recording) of an answer."""
    for each in wanted:
        for value in made[each["function"]]["recordings"]:
            text = with_driver(each["_shown"], value["driver"]).text
            yield each["function"], value["method"], Recording.from_json(value, text)


def calls(made, function, method=None):
    """Return the argument sources of a function's recordings."""
    return [
        each["arguments"]
        for each in made[function]["recordings"]
        if method in (None, each["method"])
    ]
