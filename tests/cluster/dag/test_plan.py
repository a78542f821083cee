"""What the plan says would happen, and why."""

import json
import re

DONE = {
    "numbers": "cached",
    "keep": "cached",
    "total.all": "cached",
    "total.kept": "cached",
    "slow": "cached",
    "gather": "cached",
}


def test_a_first_plan_is_all_new_and_writes_nothing(toy):
    plan = toy.plan()
    assert plan["numbers"]["why"] == "new"
    assert plan["keep"]["why"] == "new; after numbers"
    assert not toy.store.exists()


def test_every_reason_is_given(toy):
    toy.run()
    assert toy.actions() == DONE
    plan = toy.plan("keep.divisor=3")
    assert plan["keep"]["why"] == "divisor: 2 → 3"
    assert plan["total.all"]["action"] == "cached"
    assert (plan["slow"]["action"], plan["slow"]["why"]) == ("waits", "input keep may change")
    assert toy.plan("numbers.count=11")["numbers"]["why"] == "count: 10 → 11"
    plan = toy.plan(TOY_WORLD="2")
    assert plan["numbers"]["why"] == "snapshot.world: 1 → 2"
    plan = toy.plan("--only", "total")
    assert plan["total.kept"]["why"] == "asked for (--only total)"
    assert plan["keep"]["action"] == "kept"
    assert toy.actions("--from", "slow") == {
        "numbers": "kept",
        "keep": "kept",
        "total.all": "kept",
        "total.kept": "kept",
        "slow": "run",
        "gather": "run",
    }
    assert toy.actions("--until", "keep", "--rerun") == {"numbers": "run", "keep": "run"}


def test_placement_changes_no_identity(toy):
    toy.run()
    assert toy.actions("total.placement.cpus=1") == DONE


def test_code_drift_reruns_or_asks(toy):
    toy.run()
    toy.run("--preset", "asking")
    file = toy.folder / "keep" / "run.py"
    file.write_text(file.read_text().replace("# ", "").replace('"dropped": 0', '"dropped": 1'))
    plan = toy.plan()
    assert plan["keep"]["action"] == "run"
    assert plan["keep"]["why"] == "code of copied/keep/run.py changed"
    asking = ("--preset", "asking")
    output = toy.run(*asking, expect=1)
    assert "DriftError" in output and "keep: copied/keep/run.py" in output
    assert "--rerun-drifted" in output and "--accept-drift keep" in output
    toy.run(*asking, "--accept-drift", "keep")
    assert toy.run(*asking).count("cached") == len(DONE)  # accepted for good
    assert toy.plan(*asking, "numbers.count=11")["keep"]["drift"] == []
    file.write_text(file.read_text().replace('"dropped": 1', '"dropped": 2'))
    toy.run()  # the policy rerun runs it; the bytes are the same, so nothing follows
    assert toy.actions() == DONE
    assert toy.records()["keep"]["attempt"].startswith("2-")
    assert toy.records()["slow"]["attempt"].startswith("1-")


def test_rerun_drifted_runs_it(toy):
    toy.run("--preset", "asking")
    file = toy.folder / "total" / "run.py"
    file.write_text(file.read_text().replace("sum(", "1 + sum("))
    output = toy.run("--preset", "asking", "--rerun-drifted")
    assert re.search(r"total.kept +done", output) and re.search(r"gather +done", output)
    assert re.search(r"slow +cached", output)


def test_what_cannot_be_placed_is_planned_and_refused(toy):
    row = toy.plan("total.all.placement.cpus=4000")["total.all"]
    assert row["unplaceable"].startswith("no node can place 4000 CPU")
    output = toy.run("total.all.placement.cpus=4000", expect=1)
    assert "PlacementError: total.all: no node can place 4000 CPU" in output
    assert not (toy.store / "numbers").exists()


def test_only_does_not_go_with_from_or_until(toy):
    for other in ("--from", "--until"):
        output = toy.run("--plan", "--only", "keep", other, "slow", expect=2)
        assert f"--only and {other}" in output


def test_only_needs_inputs(toy):
    output = toy.run("--only", "slow", expect=1)
    assert "MissingInputError: keep has no artifact" in output and "--until keep" in output


def test_the_table_shows_estimates_and_the_json_the_same(toy):
    table = toy.run("--plan")
    assert re.search(r"parameters +12\.3 M +12\.3 M", table)
    assert re.search(r"total\.all +run .*≈ 2\.0 MB", table)
    plan = json.loads(toy.run("--plan", "--json"))
    assert plan["preset"] == "toy"
    assert plan["steps"][2]["estimate"]["parameters"] == 12_345_678


def test_the_plan_says_how_its_estimates_are_computed(toy):
    assert re.search(r"how it is computed\s+disk +two \[million\]", toy.run("--plan"))
    plan = json.loads(toy.run("--plan", "--json"))
    assert plan["formulas"] == {"disk bytes": "two [million]"}


def test_a_plan_imports_nothing_heavy(toy):
    program = (
        "import sys; from copied.pipeline import run; run('--plan');"
        "sys.exit(str([m for m in ('torch', 'ray', 'mlflow', 'pyarrow') if m in sys.modules]))"
    )
    import subprocess

    done = subprocess.run(
        [*toy.command()[:1], "-c", program],
        env=toy.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.strip() == "[]"
