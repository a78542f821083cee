"""Meta's ``tokenizer.model``: the same ids as merging by rank, and clear errors."""

import base64
from itertools import pairwise

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from model.tokens import RESERVED, Tokenizer, TokenizerFileError, train_tokenizer
from model.tokens.bpe import LLAMA3_REGEX


def write(folder, tokens):
    """Write ``tokens`` as a ``tokenizer.model`` in the order of their ranks."""
    lines = [base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens)]
    (folder / "tokenizer.model").write_bytes(b"".join(lines))


def by_rank(text, ranks):
    """Encode as tiktoken does, slowly: split, then merge the pair of the lowest rank."""
    ids = []
    for word in regex.findall(LLAMA3_REGEX, text):
        parts = [bytes([byte]) for byte in word.encode()]
        if word.encode() in ranks:
            parts = [word.encode()]
        while len(parts) > 1:
            joined = [ranks.get(a + b, len(ranks)) for a, b in pairwise(parts)]
            at = joined.index(min(joined))
            if joined[at] == len(ranks):
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        ids += [ranks[part] for part in parts]
    return ids


@pytest.fixture(scope="module")
def trained():
    """The tokens of a trained BPE, by id."""
    words = [
        f"def value_{n}(items): return {n * 37} + items[{n}]  # größer é 日本\n" for n in range(300)
    ]
    found = train_tokenizer(iter([*words, " " * 60, "=" * 40, "\n\n\n\n" * 9]), 700, "llama3")
    return [found.token_bytes(i) for i in range(found.regular_size)]


@pytest.fixture(scope="module")
def loaded(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama3")
    write(folder, trained)
    return Tokenizer.load(folder)


SOME_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
LIKE_CODE = st.lists(
    st.sampled_from(
        ["def", " value", "_", "1", "23", "4567890", " " * 7, "=" * 9, "\n", "é", "日", "'s"]
    ),
    max_size=20,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(text=SOME_TEXT | LIKE_CODE)
def test_ids_are_those_of_merging_by_rank(loaded, trained, text):
    ids = loaded.encode(text)
    assert ids == by_rank(text, {token: rank for rank, token in enumerate(trained)})
    assert loaded.decode(ids) == text


@settings(max_examples=200, deadline=None)
@given(
    tokens=st.lists(st.text("ab", min_size=2, max_size=6), unique=True, max_size=14),
    texts=st.lists(st.text("ab", max_size=24), min_size=1, max_size=4),
)
def test_any_table_of_ranks_is_followed(tmp_path_factory, tokens, texts):
    """Also tables that no training makes: words that no merge leads to, several splits of one."""
    table = [bytes([byte]) for byte in range(256)] + [token.encode() for token in tokens]
    folder = tmp_path_factory.mktemp("ranks")
    write(folder, table)
    found, ranks = Tokenizer.load(folder), {token: rank for rank, token in enumerate(table)}
    assert [found.encode(text) for text in texts] == [by_rank(text, ranks) for text in texts]


def test_long_runs_and_digits_in_threes(loaded, trained):
    ranks = {token: rank for rank, token in enumerate(trained)}
    for text in (" " * 5000, "=" * 3001, "1234567890" * 50, "日" * 999, "\n" * 4000):
        assert loaded.encode(text) == by_rank(text, ranks)
    assert [loaded.token_bytes(i) for i in loaded.encode("0001117")][-1] == b"7"


def test_the_reserved_ids_follow_the_ranks(loaded, trained, tmp_path):
    assert loaded.vocab_size == len(trained) + RESERVED
    assert loaded.special("frame_sep") == len(trained) + 100
    assert max(loaded.encode("<|frame_sep|>")) < len(trained)
    loaded.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert again.backend.to_str() == loaded.backend.to_str()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"Zm9v", "line 258: has 1 fields"),
        (b"Zm9v 257 9", "line 258: has 3 fields"),
        (b"Zm9 257", "line 258: the token is not base64"),
        (b"Z*9v 257", "line 258: the token is not base64"),
        (b"==== 257", "line 258: the token is"),
        (b"Zm9v x", "line 258: the rank is x"),
        (b"Zm9v 258", "line 258: the rank is 258"),
        (b"Zm9v \xff", "line 258: the rank is"),
        (b"YWI= 257", "line 258: repeats the token of rank 256"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, reason):
    write(tmp_path, [*(bytes([byte]) for byte in range(256)), b"ab"])
    with (tmp_path / "tokenizer.model").open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(TokenizerFileError, match=rf"tokenizer\.model, {reason}.*the rank 257"):
        Tokenizer.load(tmp_path)


def test_a_truncated_file_is_refused(tmp_path):
    write(tmp_path, [bytes([byte]) for byte in range(200)])
    with pytest.raises(TokenizerFileError, match=r"no token for 56 .* first 0xc8"):
        Tokenizer.load(tmp_path)
