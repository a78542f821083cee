"""CWM's chat layout: messages to tokens, and the tool calls inside assistant messages.

A message is ``<|start_header_id|>ROLE<|end_header_id|>``, two newlines, its body, ``<|eot_id|>``; a
chat starts with ``<|begin_of_text|>``. A body is ordinary text, in which special tokens are never
parsed, or a sequence of pieces for bodies that hold special tokens, such as a trace.

An assistant reasons in one of two ways. In CWM's fine-tuning data the thoughts stand between two
special tokens, the first of which is never trained on: a model reasons when the prompt starts it.
The released model reasons in plain text: `system_prompt` asks for it, the generation prefix ends
with ``<think>`` and a newline, and what follows ``</think>`` is the answer (`split_reasoning`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from model.tokens import ALIASES, Piece, Special, Tokenizer

ELISION = "[...]"
"""What stands for the part that `truncate` cut."""

SYSTEM_PROMPT = "You are a helpful AI assistant."
"""What a system prompt begins with unless it says who else the assistant is."""

THINK_START, THINK_END = "<think>\n", "</think>"
"""Reasoning in plain text; the generation prefix holds the start."""

_REASONING = (
    " You always reason before responding, using the following format:\n\n"
    "<think>\nyour internal reasoning\n</think>\nyour external response"
)
_STRUCTURE = frozenset(
    ["begin_of_text", "end_of_text", "start_header_id", "end_header_id", "eom_id", "eot_id"]
)
_THINKING = frozenset(["reasoning_thinking_start", "reasoning_thinking_end"])

_ROLE = re.compile(r"system|user|assistant|tool: [A-Za-z_]+")
_CALL = re.compile(r"<tool:\s([a-zA-Z_]+)>\n(.*?)\n</tool>", re.DOTALL)


class ChatError(ValueError):
    """A message that the layout cannot hold; says which role and why."""


class FormatError(ValueError):
    """A text whose tool call or reasoning is missing, repeated or malformed; says what is there."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. ``role`` is system, user, assistant or ``tool: NAME``.

    Raises `ChatError` on another role, on special tokens in ``body`` that make up the layout around
    bodies, and on a reasoning block in what is not the assistant's.
    """

    role: str
    body: str | tuple[Piece, ...]

    def __post_init__(self) -> None:
        if not _ROLE.fullmatch(self.role):
            raise ChatError(f"role {self.role!r}; expected system, user, assistant or 'tool: NAME'")
        refused = _STRUCTURE if self.role == "assistant" else _STRUCTURE | _THINKING
        for piece in () if isinstance(self.body, str) else self.body:
            if isinstance(piece, Special) and ALIASES.get(piece.name, piece.name) in refused:
                raise ChatError(f"<|{piece.name}|> cannot stand in a body of role {self.role!r}")

    @property
    def pieces(self) -> list[Piece]:
        """The body as pieces; text is stripped except in tool results, as CWM does."""
        if not isinstance(self.body, str):
            return list(self.body)
        text = self.body if self.role.startswith("tool") else self.body.strip()
        return [text] if text else []


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of the tool ``name`` with ``content`` as its argument."""

    name: str
    content: str


def system_prompt(
    *, reasoning: bool, description: str = SYSTEM_PROMPT, environment: str = ""
) -> str:
    """Return CWM's system prompt (PROMPTING_GUIDE.md and ``cwm/rl/envs/prompts.py`` of its code).

    ``environment`` says what the assistant works in and which tools it has.
    """
    prompt = description + _REASONING if reasoning else description
    return f"{prompt}\n\n# Environment\n\n{environment.strip()}" if environment else prompt


def encode_header(role: str, tokenizer: Tokenizer) -> list[int]:
    """Encode what precedes a message's body."""
    start, end = Special("start_header_id"), Special("end_header_id")
    return tokenizer.encode_pieces([start, role, end, "\n\n"])


def encode_message(message: Message, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Encode one message: its header, and its body with the end of turn."""
    body = tokenizer.encode_pieces([*message.pieces, Special("eot")])
    return encode_header(message.role, tokenizer), body


def encode_chat(
    messages: Iterable[Message],
    tokenizer: Tokenizer,
    *,
    generation_prefix: bool = False,
    reasoning: bool = False,
) -> tuple[list[int], list[bool]]:
    """Encode a chat; the second list is True on what the assistant writes, ends of turn included.

    The special token that starts a reasoning block is not trained on. ``generation_prefix`` appends
    the assistant's header, for the model to go on from; with ``reasoning`` also `THINK_START`.
    """
    ids, loss = [tokenizer.special("bos")], [False]
    start_thinking = tokenizer.special("reasoning_thinking_start")
    for message in messages:
        header, body = encode_message(message, tokenizer)
        written = message.role == "assistant"
        ids += header + body
        loss += [False] * len(header) + [written and i != start_thinking for i in body]
    if generation_prefix:
        prefix = encode_header("assistant", tokenizer)
        prefix += tokenizer.encode(THINK_START) if reasoning else []
        ids += prefix
        loss += [False] * len(prefix)
    return ids, loss


def decode_answer(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    """Return the text that a model wrote as one message, up to its first stop token."""
    end = next((n for n, i in enumerate(ids) if i in tokenizer.stop_ids), len(ids))
    return tokenizer.decode(ids[:end])


def split_reasoning(text: str) -> tuple[str, str]:
    """Return (reasoning, answer) of what a model wrote after `THINK_START`.

    Raises `FormatError` unless there is just one ``</think>``, as CWM's environments demand.
    """
    reasoning, _, answer = text.partition(THINK_END)
    if (ends := text.count(THINK_END)) != 1:
        raise FormatError(f"expected one {THINK_END} after the reasoning; found {ends}")
    return reasoning.strip(), answer.strip()


def render_tool_call(call: ToolCall) -> str:
    """Write a tool call in CWM's syntax."""
    text = f"<tool: {call.name}>\n{call.content}\n</tool>"
    if parse_tool_call(text) != call:
        raise FormatError(f"the call of {call.name!r} cannot be read back from {text!r}")
    return text


def parse_tool_call(text: str) -> ToolCall:
    """Read the tool call in an assistant's text; raise `FormatError` unless there is just one."""
    opened, closed = text.count("<tool:"), text.count("</tool>")
    found = _CALL.findall(text)
    if len(found) != 1 or opened != 1 or closed != 1:
        raise FormatError(
            f"expected one <tool: NAME> … </tool>; found {opened} opening and {closed} closing "
            f"tags, {len(found)} well-formed calls"
        )
    name, content = found[0]
    if not content.strip():
        raise FormatError(f"the call of {name!r} has no argument")
    return ToolCall(name, content)


def truncate(
    text: str, tokenizer: Tokenizer, limit: int, *, cut: Literal["left", "right"] = "right"
) -> str:
    """Return ``text`` shortened to at most ``limit`` tokens, `ELISION` in place of what was cut.

    CWM cuts prompts on the left and tool results on the right. At least `ELISION` is left.
    """
    ids = tokenizer.encode(text)
    if len(ids) <= limit:
        return text
    kept = limit - len(tokenizer.encode(ELISION))
    while kept > 0:
        if cut == "right":
            shortened = tokenizer.decode(ids[:kept]).rstrip("\ufffd") + ELISION
        else:
            shortened = ELISION + tokenizer.decode(ids[-kept:]).lstrip("\ufffd")
        # where it was cut, other tokens may be needed than before
        surplus = len(tokenizer.encode(shortened)) - limit
        if surplus <= 0:
            return shortened
        kept -= surplus
    return ELISION
