"""Small token files for the training tests."""

import numpy as np
import pytest

from cluster.dag.stage import Input, StepContext
from model.tokens import Tokenizer, train_tokenizer
from stages.training.job import Job
from stages.training.run import model_config
from stages.training.schedule import CosineSchedule
from stages.training.settings import ModelSettings, ScheduleSettings, TrainingPlacement
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


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(iter(["def f(a):\n    return a + 1\n"] * 4), 300, "json_digits").save(folder)
    return folder


MODEL = ModelSettings(
    hidden_size=32, intermediate_size=64, layers=2, heads=2, kv_heads=1, head_dim=16, vocab_size=556
)
TINY_SCHEDULE = ScheduleSettings(peak_learning_rate=1e-2, warmup_steps=3, horizon_tokens=10_000)
SMALL = {"model": MODEL, "context_length": 64, "row_tokens": 64, "seed": 3}


@pytest.fixture
def context(tmp_path, tokenizer_folder, write_tokens):
    """Return a function that makes a step's context over two small data sets."""

    def make(settings, placement=None, name="step", **inputs):
        folders = {"tokenizer": tokenizer_folder}
        for number, entry in enumerate(settings.mix):
            vocab = Tokenizer.load(tokenizer_folder).vocab_size
            folder = write_tokens(entry.dataset, [5 + i % 90 for i in range(300)], vocab, number)
            held = write_tokens(f"{entry.dataset}/heldout", range(5, 60), vocab, 100 + number)
            assert held.folder.parent == folder.folder
            folders[entry.dataset] = folder.folder
        output = tmp_path / name
        output.mkdir()
        return StepContext(
            step="pretrain",
            settings=settings,
            placement=placement or TrainingPlacement(workers=0, log_every=5),
            inputs={
                name: Input(path=path, kind="", digest="")
                for name, path in {**folders, **inputs}.items()
            },
            output=output,
            scratch=tmp_path / f"{name}-scratch",
        )

    return make


@pytest.fixture
def job(tmp_path, tokenizer_folder, write_tokens):
    """Return a function that makes a job over two small data sets."""
    vocab = Tokenizer.load(tokenizer_folder).vocab_size
    made = []

    def make(settings, **placement):
        tokens = {
            entry.dataset: write_tokens(
                entry.dataset, [5 + i % 90 for i in range(300)], vocab, i
            ).folder
            for i, entry in enumerate(settings.mix)
        }
        folder = tmp_path / f"job{len(made)}"
        (folder / "scratch").mkdir(parents=True)
        made.append(folder)
        return Job(
            name="test",
            config=model_config(
                MODEL, context_length=64, tokenizer=Tokenizer.load(tokenizer_folder)
            ),
            settings=settings,
            placement=TrainingPlacement(**{"workers": 0, "log_every": 1, **placement}),
            schedule=CosineSchedule(settings.schedule, settings.tokens_per_step),
            tokens=tokens,
            tokenizer=tokenizer_folder,
            output=folder,
            scratch=folder / "scratch",
            metrics_file=folder / "metrics.jsonl",
        )

    return make
