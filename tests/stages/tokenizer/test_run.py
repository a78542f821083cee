"""The tokenizer stage on a small corpus."""

import inspect

import pytest

from cluster.dag.metrics import read_statistics
from cluster.dag.stage import Input, StepContext
from model import chat, frames
from model.tokens import Tokenizer, bpe, tokenizer
from model.trace import grammar, parser
from stages.kind_checks import check_tokenizer, digest_tokenizer
from stages.tokenizer.run import EmptyCorpusError, RoundTripError, measure_code, run
from stages.tokenizer.settings import TokenizerSettings
from tests.stages.rows import program_row, write_corpus, write_traces

CODE = [inspect.getsource(m) for m in (frames, grammar, parser, tokenizer, bpe, chat)]


@pytest.fixture
def step(tmp_path):
    """Return a function (documents, **settings) that runs the stage and returns its output."""

    def make(documents, name="out", heldout=CODE[3:], **settings):
        corpus = write_corpus(tmp_path / name / "corpus", documents, heldout)
        rows = [program_row(a, a + 2) for a in range(8)]
        traces = write_traces(tmp_path / name / "traces", rows[:6], rows[6:])
        output = tmp_path / name / "tokenizer"
        output.mkdir()
        inputs = {
            "corpus": Input(path=corpus, kind="corpus", digest=""),
            "traces": Input(path=traces, kind="traces", digest=""),
        }
        context = StepContext(
            step="tokenizer",
            settings=TokenizerSettings(vocab_size=400, **settings),
            placement=None,
            inputs=inputs,
            output=output,
            scratch=tmp_path,
        )
        run(context)
        return context

    return make


def test_the_stage_trains_a_tokenizer_and_measures_it(step):
    context = step(CODE[:3])
    check_tokenizer(context.output)
    tokenizer = Tokenizer.load(context.output)
    found = read_statistics(context.statistics_file)
    assert tokenizer.regular_size == found["regular_tokens"] == 400
    assert found["vocab_size"] == 656
    assert found["code.bytes_per_token"] > 1.5
    assert 5 < found["traces.tokens_per_frame"] < 60
    assert found["traces.measured_frames"] == 28
    assert found["sample.traces"] == 6


def test_the_order_of_rows_does_not_change_the_tokenizer(step):
    first, second = step(CODE[:3], "one"), step(CODE[2::-1], "two")
    assert digest_tokenizer(first.output) == digest_tokenizer(second.output)


def test_heldout_text_is_not_trained_on(step):
    first, second = step(CODE[:2], "one"), step(CODE[:2], "two", heldout=["x = 1\n"])
    assert digest_tokenizer(first.output) == digest_tokenizer(second.output)
    assert read_statistics(second.statistics_file)["code.measured_bytes"] == 6


def test_an_empty_corpus_is_a_named_error(step):
    with pytest.raises(EmptyCorpusError, match="no documents"):
        step([])


def test_a_lossy_tokenizer_is_refused(step):
    class Lossy:
        def encode(self, text):
            return [0]

        def decode(self, ids):
            return "?"

    with pytest.raises(RoundTripError, match="def f"):
        measure_code(["def f(): pass"], Lossy())


@pytest.mark.parametrize(
    "wrong", [{"vocab_size": 255}, {"sample_bytes": 0}, {"trace_sample_bytes": -1}]
)
def test_settings_out_of_range_name_the_field(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TokenizerSettings(**wrong)
