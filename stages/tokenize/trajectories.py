"""An agent's trajectories as chats: the loss sees its turns, and half of the environment's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from model.chat import Message, encode_message, truncate
from model.tokens import Tokenizer
from stages.tokenize.document import Document, Rendered, Row, weigh
from stages.tokenize.settings import TokenizeSettings


def is_masked(key: str, turn: int, settings: TokenizeSettings) -> bool:
    """Say whether the loss leaves out an environment turn: by hash, at the rate of the settings."""
    digest = hashlib.sha256(f"{settings.seed}:{key}:{turn}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < settings.observation_mask * 2**64


def render_trajectories(
    rows: Sequence[Row], tokenizer: Tokenizer, settings: TokenizeSettings
) -> Iterator[Rendered]:
    """Yield every trajectory whole, however long."""
    for row in rows:
        yield Rendered((_document(row, tokenizer, settings),))


def _document(row: Row, tokenizer: Tokenizer, settings: TokenizeSettings) -> Document:
    ids, loss = [tokenizer.special("bos")], [0]
    for number, turn in enumerate(row["turns"]):
        body, agent = turn["text"], turn["source"] == "agent"
        if settings.observation_tokens and not agent:
            body = truncate(body, tokenizer, settings.observation_tokens)
        header, content = encode_message(Message(turn["role"], body), tokenizer)
        seen = agent or not is_masked(row["key"], number, settings)
        ids += header + content
        loss += [0] * len(header) + [weigh(1.0) if seen else 0] * len(content)
    return Document([*ids, tokenizer.special("eos")], [*loss, weigh(1.0)])
