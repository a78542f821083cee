"""What each rendering makes of a row, and what the loss sees of it."""

import pytest

from model.frames import Trace
from model.tokens import ALIASES, DEBUGGER, SPECIALS, Special
from model.trace import MARK, encode, parse
from stages.tokenize.asserts import prompt_pieces, render_asserts
from stages.tokenize.code import render_code
from stages.tokenize.debugger import render_debugger
from stages.tokenize.prose import render_prose
from stages.tokenize.settings import TokenizeSettings
from stages.tokenize.traced_asserts import render_traced_asserts
from stages.tokenize.traces import render_traces
from stages.tokenize.trajectories import render_trajectories
from stages.trace.renderings.debugger_check import check_session
from stages.trace.renderings.prose import check
from tests.stages.rows import document_row, program_row

ALIAS = {name: alias for alias, name in ALIASES.items()}


def only(renderer, row, tokenizer, **settings):
    (rendered,) = renderer([row], tokenizer, TokenizeSettings(**settings))
    return rendered


def seen(document, tokenizer, least=1):
    """Return the text of the tokens whose loss weight is at least ``least``."""
    pairs = zip(document.ids, document.loss, strict=True)
    return tokenizer.decode(i for i, weight in pairs if weight >= least)


def test_code_is_whole_and_fully_seen(tokenizer):
    rendered = only(render_code, document_row("x = '<|eot_id|>'\n" * 99), tokenizer, max_tokens=16)
    (document,) = rendered.documents
    text = "<|begin_of_text|>" + "x = '<|eot_id|>'\n" * 99 + "<|end_of_text|>"
    assert tokenizer.decode(document.ids) == text
    assert document.ids.count(tokenizer.special("eot")) == 0
    assert set(document.loss) == {255}


def test_an_assert_follows_its_source(tokenizer):
    context = f"def f(a):{MARK}\n    return a\n"
    row = program_row(context=context, entry="f", arguments="'x', 2", result="('x', 2)")
    (document,) = only(render_asserts, row, tokenizer).documents
    prompt = tokenizer.encode_pieces(prompt_pieces(context, "f", "'x', 2"))
    assert document.ids[: len(prompt)] == prompt
    line = "assert f('x', 2) == ('x', 2)\n<|end_of_text|>"
    assert tokenizer.decode(document.ids) == ("<|begin_of_text|>def f(a):\n    return a\n" + line)
    assert seen(document, tokenizer, 255) == line
    assert set(document.loss) == {26, 255}


def test_scarce_asserts_leave_the_source_of_the_others(tokenizer):
    rows = [program_row(a, b) for a in range(8) for b in range(25)]
    settings = TokenizeSettings(assert_share=0.1)
    texts = [
        tokenizer.decode(document.ids)
        for rendered in render_asserts(rows, tokenizer, settings)
        for document in rendered.documents
    ]
    shown = [text for text in texts if "assert" in text]
    assert len(texts) == len(rows) and 8 <= len(shown) <= 34
    assert all(text.endswith("\n<|end_of_text|>") for text in texts)


def test_an_assert_follows_its_trace(tokenizer):
    row = program_row(1, 2)
    (document,) = only(render_traced_asserts, row, tokenizer, max_tokens=512).documents
    trace, _ = encode(Trace.from_row(row), tokenizer)
    line = f"assert {row['entry']}({row['arguments']}) == {row['result']}\n<|end_of_text|>"
    assert document.ids[: len(trace) - 1] == trace[:-1]
    assert tokenizer.decode(document.ids[len(trace) - 1 :]) == line
    assert seen(document, tokenizer, 255).endswith(line)
    assert only(render_traced_asserts, row, tokenizer, max_tokens=20).dropped == "too-long"
    cut = program_row(1, 2) | {"outcome": "exception"}
    assert only(render_traced_asserts, cut, tokenizer).dropped == "no-result"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"outcome": "exception"}, "no-result"),
        ({"outcome": "event-budget"}, "no-result"),
        ({"literal": False}, "arguments-not-literal"),
        ({"episode": 1}, "later-episode"),
        ({"result": "<object>"}, "result-not-literal"),
        ({"result": "nan"}, "result-not-literal"),
        ({"context": "x = 1\n" * 200}, "too-long"),
    ],
)
def test_what_makes_no_assert_is_dropped_with_its_reason(tokenizer, changes, reason):
    rendered = only(render_asserts, program_row(**changes), tokenizer)
    assert rendered.documents == () and rendered.dropped == reason


