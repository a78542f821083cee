"""Batches: labels are the next tokens of the same document, weighted as the token file says."""

import torch

from stages.training.batch import IGNORED, build_batch, weight_of
from stages.training.packing import Row
from stages.training.token_file import TokenFile, TokenWriter


def test_labels_weights_and_packing(tmp_path):
    writer = TokenWriter(tmp_path)
    writer.add([1, 2, 3, 4], [255, 255, 0, 51], "a")
    writer.add([5, 6], [255, 255], "b")
    writer.close({"vocab_size": 7})
    files = [TokenFile(tmp_path)]
    # the first piece ends inside its document, the second is a whole one
    rows = [Row((0, 0), (0, 4), (3, 6), (4, 6))]
    batch = build_batch(rows, files, torch.device("cpu"))
    assert batch.ids.tolist() == [1, 2, 3, 5, 6]
    assert batch.labels.tolist() == [2, IGNORED, 4, 6, IGNORED]
    assert torch.allclose(batch.weights, torch.tensor([1.0, 0.0, 0.2, 1.0, 0.0]))
    assert batch.packing.lengths == (3, 2)
    assert abs(weight_of(rows, files) - float(batch.weights.sum())) < 1e-6
