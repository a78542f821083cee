"""What `transformers` reads beside ``tokenizer.json``: names of specials and the chat template.

A saved tokenizer is a ``PreTrainedTokenizerFast`` for `transformers.AutoTokenizer`. Its chat
template writes the layout of `model.chat`; ``enable_thinking=True`` ends the generation prompt with
``<think>`` and a newline, as facebook/cwm's own template does. For plain bodies the ids are those
of `model.chat.encode_chat`. Two things differ, because `transformers` encodes a chat as one text:

* a special token's name in a body becomes that token, so bodies must come from a trusted source;
* a tool's result that starts with an empty line may share a token with the header's newlines.
"""

from __future__ import annotations

import json
from pathlib import Path

from model.tokens.specials import SPECIALS, special_text

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}{% set role = message['role'] %}"
    "{% if role == 'tool' %}{% set role = 'tool: ' + message['name'] %}{% endif %}"
    "{% if role not in ['system', 'user', 'assistant'] and not role.startswith('tool: ') %}"
    "{{ raise_exception('expected role system, user, assistant or tool, not ' + role) }}{% endif %}"
    "{{ '<|start_header_id|>' + role + '<|end_header_id|>\n\n' }}"
    "{% if role.startswith('tool: ') %}{{ message['content'] }}"
    "{% else %}{{ message['content'] | trim }}{% endif %}"
    "{{ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
    "{% if enable_thinking %}{{ '<think>\n' }}{% endif %}{% endif %}"
)


def write_config(folder: Path) -> None:
    """Write ``tokenizer_config.json`` and ``special_tokens_map.json`` into ``folder``."""
    names = {
        "bos_token": special_text(SPECIALS["begin_of_text"]),
        "eos_token": special_text(SPECIALS["end_of_text"]),
        "pad_token": special_text(SPECIALS["pad"]),
    }
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        "chat_template": CHAT_TEMPLATE,
        **names,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(names, indent=1) + "\n")
