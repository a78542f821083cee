"""Small token files for the training tests."""

import numpy as np
import pytest

from stages.training.token_file import TokenFile, TokenWriter


@pytest.fixture
def write_tokens(tmp_path):
    """Return a function that writes a token file of documents with these lengths."""

    def write(name, lengths, vocab_size=64, seed=0):
        random = np.random.default_rng(seed)
        writer = TokenWriter(tmp_path / name)
        for number, length in enumerate(lengths):
            # counting sequences: something to learn
            start = int(random.integers(vocab_size))
            ids = [(start + i) % vocab_size for i in range(length)]
            writer.add(ids, [0] + [255] * (length - 1), f"{name}{number}")
        writer.close({"rendering": "test", "vocab_size": vocab_size, "bytes": 0})
        return TokenFile(tmp_path / name)

    return write
