"""An agent's successes as chats: a system prompt that names its tools, then calls and results.

Unlike `stages.tokenize.trajectories`, which mid-training learns an environment from, this is what
an agent should do: only trajectories whose tests passed in the end, and the loss sees the agent's
turns alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.chat import Message, encode_chat, system_prompt, truncate
from model.tokens import Tokenizer
from stages.forage.environment import ENVIRONMENT
from stages.tokenize.document import Document, Rendered, Row, weigh
from stages.tokenize.settings import TokenizeSettings

SYSTEM = Message("system", system_prompt(reasoning=False, environment=ENVIRONMENT))


def render_tool_use(
    rows: Sequence[Row], tokenizer: Tokenizer, settings: TokenizeSettings
) -> Iterator[Rendered]:
    """Yield every successful trajectory whole, however long; drops "failed" ones."""
    for row in rows:
        if row["outcome"] != "fixed":
            yield Rendered(dropped="failed")
            continue
        chat = [SYSTEM, *(_message(turn, tokenizer, settings) for turn in row["turns"])]
        ids, written = encode_chat(chat, tokenizer)
        loss = [weigh(float(w)) for w in written]
        yield Rendered((Document([*ids, tokenizer.special("eos")], [*loss, 0]),))


def _message(turn: Row, tokenizer: Tokenizer, settings: TokenizeSettings) -> Message:
    text = turn["text"]
    if settings.observation_tokens and turn["source"] != "agent":
        text = truncate(text, tokenizer, settings.observation_tokens)
    return Message(turn["role"], text)
