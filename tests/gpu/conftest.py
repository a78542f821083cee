"""The device of these tests: CUDA's, unless CWM_TEST_DEVICE names another (cpu: to check the tests
themselves)."""

import os

import pytest
import torch


@pytest.fixture
def device():
    return torch.device(os.environ.get("CWM_TEST_DEVICE", "cuda"))


@pytest.fixture(autouse=True)
def products_in_full_float32():
    torch.set_float32_matmul_precision("highest")
