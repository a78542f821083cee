"""CWM's chat layout: messages to tokens, and the tool calls inside assistant messages.

A message is ``<|start_header_id|>ROLE<|end_header_id|>``, two newlines, its body, ``<|eot_id|>``; a
chat starts with ``<|begin_of_text|>``. A body is ordinary text, in which special tokens are never
parsed, or a sequence of pieces for bodies that hold special tokens, such as a trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from model.tokens import Piece, Special, Tokenizer

ELISION = "[...]"
"""What stands for the part that `truncate` cut."""

_ROLE = re.compile(r"system|user|assistant|tool: [A-Za-z_]+")
_CALL = re.compile(r"<tool:\s([a-zA-Z_]+)>\n(.*?)\n</tool>", re.DOTALL)


class ChatError(ValueError):
    """A message that the layout cannot hold; says which role and why."""


class FormatError(ValueError):
    """A text whose tool call is missing, repeated or malformed; says what was found."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. ``role`` is system, user, assistant or ``tool: NAME``."""

    role: str
    body: str | tuple[Piece, ...]

    def __post_init__(self) -> None:
        if not _ROLE.fullmatch(self.role):
            raise ChatError(f"role {self.role!r}; expected system, user, assistant or 'tool: NAME'")

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


def encode_header(role: str, tokenizer: Tokenizer) -> list[int]:
    """Encode what precedes a message's body."""
    start, end = Special("start_header_id"), Special("end_header_id")
    return tokenizer.encode_pieces([start, role, end, "\n\n"])


def encode_message(message: Message, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Encode one message: its header, and its body with the end of turn."""
    body = tokenizer.encode_pieces([*message.pieces, Special("eot")])
    return encode_header(message.role, tokenizer), body


def encode_chat(
    messages: Iterable[Message], tokenizer: Tokenizer, *, generation_prefix: bool = False
) -> tuple[list[int], list[bool]]:
    """Encode a chat; the second list is True on what the assistant writes, ends of turn included.

    The start of a reasoning block is never trained on: a model reasons when the prompt starts it.
    ``generation_prefix`` appends the assistant's header, for the model to go on from.
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
        ids += prefix
        loss += [False] * len(prefix)
    return ids, loss


def decode_answer(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    """Return the text that a model wrote as one message, up to its first stop token."""
    end = next((n for n, i in enumerate(ids) if i in tokenizer.stop_ids), len(ids))
    return tokenizer.decode(ids[:end])


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
    """Return ``text`` shortened to about ``limit`` tokens, `ELISION` in place of what was cut.

    CWM cuts prompts on the left and tool results on the right.
    """
    ids = tokenizer.encode(text)
    if len(ids) <= limit:
        return text
    kept = max(limit - len(tokenizer.encode(ELISION)), 0)
    if cut == "right":
        return tokenizer.decode(ids[:kept]).rstrip("\ufffd") + ELISION
    return ELISION + tokenizer.decode(ids[len(ids) - kept :]).lstrip("\ufffd")
