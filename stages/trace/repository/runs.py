"""The tests of a folder, run three times: untraced, traced, and traced once more.

A trace is kept when the test came to the same outcome with and without the tracer, and when two
executions, whose fresh memory holds different bytes, recorded the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster.sandbox import Limits, Sandbox
from stages.trace.repository.environment import Environment
from stages.trace.repository.settings import RepositorySettings
from stages.trace.shards import FIRST_MEMORY, PROCESSES, SECOND_MEMORY
from stages.trace.tracer.build import native_environment

_SESSION = "stages.trace.repository.session"
_GRACE_SECONDS = 30
_RESULT_BYTES = 4 << 30
_PYTEST_RAN = (0, 1, 5)
"""Exit statuses of a session that came to its end: all passed, some failed, none there."""

Dropped = tuple[str, str, str]
"""(test id, or "" for all of a session; reason; detail)."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Exported files of a repository, and the source of those whose functions are shown."""

    path: Path
    sources: Mapping[str, str]


@dataclass(slots=True)
class Session:
    """What a session came to; see `stages.trace.repository.session.run_session`."""

    tests: dict[str, str] = field(default_factory=dict)
    recordings: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    untraced: dict[str, str] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    failed_files: dict[str, str] = field(default_factory=dict)
    engine: str = ""
    status: int | None = None
    said: str = ""
    cpu_seconds: float = 0.0
    layer: str = ""

    @property
    def problem(self) -> str:
        """Why the session as a whole is of no use, "" when it is."""
        if self.status in _PYTEST_RAN or self.tests:
            return ""
        return f"pytest ended with {self.status}: {self.said[-250:]}"


@dataclass(slots=True)
class Traced:
    """The recordings of a folder's tests, and why others have none."""

    outcomes: dict[str, str] = field(default_factory=dict)
    """Of every test that was run untraced the phases and how they ended."""
    recordings: dict[str, str] = field(default_factory=dict)
    """As JSON: `Recording.to_json`, with where its lines stand."""
    deterministic: set[str] = field(default_factory=set)
    """Tests whose second recording was the same."""
    same: int = 0
    """Tests that came to the same outcome traced as untraced."""
    dropped: list[Dropped] = field(default_factory=list)
    cpu_seconds: Counter[str] = field(default_factory=Counter)
    engine: str = ""
    layer: str = ""


def read_folder(path: Path) -> Folder:
    """Return a folder with the source of its Python files; one that is not UTF-8 is not shown."""
    sources = {}
    for file in sorted(path.rglob("*.py")):
        if file.is_file() and not file.is_symlink():
            try:
                sources[file.relative_to(path).as_posix()] = file.read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                continue
    return Folder(path, sources)


def run_session(
    folder: Folder,
    environment: Environment,
    settings: RepositorySettings,
    files: Sequence[str],
    *,
    only: Sequence[str] | None = None,
    tracing: bool = False,
    digests_only: bool = False,
) -> Session:
    """Run one session in a sandbox of its own."""
    native = native_environment()
    payload = {
        "interpreter": environment.interpreter,
        "repository": str(folder.path),
        "import_roots": settings.import_roots,
        "arguments": settings.pytest_arguments,
        "files": list(files),
        "only": only,
        "sources": list(folder.sources),
        "tracing": tracing,
        "digests_only": digests_only,
        "limits": _trace_limits(settings),
        "native": native,
        "test_seconds": settings.test_seconds,
        "seconds": settings.session_seconds,
    }
    limits = Limits(
        cpu_seconds=settings.session_seconds,
        wall_seconds=settings.session_seconds + _GRACE_SECONDS,
        memory_bytes=settings.memory_bytes,
        processes=PROCESSES,
        output_bytes=_RESULT_BYTES,
    )
    memory = SECOND_MEMORY if digests_only else FIRST_MEMORY
    shown = [folder.path, *map(Path, environment.paths)]
    shown += [Path(file).parent for file in native.values()]
    with Sandbox(preload=(_SESSION,), read_only=shown, environment=memory) as box:
        result = box.call(f"{_SESSION}:run_session", payload, limits=limits)
        spent, layer = result.cpu_seconds, box.layer
    if result.outcome != "ok":
        said = f"{result.outcome}: {result.error[-250:]}"
        return Session(said=said, cpu_seconds=spent, layer=layer)
    return Session(**result.value, cpu_seconds=spent, layer=layer)


def _trace_limits(settings: RepositorySettings) -> dict[str, int]:
    """Return the budgets of a trace, as `TraceLimits` takes them."""
    names = ("events", "bytes", "value_chars", "calls", "depth")
    return {name: getattr(settings, name) for name in names}


def trace_tests(
    folder: Folder,
    environment: Environment,
    settings: RepositorySettings,
    files: Sequence[str],
    only: Sequence[str] | None = None,
) -> Traced:
    """Run the tests of ``files``, of those the ids of ``only``, and compare the three sessions."""
    plain = run_session(folder, environment, settings, files, only=only)
    made = Traced(outcomes=plain.tests, layer=plain.layer)
    made.cpu_seconds.update({"untraced": plain.cpu_seconds})
    if plain.problem:
        made.dropped.append(("", "session-failed", plain.problem))
        return made
    traced = run_session(folder, environment, settings, files, only=only, tracing=True)
    if traced.problem:
        made.dropped.append(("", "session-failed", f"traced, {traced.problem}"))
        return made
    again = run_session(
        folder, environment, settings, files, only=only, tracing=True, digests_only=True
    )
    made.engine = traced.engine
    made.cpu_seconds.update({"pytest": traced.cpu_seconds, "check": again.cpu_seconds})
    for how, session in (("untraced", plain), ("traced", traced), ("traced again", again)):
        if session.status not in _PYTEST_RAN:
            said = f"{how}, tests that come later were not run: {session.said[-200:]}"
            made.dropped.append(("", "session-cut", said))
    for name, error in plain.failed_files.items():
        made.dropped.append((name, "not-collected", error[-200:]))
    for test in sorted({*plain.tests, *plain.stopped}):
        reason = _unfit(test, plain, traced)
        if test in traced.tests and traced.tests[test] == plain.tests.get(test):
            made.same += 1
        if reason is not None:
            made.dropped.append((test, *reason))
            continue
        made.recordings[test] = traced.recordings[test]
        if again.digests.get(test) == traced.digests[test]:
            made.deterministic.add(test)
    return made


def _unfit(test: str, plain: Session, traced: Session) -> tuple[str, str] | None:
    """Return why a test has no trace to keep, or None."""
    for session, how in ((plain, "untraced"), (traced, "traced")):
        if test in session.stopped:
            return session.stopped[test], f"{how}, it did not come to its end"
        if test not in session.tests:
            return "not-run", f"{how}, the session ended before it"
    if plain.tests[test] != traced.tests[test]:
        return "outcome-differs", f"untraced {plain.tests[test]}, traced {traced.tests[test]}"
    if test not in traced.recordings:
        word = outcome_word(plain.tests[test])
        if "call:" not in plain.tests[test]:
            return ("skipped", "before its call") if word == "skipped" else ("set-up", word)
        return "not-traced", traced.untraced.get(test, "nothing was recorded")
    return None


def outcome_word(phases: str) -> str:
    """Return pytest's word for a test whose phases ended like this."""
    if "call:failed" in phases:
        return "failed"
    if ":failed" in phases:
        return "error"
    return next(
        (word for word in ("xfailed", "xpassed", "skipped") if f":{word}" in phases), "passed"
    )
