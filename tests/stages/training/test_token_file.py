"""Token files: what is written is read back, and torn or wrong files are refused."""

import numpy as np
import pytest

from stages.training.token_file import TokenFile, TokenFileError, TokenWriter


def test_round_trip(tmp_path):
    writer = TokenWriter(tmp_path)
    writer.add([1, 2, 70_000], [0, 26, 255], "a")
    writer.add(np.array([5]), [255], "b")
    writer.close({"rendering": "code", "vocab_size": 70_001, "bytes": 9})
    file = TokenFile(tmp_path)
    assert [(i.tolist(), w.tolist()) for i, w in file] == [
        ([1, 2, 70_000], [0, 26, 255]),
        ([5], [255]),
    ]
    assert file.keys == ["a", "b"]
    assert file.lengths.tolist() == [3, 1]
    assert file.meta["documents"] == 2


def test_empty_file(tmp_path):
    TokenWriter(tmp_path).close({"vocab_size": 1})
    assert len(TokenFile(tmp_path)) == 0


@pytest.mark.parametrize(
    ("ids", "loss", "key"), [([1], [1, 2], "a"), ([], [], "a"), ([-1], [1], "a"), ([1], [1], "\n")]
)
def test_bad_documents_are_refused(tmp_path, ids, loss, key):
    with pytest.raises(TokenFileError):
        TokenWriter(tmp_path).add(ids, loss, key)


def test_token_outside_the_vocabulary_is_refused(tmp_path):
    writer = TokenWriter(tmp_path)
    writer.add([9], [255], "a")
    with pytest.raises(TokenFileError, match="token id 9 in a vocabulary of 9"):
        writer.close({"vocab_size": 9})


def test_torn_file_is_refused(tmp_path):
    writer = TokenWriter(tmp_path)
    writer.add([1, 2], [255, 255], "a")
    writer.close({"vocab_size": 3})
    (tmp_path / "loss.bin").write_bytes(b"\xff")
    with pytest.raises(TokenFileError, match="torn"):
        TokenFile(tmp_path)
