import pytest

from cluster.dag.stage import StepContext
from stages.rl.run import make_job
from stages.rl.settings import RLPlacement, RLSettings, TaskShare
from tests.stages.rl import sanity

SETTINGS = {
    "mix": (TaskShare(kind="output", share=1.0),),
    "max_length": 16,
    "max_answer_tokens": 8,
    "samples_per_prompt": 16,
    "prompts_per_request": 16,
    "batch_tokens": 1200,
    "max_requests_per_batch": 4,
    "learning_rate": 1e-3,
    "validation_prompts": 20,
    "max_staleness": 0,
    "swap_every": 0,
}


@pytest.fixture(scope="session")
def warm(tmp_path_factory):
    """A checkpoint that obeys the sanity rule one time in nine."""
    return sanity.warm_start(tmp_path_factory.mktemp("warm"))


@pytest.fixture
def sanity_job(tmp_path, warm):
    """Make a job on the sanity rule; keyword arguments change settings, placement or domain."""

    def make(name="run", domain="tests.stages.rl.sanity:domain", placement=None, **settings):
        context = StepContext(
            step="rl",
            settings=RLSettings(**SETTINGS | settings),
            placement=RLPlacement(**{"workers": 0} | (placement or {})),
            inputs={},
            output=tmp_path / name / "output",
            scratch=tmp_path / name / "scratch",
        )
        context.output.mkdir(parents=True, exist_ok=True)
        return make_job(context, warm, tmp_path, sanity.PROMPTS, domain)

    return make
