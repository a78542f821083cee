"""Traces in which secrets and addresses were shown."""

from typing import Any

from stages.trace.counts import drop, drop_trace
from stages.trace.redacted import redact_row
from stages.trace.rows import trace_row
from stages.trace.tracer.recording import frame_rows
from tests.stages.trace.tracer.invariants import check_row

TOKEN = "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789"


def row_of(text: list[str], steps: list[Any], arguments: str = "", result: str = "None") -> Any:
    return trace_row(
        context="".join([text[0].rstrip("\n") + "  # << START_OF_TRACE\n", *text[1:]]),
        entry="f",
        frames=frame_rows(text, steps),
        source="function",
        origin="x",
        licence="MIT",
        name="m:f",
        arguments=arguments,
        literal=bool(arguments),
        input_method="doctest",
        outcome="return",
        result=result,
        group="g",
        split="train",
        sandbox="bwrap",
    )


def test_a_trace_that_shows_nothing_of_anyone_is_left_as_it_is() -> None:
    row = row_of(["def f(x):\n", "    return x\n"], [("line", 2, ("x", "1"), None, False, 0)], "1")
    assert redact_row(row) is row


def test_context_values_and_arguments_are_replaced_alike() -> None:
    text = ["def f(key):  # jane@corp.com\n", f"    return key == '{TOKEN}'\n"]
    steps = [
        ("call", 1, ("key", f"'{TOKEN}'"), None, False, 0),
        ("line", 2, ("key", f"'{TOKEN}'", "other", f"['{TOKEN[:12]}..."), None, False, 0),
        ("return", 2, None, "True", False, 0),
    ]
    row = row_of(text, steps, f"'{TOKEN}'", "True")
    made = redact_row(row)
    assert made is not None
    assert made["context"] == (
        "def f(key):  # email1@example.com  # << START_OF_TRACE\n    return key == 'SECRET1'\n"
    )
    assert made["arguments"] == "'SECRET1'"
    assert made["frames"][1]["locals"] == [
        {"name": "key", "value": "'SECRET1'"},
        {"name": "other", "value": "['SECRET1..."},
    ]
    assert made["frames"][2]["value"] == "True"
    check_row(made)
    assert made["key"] != row["key"] and made["literal"] is False
    assert TOKEN not in str(made) and TOKEN[:12] not in str(made)


def test_a_comment_alone_leaves_the_call_as_it_can_be_made_again() -> None:
    text = ["def f(x):\n", "    return x  # ask jane@corp.com\n"]
    made = redact_row(row_of(text, [("line", 2, ("x", "1"), None, False, 0)], "1"))
    assert made is not None and made["literal"] is True
    assert made["frames"][0]["source"] == "    return x  # ask email1@example.com\n"


def test_a_call_whose_source_shows_a_secret_cannot_be_made_again() -> None:
    text = ["def f(x):\n", f"    return len('{TOKEN}')\n"]
    steps = [("line", 2, ("x", "1"), None, False, 0), ("return", 2, None, "40", False, 0)]
    made = redact_row(row_of(text, steps, "1", "40"))
    assert made is not None and made["literal"] is False


def test_what_is_left_out_shows_no_secret_either() -> None:
    dropped = drop(
        f"shop@1:test_a.py::test[{TOKEN}]", "shop", "", "timeout", f"by jane@corp.com {TOKEN}"
    )
    assert (dropped["key"], dropped["detail"]) == (
        "shop@1:test_a.py::test[SECRET1]",
        "by email1@example.com SECRET1",
    )
    long = row_of(
        ["def f(x):\n"], [("line", 1, ("x", "1"), None, False, 0)], f"'{'.' * 280}{TOKEN}'"
    )
    assert TOKEN[:8] not in str(drop_trace(long, "secret", ""))


def test_a_detail_can_be_written() -> None:
    drop("k", "o", "", "error", "half \ud800")["detail"].encode()


def test_a_key_over_several_lines_drops_the_trace() -> None:
    text = [
        "def f(x):\n",
        '    return """-----BEGIN RSA PRIVATE KEY-----\n',
        "MIIB\n",
        '-----END RSA PRIVATE KEY-----"""\n',
    ]
    assert redact_row(row_of(text, [("line", 2, ("x", "1"), None, False, 0)])) is None
