"""A saved tokenizer in the hands of `transformers`."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import TemplateError
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from model.chat import Message, encode_chat
from model.tokens import Special, Tokenizer


@pytest.fixture(scope="module")
def theirs(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    tokenizer.save(folder)
    return AutoTokenizer.from_pretrained(folder)


def template(theirs, messages, **options):
    chat = [{"role": message.role, "content": message.body} for message in messages]
    return theirs.apply_chat_template(chat, tokenize=True, return_dict=False, **options)


def test_it_is_a_fast_tokenizer_with_our_ids(theirs, tokenizer):
    text = "def f(a):\n    return a + 12\n"
    assert isinstance(theirs, PreTrainedTokenizerFast)
    assert theirs(text)["input_ids"] == [tokenizer.special("bos"), *tokenizer.encode(text)]
    assert theirs.decode(tokenizer.encode(text)) == text
    assert len(theirs) == tokenizer.vocab_size
    assert theirs.convert_tokens_to_ids("<|frame_sep|>") == tokenizer.special("frame_sep")
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == tuple(
        tokenizer.special(name) for name in ("bos", "eos", "pad")
    )


def test_what_it_saves_again_loads_here(theirs, tokenizer, tmp_path):
    theirs.save_pretrained(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert again.encode("x = [1, 22]\n") == tokenizer.encode("x = [1, 22]\n")
    assert again.special("eot") == tokenizer.special("eot")


# A special token's name in a body is a known difference; so is a result that starts a new line.
BODIES = st.text(st.characters(codec="utf-8"), max_size=30).filter(lambda text: "<|" not in text)
RESULTS = BODIES.filter(lambda text: not re.match(r"\s*[\r\n]", text))
MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), BODIES)
    | st.builds(Message, st.just("tool: run_tests"), RESULTS),
    min_size=1,
    max_size=4,
)


@settings(max_examples=200, deadline=None)
@given(messages=MESSAGES, prefix=st.booleans(), reasoning=st.booleans())
def test_the_chat_template_writes_our_ids(theirs, tokenizer, messages, prefix, reasoning):
    found = template(theirs, messages, add_generation_prompt=prefix, enable_thinking=reasoning)
    ours, _ = encode_chat(messages, tokenizer, generation_prefix=prefix, reasoning=reasoning)
    assert found == ours


def test_a_tools_name_may_stand_apart(theirs):
    apart = [{"role": "tool", "name": "bash", "content": "ok"}]
    together = [{"role": "tool: bash", "content": "ok"}]
    found = [theirs.apply_chat_template(chat, return_dict=False) for chat in (apart, together)]
    assert found[0] == found[1]


def test_other_roles_are_refused(theirs):
    with pytest.raises(TemplateError, match="not bot"):
        theirs.apply_chat_template([{"role": "bot", "content": ""}])


def test_the_known_differences(theirs, tokenizer):
    """`transformers` encodes a chat as one text: it parses specials, and merges across bodies."""
    named = [Message("user", "<|eot_id|>")]
    assert template(theirs, named).count(tokenizer.special("eot")) == 2
    assert encode_chat(named, tokenizer)[0].count(tokenizer.special("eot")) == 1
    result = [Message("tool: bash", "\n\nout")]
    ours = encode_chat(result, tokenizer)[0]
    header = tokenizer.encode_pieces([Special("end_header_id"), "\n\n"])
    assert any(ours[i : i + len(header)] == header for i in range(len(ours)))
    assert theirs.decode(template(theirs, result)) == tokenizer.decode(ours)
