"""What `benchmarks.measure.extra_memory` runs in a process of its own, with a larger model."""

from dataclasses import replace

import torch

from model import CWM
from model.checkpoint import load_pretrained, save_pretrained, tensor_shapes
from model.meta_layout import convert
from tests.model.tiny import CONFIG

LARGE = replace(CONFIG, vocab_size=8_000, hidden_size=512, intermediate_size=4096)
"""152 MB, of which the embedding has 16."""


def tensors():
    """All tensors of a `LARGE` model, in memory."""
    return [(name, torch.ones(shape)) for name, shape in tensor_shapes(LARGE).items()]


def save(directory, **options):
    """Write a `LARGE` model and return its bytes."""
    made = tensors()
    save_pretrained((LARGE, made), directory, **options)
    return sum(tensor.nbytes for _, tensor in made)


def loading(directory):
    with torch.device("meta"):
        CWM(CONFIG)  # what is loaded at first use is not counted
    yield
    model = load_pretrained(directory)
    assert model.config == LARGE


def saving(directory):
    made = tensors()
    yield
    save_pretrained((LARGE, made), directory)


def converting(source, between, target):
    yield
    convert(source, between)
    convert(between, target)
