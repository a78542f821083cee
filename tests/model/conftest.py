"""One small tokenizer for the tests of the model's language."""

import inspect
import json

import pytest

from model import chat, frames
from model.tokens import bpe, train_tokenizer
from model.tokens import tokenizer as tokens
from model.trace import grammar


@pytest.fixture(scope="session")
def tokenizer():
    code = [inspect.getsource(module) for module in (chat, tokens, bpe, frames, grammar)]
    shown = [json.dumps({"a": str(n), "b": "..", "c": ".."}) for n in range(200)]
    return train_tokenizer(iter(code + shown), 600, "json_digits")
