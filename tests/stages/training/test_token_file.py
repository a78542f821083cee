"""Token files: what is written is read back, and torn, damaged or wrong files are refused."""

import json

import numpy as np
import pytest

from stages.training.token_file import (
    CONTENT,
    TokenFile,
    TokenFileError,
    TokenIdError,
    TokenWriter,
)


def write(folder, documents=(([1, 2, 70_000], [0, 26, 255]), ([5], [255]))):
    writer = TokenWriter(folder)
    for number, (ids, loss) in enumerate(documents):
        writer.add(ids, loss, f"key{number}")
    writer.close({"rendering": "code", "vocab_size": 70_001, "bytes": 9})
    return folder


def test_round_trip(tmp_path):
    file = TokenFile(write(tmp_path))
    assert [(i.tolist(), w.tolist()) for i, w in file] == [
        ([1, 2, 70_000], [0, 26, 255]),
        ([5], [255]),
    ]
    assert file.keys == ["key0", "key1"]
    assert file.lengths.tolist() == [3, 1]
    assert file.meta["documents"] == 2
    assert [file.document_at(token) for token in range(4)] == [0, 0, 0, 1]
    file.verify()


def test_keys_may_hold_any_character_but_a_line_break(tmp_path):
    writer = TokenWriter(tmp_path)
    for key in ("a\rb", "", "µ\u2028"):
        writer.add(np.array([5]), [255], key)
    writer.close({"vocab_size": 6})
    assert TokenFile(tmp_path).keys == ["a\rb", "", "µ\u2028"]


def test_empty_file(tmp_path):
    TokenWriter(tmp_path).close({"vocab_size": 1})
    file = TokenFile(tmp_path)
    assert len(file) == 0
    file.verify()


def test_the_digest_is_the_contents(tmp_path):
    first, same = TokenFile(write(tmp_path / "a")), TokenFile(write(tmp_path / "b"))
    other = TokenFile(write(tmp_path / "c", [([1, 2, 70_000], [0, 26, 254]), ([5], [255])]))
    assert first.digest == same.digest != other.digest


@pytest.mark.parametrize(
    ("ids", "loss", "key"), [([1], [1, 2], "a"), ([], [], "a"), ([-1], [1], "a"), ([1], [1], "\n")]
)
def test_bad_documents_are_refused(tmp_path, ids, loss, key):
    with pytest.raises(TokenFileError):
        TokenWriter(tmp_path).add(ids, loss, key)


def test_token_outside_the_vocabulary_is_refused(tmp_path):
    writer = TokenWriter(tmp_path)
    writer.add([9], [255], "a")
    with pytest.raises(TokenIdError, match="token id 9 in a vocabulary of 9"):
        writer.close({"vocab_size": 9})
    with pytest.raises(TokenFileError, match=r"has no meta\.json"):
        TokenFile(tmp_path)


def test_half_written_is_no_token_file(tmp_path):
    write(tmp_path)
    TokenWriter(tmp_path).add([1], [255], "a")  # killed before it was closed
    with pytest.raises(TokenFileError, match=r"or writing it did not end"):
        TokenFile(tmp_path)


@pytest.mark.parametrize("name", CONTENT)
def test_torn_files_are_refused(tmp_path, name):
    file = write(tmp_path) / name
    whole = file.read_bytes()
    if name != "keys.txt":  # its length is not known: `verify` finds it
        for torn in (whole[:-1], whole[: len(whole) // 2], whole + whole[-8:]):
            file.write_bytes(torn)
            with pytest.raises(TokenFileError, match=r"torn|damaged"):
                TokenFile(tmp_path)
    file.unlink()
    with pytest.raises(TokenFileError, match=f"it has no {name}"):
        TokenFile(tmp_path)


@pytest.mark.parametrize("ends", [[3, 3, 4], [4, 4], [-1, 4], [3.0, 4.0]])
def test_wrong_ends(tmp_path, ends):
    np.save(write(tmp_path) / "ends.npy", np.array(ends))
    with pytest.raises(TokenFileError, match=r"ends\.npy is damaged"):
        TokenFile(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [("{", "is no JSON"), (json.dumps({"tokens": 1}), "lacks documents, sha256, vocab_size")],
)
def test_wrong_meta(tmp_path, change, message):
    (write(tmp_path) / "meta.json").write_text(change)
    with pytest.raises(TokenFileError, match=message):
        TokenFile(tmp_path)


@pytest.mark.parametrize("name", CONTENT)
def test_a_flipped_bit_is_found_by_verify(tmp_path, name):
    file = write(tmp_path) / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(TokenFileError, match=f"{name} is damaged"):
        TokenFile(tmp_path).verify()


def test_an_id_beyond_the_vocabulary_names_the_document(tmp_path):
    meta = write(tmp_path) / "meta.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "vocab_size": 5}))
    with pytest.raises(TokenIdError, match="'key0' holds token id 70000 in a vocabulary of 5"):
        TokenFile(tmp_path).verify()
    with pytest.raises(TokenIdError, match="'key1' holds token id 5 "):
        TokenFile(tmp_path).check_ids(3, 4)