def test_a_trace_that_fits_is_its_whole_grammar(tokenizer):
    row = program_row()
    rendered = only(render_traces, row, tokenizer, max_tokens=1000)
    (document,) = rendered.documents
    trace = Trace.from_row(row)
    assert document.ids == encode(trace, tokenizer)[0]
    assert rendered.dropped == ""
    first = "<|call_sep|>{}<|action_sep|>def main():  # << START_OF_TRACE\n<|frame_sep|>"
    rest = seen(document, tokenizer, 255)
    assert tokenizer.decode(document.ids) == (
        f"<|begin_of_text|><|trace_context_start|>{trace.context}<|frame_sep|>{first}{rest}"
    )
    assert rest.startswith("<|line_sep|>{}") and rest.endswith("<|end_of_text|>")


def test_a_long_trace_becomes_episodes_that_do_not_teach_to_stop(tokenizer):
    row = program_row(1, 20)
    rendered = only(render_traces, row, tokenizer, max_tokens=240, max_episodes=99)
    assert len(rendered.documents) > 2
    for document in rendered.documents:
        assert len(document.ids) <= 240
        parsed = parse(document.ids, tokenizer)
        assert parsed.error is None and parsed.context == row["context"]
    *cut, last = (document.loss[-1] for document in rendered.documents)
    assert set(cut) == {0} and last == 255


def test_dropped_traces_say_why(tokenizer):
    long = program_row(context="x = 1\n" * 100, a=1, b=90)
    assert only(render_traces, long, tokenizer).dropped == "context-too-long"
    wide = program_row(1, 90)
    for frame in wide["frames"]:
        if frame["locals"] is not None:
            frame["locals"].append({"name": "big", "value": "7" * 300})
    assert only(render_traces, wide, tokenizer).dropped == "frame-too-long"
    partly = only(render_traces, program_row(1, 90), tokenizer, max_episodes=1)
    assert partly.dropped == "cut" and len(partly.documents) == 1


def test_prose_answers_the_question_that_it_follows(tokenizer):
    row = program_row(result="6")
    rendered = only(render_prose, row, tokenizer, max_tokens=2000)
    (document,) = rendered.documents
    text = tokenizer.decode(document.ids)
    source = row["context"].replace(MARK, "")
    head, answer = text.split("assert main() == ??\n")
    assert head == "<|begin_of_text|>" + source
    assert answer.startswith("[EXPLANATION]\n")
    assert answer.endswith("[/EXPLANATION]\n[OUTPUT]6[/OUTPUT]\n<|end_of_text|>")
    assert seen(document, tokenizer, 255) == answer
    assert check(answer.removesuffix("<|end_of_text|>"), Trace.from_row(row))
    other = only(render_prose, row, tokenizer, max_tokens=2000, seed=1)
    assert other.documents[0].ids != document.ids


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"outcome": "exception"}, "no-result"),
        ({"literal": False}, "arguments-not-literal"),
        ({"context": "x = 1\n" * 400}, "too-long"),
    ],
)
def test_what_cannot_be_told_is_dropped_with_its_reason(tokenizer, changes, reason):
    rendered = only(render_prose, program_row(**changes), tokenizer, max_tokens=900)
    assert rendered.documents == () and rendered.dropped == reason


def test_prose_whose_output_was_shortened_is_dropped(tokenizer):
    row = program_row(result="[1, ...]")
    row["frames"][-1]["value"] = "[1, ...]"
    assert only(render_prose, row, tokenizer, max_tokens=2000).dropped == "unchecked"


