"""Messages to tokens, what the loss sees, and tool calls."""

import pytest

from model.chat import (
    ChatError,
    FormatError,
    Message,
    ToolCall,
    decode_answer,
    encode_chat,
    parse_tool_call,
    render_tool_call,
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


def test_transformers_template_gives_the_same_ids(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    tokenizer.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    chat = [{"role": message.role, "content": message.body} for message in CHAT]
    found = theirs.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    ours, _ = encode_chat(CHAT, tokenizer, generation_prefix=True)
    assert theirs.decode(found) == tokenizer.decode(ours)
    plain = theirs.apply_chat_template(chat[:3], return_dict=False)
    assert plain == encode_chat(CHAT[:3], tokenizer)[0]


def test_an_answer_ends_at_its_first_stop_token(tokenizer):
    ids = tokenizer.encode_pieces(["42", Special("eot"), "more"])
    assert decode_answer(ids, tokenizer) == "42"
    assert decode_answer(tokenizer.encode("42"), tokenizer) == "42"


def test_roles_are_checked():
    with pytest.raises(ChatError, match="'bot'"):
        Message("bot", "hello")


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


def test_truncation_keeps_the_asked_side(tokenizer):
    text = " ".join(str(n) for n in range(200))
    right, left = truncate(text, tokenizer, 30), truncate(text, tokenizer, 30, cut="left")
    assert right.startswith("0 1 2") and right.endswith("[...]")
    assert left.startswith("[...]") and left.endswith("198 199")
    assert max(len(tokenizer.encode(t)) for t in (left, right)) <= 31
    assert truncate("short", tokenizer, 30) == "short"
