"""A small corpus of the standard library, and the stage run over it."""

import hashlib
import sys
from pathlib import Path

from cluster.dag.stage import Input, StepContext
from stages.kind_checks import check_traces
from stages.tables import DOCUMENTS, DROPPED, write_table
from stages.trace.run import run
from stages.trace.settings import TracePlacement, TraceSettings

MODULES = ("textwrap", "heapq", "bisect", "statistics", "fractions", "shlex", "locale", "random")
SETTINGS = TraceSettings(
    program_levels=((0, 300), (3, 50)),
    program_families=(("permutation", 0.2, 20),),
    heldout_fraction=0.2,
    min_functions_per_origin=1,
    max_functions=24,
    functions_per_shard=4,
    tests_per_module=4,
    test_modules=1,
    fuzz_tries=6,
    per_coverage=2,
)
PLACEMENT = TracePlacement(programs_per_shard=100)


def document(file, path, origin="cpython"):
    text = file.read_text()
    return {
        **dict.fromkeys(DOCUMENTS.names, ""),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "text": text,
        "origin": origin,
        "path": path,
        "licence": "Python-2.0",
    }


def corpus_in(folder):
    """Return a corpus below ``folder``, made when it is not there."""
    corpus = folder / "corpus"
    if not corpus.exists():
        library = Path(sys.modules["os"].__file__).parent
        rows = [document(library / f"{name}.py", f"{name}.py") for name in MODULES]
        write_table(corpus / "train", DOCUMENTS, rows[:6])
        write_table(corpus / "heldout", DOCUMENTS, rows[6:])
        write_table(corpus / "dropped", DROPPED, [])
    return corpus


def trace(folder, name, placement=PLACEMENT, settings=SETTINGS):
    """Run the stage with a scratch folder of its own; a killed one is gone on with."""
    corpus, output, scratch = corpus_in(folder), folder / name, folder / f"{name}.scratch"
    output.mkdir()
    scratch.mkdir(exist_ok=True)
    run(
        StepContext(
            step="trace",
            settings=settings,
            placement=placement,
            inputs={"corpus": Input(path=corpus, kind="corpus", digest="")},
            output=output,
            scratch=scratch,
        )
    )
    check_traces(output)
    return output
