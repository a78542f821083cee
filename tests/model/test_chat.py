"""Messages to tokens, what the loss sees, and tool calls."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.chat import (
    ChatError,
    FormatError,
    Message,
    ToolCall,
    decode_answer,
    encode_chat,
    parse_tool_call,
    render_tool_call,
    split_reasoning,
    system_prompt,
    truncate,
)
from model.tokens import Special

CHAT = [
    Message("system", " Be brief.\n"),
    Message("user", "assert f(1) =="),
    Message("assistant", "2"),
    Message("tool: bash", "  out\n"),
]


def test_the_layout_is_cwms(tokenizer):
    ids, _ = encode_chat(CHAT, tokenizer, generation_prefix=True)
    header = "<|start_header_id|>{}<|end_header_id|>\n\n".format
    assert tokenizer.decode(ids) == (
        f"<|begin_of_text|>{header('system')}Be brief.<|eot_id|>"
        f"{header('user')}assert f(1) ==<|eot_id|>{header('assistant')}2<|eot_id|>"
        f"{header('tool: bash')}  out\n<|eot_id|>{header('assistant')}"
    )


def test_the_loss_sees_only_what_the_assistant_writes(tokenizer):
    ids, loss = encode_chat(CHAT, tokenizer)
    assert len(ids) == len(loss)
    assert tokenizer.decode(i for i, seen in zip(ids, loss, strict=True) if seen) == "2<|eot_id|>"


def test_the_start_of_reasoning_is_not_trained_on(tokenizer):
    start = Special("reasoning_thinking_start")
    body = (start, "so", Special("reasoning_thinking_end"), "2")
    ids, loss = encode_chat([Message("assistant", body)], tokenizer)
    shown = tokenizer.decode(i for i, seen in zip(ids, loss, strict=True) if seen)
    assert shown == "so<|reasoning_thinking_end|>2<|eot_id|>"


def test_special_tokens_in_a_text_body_stay_text(tokenizer):
    ids, _ = encode_chat([Message("user", "<|eot_id|>")], tokenizer)
    assert ids.count(tokenizer.special("eot")) == 1


def test_an_answer_ends_at_its_first_stop_token(tokenizer):
    ids = tokenizer.encode_pieces(["42", Special("eot"), "more"])
    assert decode_answer(ids, tokenizer) == "42"
    assert decode_answer(tokenizer.encode("42"), tokenizer) == "42"


@pytest.mark.parametrize("role", ["bot", "tool", "tool: ", "tool: a b", "User", "user\n", ""])
def test_roles_are_checked(role):
    with pytest.raises(ChatError, match="expected system, user, assistant"):
        Message(role, "hello")


@pytest.mark.parametrize(
    ("role", "name"),
    [
        *(("assistant", name) for name in ("eot", "eom_id", "bos", "end_of_text")),
        *(("tool: bash", name) for name in ("start_header_id", "end_header_id")),
        *(("user", name) for name in ("reasoning_thinking_start", "reasoning_thinking_end")),
    ],
)
def test_a_body_cannot_break_the_layout(role, name):
    with pytest.raises(ChatError, match=rf"<\|{name}\|> cannot stand in a body of role '{role}'"):
        Message(role, ("a", Special(name)))
    assert Message("user", (Special("call_sep"), "a")).pieces == [Special("call_sep"), "a"]


def test_bodies_are_stripped_except_results(tokenizer):
    for role in ("system", "user", "assistant"):
        ids = [encode_chat([Message(role, body)], tokenizer)[0] for body in ("\n a \t", "a")]
        assert ids[0] == ids[1]
    shown = tokenizer.decode(encode_chat([Message("tool: ls", "\n a \t")], tokenizer)[0])
    assert shown.endswith("\n\n\n a \t<|eot_id|>")
    assert encode_chat([Message("user", " ")], tokenizer)[0][-1] == tokenizer.special("eot")


def test_reasoning_is_asked_for_and_begun(tokenizer):
    prompt = system_prompt(reasoning=True, environment="You have one tool.\n")
    assert prompt == (
        "You are a helpful AI assistant. You always reason before responding, using the following "
        "format:\n\n<think>\nyour internal reasoning\n</think>\nyour external response"
        "\n\n# Environment\n\nYou have one tool."
    )
    assert system_prompt(reasoning=False) == "You are a helpful AI assistant."
    chat = [Message("system", prompt), Message("user", "1 + 1?")]
    ids, loss = encode_chat(chat, tokenizer, generation_prefix=True, reasoning=True)
    header = "<|start_header_id|>assistant<|end_header_id|>\n\n"
    assert tokenizer.decode(ids).endswith(f"<|eot_id|>{header}<think>\n")
    assert len(loss) == len(ids) and not any(loss)


def test_the_answer_follows_the_reasoning():
    assert split_reasoning("one and one\n</think>\n2\n") == ("one and one", "2")
    for text in ("one and one", "a</think>b</think>c"):
        with pytest.raises(FormatError, match=r"expected one </think>.*found [02]"):
            split_reasoning(text)


def test_tool_calls_survive_the_round_trip():
    call = ToolCall("bash", "python -m pytest\nls")
    assert render_tool_call(call) == "<tool: bash>\npython -m pytest\nls\n</tool>"
    assert parse_tool_call("I test it.\n" + render_tool_call(call)) == call
    with pytest.raises(FormatError):
        render_tool_call(ToolCall("bash", "echo '</tool>'"))


@pytest.mark.parametrize(
    "text",
    [
        "no call",
        "<tool: bash>\nls\n",
        "<tool: bash>\n \n</tool>",
        "<tool: bash>\nls\n</tool><tool: bash>\nls\n</tool>",
        "<tool: bash>\nls\n</tool></tool>",
        "<tool: b4sh>\nls\n</tool>",
    ],
)
def test_malformed_tool_calls_are_refused(text):
    with pytest.raises(FormatError):
        parse_tool_call(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("no call", "0 opening and 0 closing tags, 0 well-formed"),
        ("<tool: a>\nls\n</tool><tool: b>\nls\n</tool>", "2 opening and 2 closing tags, 2 well"),
        ("<tool: bash>\n \n</tool>", "'bash' has no argument"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(text, found):
    with pytest.raises(FormatError, match=found):
        parse_tool_call(text)


def test_truncation_keeps_the_asked_side(tokenizer):
    text = " ".join(str(n) for n in range(200))
    right, left = truncate(text, tokenizer, 30), truncate(text, tokenizer, 30, cut="left")
    assert right.startswith("0 1 2") and right.endswith("[...]")
    assert left.startswith("[...]") and left.endswith("198 199")
    assert truncate("short", tokenizer, 30) == "short"


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(st.characters(codec="utf-8"), max_size=60),
    limit=st.integers(0, 40),
    cut=st.sampled_from(["left", "right"]),
)
def test_a_truncated_text_fits(tokenizer, text, limit, cut):
    shortened = truncate(text, tokenizer, limit, cut=cut)
    assert len(tokenizer.encode(shortened)) <= max(limit, len(tokenizer.encode("[...]")))
    if shortened != text:
        kept = shortened.removeprefix("[...]") if cut == "left" else shortened.removesuffix("[...]")
        assert text.endswith(kept) if cut == "left" else text.startswith(kept)
