"""One small tokenizer for the tests of the model's language."""

import inspect
import json

import pytest

import model.chat
import model.tokens
import model.trace
from model.tokens import train_tokenizer


@pytest.fixture(scope="session")
def tokenizer():
    code = [inspect.getsource(module) for module in (model.chat, model.tokens, model.trace)]
    shown = [json.dumps({"a": str(n), "b": "..", "c": ".."}) for n in range(200)]
    return train_tokenizer(iter(code + shown), 600, "json_digits")