def test_a_session_with_the_debugger_is_checked_state_by_state(tokenizer):
    row = program_row()
    known = (*SPECIALS, *DEBUGGER)
    names = {tokenizer.special(name): ALIAS.get(name, name) for name in known}
    for seed in range(30):
        rendered = only(render_debugger, row, tokenizer, max_tokens=2000, seed=seed)
        (document,) = rendered.documents
        assert rendered.dropped == ""
        pieces, text = [], []
        for token in document.ids:
            if token in names:
                pieces += [tokenizer.decode(text)] * bool(text) + [Special(names[token])]
                text = []
            else:
                text.append(token)
        pieces = [
            Special(ALIAS.get(p.name, p.name)) if isinstance(p, Special) else p for p in pieces
        ]
        check_session(pieces, Trace.from_row(row))
        actions = {w for i, w in zip(document.ids, document.loss, strict=True)
                   if names.get(i, "").startswith(("step_", "back_", "continue"))}  # fmt: skip
        assert actions == {26} and document.loss[-1] == 255


def test_an_entry_that_is_left_and_goes_on_has_no_session(tokenizer):
    row = program_row()
    row["frames"] += row["frames"]
    assert only(render_debugger, row, tokenizer, max_tokens=2000).dropped == "suspends"
    assert only(render_prose, row, tokenizer, max_tokens=2000).dropped == "unchecked"


def test_a_session_that_does_not_fit_is_cut(tokenizer):
    row = program_row(1, 60)
    found = [only(render_debugger, row, tokenizer, max_tokens=300, seed=s) for s in range(20)]
    assert "cut" in {rendered.dropped for rendered in found}
    for rendered in found:
        for document in rendered.documents:
            assert len(document.ids) <= 300
            assert document.ids[-1] == tokenizer.special("eos")
            assert (document.loss[-1] == 0) == (rendered.dropped == "cut")
    long = program_row(1, 60, context="x = 1\n" * 100)
    found = [only(render_debugger, long, tokenizer, max_tokens=300, seed=s) for s in range(20)]
    assert "context-too-long" in {rendered.dropped for rendered in found}


def trajectory_row(turns):
    return {
        "key": "t",
        "family": "operators",
        "origin": "boltons",
        "turns": [{"source": s, "role": r, "text": t} for s, r, t in turns],
    }


TURNS = [
    ("env", "user", "fix f"),
    ("agent", "assistant", "<tool: bash>\nls\n</tool>"),
    ("env", "tool: bash", "f.py\n"),
    ("agent", "assistant", "done"),
]


def test_agent_turns_are_always_seen_and_observations_at_the_rate_asked(tokenizer):
    agent = "<tool: bash>\nls\n</tool><|eot_id|>done<|eot_id|><|end_of_text|>"
    row = trajectory_row(TURNS)
    (masked,) = only(render_trajectories, row, tokenizer, observation_mask=1.0).documents
    assert seen(masked, tokenizer) == agent
    (open_,) = only(render_trajectories, row, tokenizer, observation_mask=0.0).documents
    assert seen(open_, tokenizer) == "fix f<|eot_id|>" + agent.replace(
        "done", "f.py\n<|eot_id|>done"
    )
    assert masked.ids == open_.ids
    many = trajectory_row([("env", "user", "x"), *TURNS[1:2]] * 200)
    (half,) = only(render_trajectories, many, tokenizer, observation_mask=0.5).documents
    assert 70 < seen(half, tokenizer).count("x<|eot_id|>") < 130


def test_long_observations_are_cut_on_the_right(tokenizer):
    row = trajectory_row([*TURNS[:2], ("env", "tool: bash", "out " * 500), TURNS[3]])
    (document,) = only(render_trajectories, row, tokenizer, observation_tokens=20).documents
    assert len(document.ids) < 130
    assert "[...]<|eot_id|>" in tokenizer.decode(document.ids)
