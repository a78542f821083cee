"""Samples beside the truth, and which documents they are of."""

from model.frames import Frame, Trace
from model.tokens import Tokenizer
from model.trace import encode, mark_line
from stages.training.samples import compared, traces
from stages.training.token_file import TokenFile, TokenWriter

SOURCE = "def f(a):\n    return a + 1\n"


def trace_of(number):
    return Trace(
        mark_line(SOURCE, 1),
        (
            Frame("call", "def f(a):\n", (("a", str(number)),)),
            Frame("line", "    return a + 1\n", (("a", str(number)),)),
            Frame("return", "    return a + 1\n", value=str(number + 1)),
        ),
    )


def write_traces(folder, tokenizer_folder, name="traces"):
    """Write a token file of some code and eight traces."""
    tokenizer = Tokenizer.load(tokenizer_folder)
    writer = TokenWriter(folder)
    code = tokenizer.encode(SOURCE)
    writer.add(code, [255] * len(code), f"{name}-code")
    for number in range(8):
        ids, _ = encode(trace_of(number), tokenizer)
        # short enough for the tests' context of 64
        writer.add(ids, [255] * len(ids), f"{name}-{number}")
    writer.close({"rendering": "traces", "vocab_size": tokenizer.vocab_size, "bytes": 0})
    return TokenFile(folder)


def test_documents_with_a_trace_that_is_short_enough(tmp_path, tokenizer_folder):
    tokenizer = Tokenizer.load(tokenizer_folder)
    file = write_traces(tmp_path / "file", tokenizer_folder)
    assert traces(file, tokenizer, 1000, 3) == [1, 2, 3]
    assert traces(file, tokenizer, 1000, 99) == list(range(1, 9))
    assert traces(file, tokenizer, 10, 3) == []


def test_a_right_frame_is_a_line_and_a_wrong_one_a_difference(tokenizer_folder):
    tokenizer = Tokenizer.load(tokenizer_folder)
    ids, _ = encode(trace_of(4), tokenizer)
    predicted = [*ids[1:], 0]
    text = compared(ids, predicted, tokenizer)
    assert "Given the true history, 100% of the tokens are right" in text
    assert "  <|return_sep|>" in text
    assert "def f(a):  # << START_OF_TRACE" in text
    assert "\n+ " not in text and "\n- " not in text
    wrong = [token for token in tokenizer.encode("9") if token not in tokenizer.encode("5")]
    at = max(i for i, token in enumerate(ids) if token == tokenizer.special("arg_sep"))
    predicted[at + 1] = wrong[-1]  # within the value "5"
    text = compared(ids, predicted, tokenizer)
    removed, added = (
        next(line for line in text.splitlines() if line.startswith(sign)) for sign in "-+"
    )
    assert removed.startswith("- <|return_sep|>") and '"5"' in removed
    assert added.startswith("+ <|return_sep|>") and "9" in added
    assert "100%" not in text


def test_a_document_without_frames(tokenizer_folder):
    tokenizer = Tokenizer.load(tokenizer_folder)
    ids = tokenizer.encode(SOURCE)
    assert "0%" in compared(ids, ids, tokenizer)
