"""Tasks as chats: the prompt, then the answer to give; the loss sees the answer only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.chat import encode_chat
from model.tokens import Tokenizer
from stages.tasks.task import answer_message, prompt_messages
from stages.tokenize.document import Document, Rendered, Row, weigh
from stages.tokenize.settings import TokenizeSettings


def render_chats(
    rows: Sequence[Row], tokenizer: Tokenizer, settings: TokenizeSettings
) -> Iterator[Rendered]:
    """Yield one chat for every task (``row["task"]``); one that is too long is dropped."""
    for row in rows:
        task = row["task"]
        chat = [*prompt_messages(task), answer_message(task)]
        ids, written = encode_chat(chat, tokenizer)
        ids.append(tokenizer.special("eos"))
        if len(ids) > settings.max_tokens:
            yield Rendered(dropped="too-long")
            continue
        loss = [weigh(float(w)) for w in written] + [0]
        yield Rendered((Document(ids, loss),))
