"""A small checkpoint from elsewhere: the shape of the preset smoke, random weights, three files."""

import pytest
import torch

from cluster.dag.stage import StepContext
from model.checkpoint import save_pretrained
from model.tokens import Tokenizer, train_tokenizer
from model.transformer import CWM
from pipelines.presets import smoke
from stages.imported import CHECKPOINT_STAGE, TOKENIZER_STAGE
from stages.imported.folder import snapshot, tokenizer_snapshot
from stages.imported.settings import ImportPlacement
from stages.training.run import model_config

CARD = "---\nlicense: other\nlicense_name: cwm-license\n---\n# A model\n"


@pytest.fixture(scope="session")
def external(tmp_path_factory):
    """A checkpoint as transformers would have written it; nobody may change it."""
    folder = tmp_path_factory.mktemp("models") / "external"
    tokenizer_folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(iter(["def f(a):\n    return a + 1\n"] * 4), 300, "json_digits").save(
        tokenizer_folder
    )
    tokenizer = Tokenizer.load(tokenizer_folder)
    model = next(s for s in smoke().steps if s.name == "pretrain").settings.model
    torch.manual_seed(0)
    made = CWM(model_config(model, context_length=256, tokenizer=tokenizer)).to(torch.bfloat16)
    save_pretrained(made, folder, tokenizer_folder, max_shard_bytes=60_000)
    (folder / "README.md").write_text(CARD)
    return folder


@pytest.fixture
def copied(external, tmp_path):
    """A copy of it that a test may damage."""
    folder = tmp_path / "copied"
    folder.mkdir()
    for file in external.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture
def importing(tmp_path):
    """Return a function (folder, settings) that makes the step's context."""

    def make(folder, settings):
        placement = ImportPlacement(folder=str(folder))
        tokenizer = isinstance(settings, TOKENIZER_STAGE.settings)
        stage = TOKENIZER_STAGE if tokenizer else CHECKPOINT_STAGE
        output = tmp_path / stage.name
        output.mkdir()
        (tmp_path / "scratch").mkdir(exist_ok=True)
        return StepContext(
            step="pretrain",
            settings=settings,
            placement=placement,
            inputs={},
            output=output,
            scratch=tmp_path / "scratch",
            snapshot=(tokenizer_snapshot if tokenizer else snapshot)(settings, placement),
        )

    return make
