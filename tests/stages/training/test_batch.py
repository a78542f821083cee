"""Batches: labels are the next tokens of the same document, weighted as the token file says."""

import numpy as np
import pytest
import torch

from stages.training.batch import IGNORED, build_batch, weight_of
from stages.training.packing import Row
from stages.training.token_file import TokenFile, TokenIdError, TokenWriter

CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path):
    writer = TokenWriter(tmp_path)
    writer.add([1, 2, 3, 4], [255, 255, 0, 51], "a")
    writer.add([5, 6], [255, 255], "b")
    writer.close({"vocab_size": 7})
    return [TokenFile(tmp_path)]


def test_labels_weights_and_packing(files):
    # the first piece ends inside its document, the second is a whole one
    rows = [Row((0, 0), (0, 4), (3, 6), (4, 6))]
    batch = build_batch(rows, files, CPU)
    assert batch.ids.tolist() == [1, 2, 3, 5, 6]
    assert batch.labels.tolist() == [2, IGNORED, 4, 6, IGNORED]
    assert torch.allclose(batch.weights, torch.tensor([1.0, 0.0, 0.2, 1.0, 0.0]))
    assert batch.packing.lengths == (3, 2)
    assert batch.packing.reach is None
    assert abs(weight_of(rows, files) - float(batch.weights.sum())) < 1e-6


def test_rows_follow_one_another_with_their_reach(files):
    rows = [Row((0,), (4,), (6,), (6,), reach=2), Row((0,), (0,), (4,), (4,), reach=2)]
    batch = build_batch(rows, files, CPU)
    assert batch.ids.tolist() == [5, 6, 1, 2, 3, 4]
    assert batch.labels.tolist() == [6, IGNORED, 2, IGNORED, 4, IGNORED]
    assert batch.packing.lengths == (2, 4)
    assert batch.packing.reach == 2


@pytest.mark.parametrize("end", [6, 5], ids=["an id", "a label"])
def test_a_token_beyond_the_vocabulary_names_its_document(files, end):
    tokens = np.memmap(files[0].folder / "tokens.bin", dtype="<u4", mode="r+")
    tokens[5] = 900
    tokens.flush()
    with pytest.raises(TokenIdError, match="document 'b' holds token id 900 in a vocabulary of 7"):
        build_batch([Row((0, 0), (0, 4), (4, end), (4, 6))], files, CPU)
