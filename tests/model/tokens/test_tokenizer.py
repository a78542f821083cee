"""Text to ids and back, whatever the text; special tokens only by name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.tokens import (
    ALIASES,
    DEBUGGER,
    MAX_CHARACTERS,
    RESERVED,
    SPECIALS,
    Special,
    Tokenizer,
    TokenizerFileError,
    UnknownSpecialError,
    piece_text,
    special_text,
    train_tokenizer,
)

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


@settings(max_examples=200, deadline=None)
@given(
    text=ANY_TEXT | st.sampled_from(["\0", "\r\n\r\n", "\ufeffx", "é\u0301", "  \t \n", "\ud800"])
)
def test_any_text_survives_the_round_trip(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(i < tokenizer.regular_size for i in ids)


@pytest.mark.parametrize("name", SPECIALS)
def test_a_special_tokens_name_in_text_stays_text(tokenizer, name):
    text = f'x = "<|{name}|>"'
    ids = tokenizer.encode(text)
    assert max(ids) < tokenizer.regular_size
    assert tokenizer.decode(ids) == text
    assert tokenizer.special(name) not in tokenizer.encode_pieces([text])
    assert tokenizer.encode_pieces([Special(name)]) == [tokenizer.special(name)]


def test_specials_have_cwms_offsets_and_names(tokenizer):
    size = tokenizer.regular_size
    assert tokenizer.vocab_size == size + RESERVED
    assert tokenizer.special("frame_sep") == size + 100
    assert tokenizer.special("bos") == size
    assert tokenizer.special("eot") == tokenizer.special("eot_id") == size + 9
    assert tokenizer.stop_ids == (size + 8, size + 9, size + 1)
    assert tokenizer.backend.id_to_token(size + 2) == "<|reserved_special_token_2|>"
    assert special_text(107) == "<|trace_context_start|>"
    assert len({special_text(i) for i in range(RESERVED)}) == RESERVED
    with pytest.raises(UnknownSpecialError, match=r"frame_seps.*known: bos"):
        tokenizer.special("frame_seps")


def test_the_debuggers_names_are_for_ids_that_cwm_leaves_unnamed(tokenizer):
    assert not set(DEBUGGER.values()) & set(SPECIALS.values())
    assert not DEBUGGER.keys() & (SPECIALS.keys() | ALIASES.keys())
    assert len(set(DEBUGGER.values())) == len(DEBUGGER)
    (token,) = tokenizer.encode_pieces([Special("step_into")])
    assert token == tokenizer.regular_size + 200
    assert tokenizer.backend.id_to_token(token) == "<|reserved_special_token_200|>"
    assert [piece_text(p) for p in ("a", Special("step_into"), Special("eos"))] == [
        "a", "<|step_into|>", "<|end_of_text|>"
    ]  # fmt: skip


def test_decode_shows_or_skips_specials_and_replaces_broken_bytes(tokenizer):
    ids = tokenizer.encode_pieces([Special("bos"), "a", Special("eot")])
    assert tokenizer.decode(ids) == "<|begin_of_text|>a<|eot_id|>"
    assert tokenizer.decode(ids, skip_specials=True) == "a"
    half = [i for i in range(tokenizer.regular_size) if tokenizer.token_bytes(i) == b"\xf0"]
    assert tokenizer.decode([*half, *tokenizer.encode("a")]) == "\ufffda"
    for outside in (tokenizer.vocab_size, -1):
        assert tokenizer.decode([outside, *tokenizer.encode("a")]) == "\ufffda"
        with pytest.raises(IndexError, match="outside the vocabulary"):
            tokenizer.token_bytes(outside)


def test_long_texts_are_cut_into_pieces(tokenizer):
    text = "ab " * (MAX_CHARACTERS // 2)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    pieces = [text[i : i + MAX_CHARACTERS] for i in range(0, len(text), MAX_CHARACTERS)]
    assert ids == [i for piece in pieces for i in tokenizer.encode(piece)]


def test_json_digits_makes_an_unchanged_variable_two_tokens(tokenizer):
    found = [tokenizer.token_bytes(i) for i in tokenizer.encode('{"a": "..", "b": ".."}')]
    assert found == [b'{"', b"a", b'": "..", "', b"b", b'": ".."}']


def test_digits_stand_alone_or_in_threes():
    text = "12345 " * 50
    single = train_tokenizer(iter([text]), 400, "json_digits")
    threes = train_tokenizer(iter([text]), 400, "llama3")
    assert [single.token_bytes(i) for i in single.encode("12345")] == [b"1", b"2", b"3", b"4", b"5"]
    assert [threes.token_bytes(i) for i in threes.encode("12345")] == [b"123", b"45"]
    with pytest.raises(ValueError, match=r"json_digits.*llama3"):
        train_tokenizer(iter([text]), 400, "words")


def test_training_is_deterministic():
    texts = [f"def f{n}(a): return a + {n}\n" * 3 for n in range(300)]
    first, second = (train_tokenizer(iter(texts), 500, "json_digits") for _ in range(2))
    assert first.backend.to_str() == second.backend.to_str()


def test_a_saved_tokenizer_is_the_same(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    assert loaded.backend.to_str() == tokenizer.backend.to_str()
    assert loaded.encode("<|frame_sep|>") == tokenizer.encode("<|frame_sep|>")


def test_what_is_no_tokenizer_is_refused(tokenizer, tmp_path):
    with pytest.raises(TokenizerFileError, match=r"no tokenizer\.json and no tokenizer\.model"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text(tokenizer.backend.to_str()[:500])
    with pytest.raises(TokenizerFileError, match=r"tokenizer\.json is not a tokenizer's"):
        Tokenizer.load(tmp_path)
    other = tokenizer.backend.to_str().replace("<|frame_sep|>", "<|frame|>")
    (tmp_path / "tokenizer.json").write_text(other)
    with pytest.raises(TokenizerFileError, match=r"id of <\|frame_sep\|> is None; CWM's is"):
        Tokenizer.load(tmp_path)


def test_a_long_text_full_of_surrogates_survives(tokenizer):
    text = "a\ud800" * 50_000 + "b" * MAX_CHARACTERS
    assert tokenizer.decode(tokenizer.encode(text)) == text
