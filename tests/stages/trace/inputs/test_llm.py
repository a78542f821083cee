"""Inputs from a model: literal calls are kept, nothing is executed, nothing is asked twice."""

import hashlib
import re
import threading

import pytest

from stages.trace.inputs.endpoint import EndpointError
from stages.trace.inputs.llm import ask, question, read_answer, read_call
from stages.trace.inputs.llm_settings import PROMPT_VERSION, LLMEndpoint, LLMSettings
from tests.stages.trace.inputs.model_server import Reply, model_server

SETTINGS = LLMSettings(model="test-model", functions_per_request=2, inputs_per_function=3)
FUNCTIONS = {
    "math:gcd": "def gcd(a, b):\n    return a if not b else gcd(b, a % b)\n",
    "text:join": "def join(words, by=' '):\n    return by.join(words)\n",
    "text:first": "def first(xs):\n    return xs[0]\n",
}
CALLS = {
    "gcd": "gcd(4, 6)\ngcd(b=1, a=0)",
    "join": "join(['a', 'b'], by='-')",
    "first": "first([1])",
}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def where(server, **more):
    return LLMEndpoint(
        **{"base_url": server.url, "backoff_seconds": 0.01, "timeout_seconds": 5.0, "tries": 4}
        | more
    )


def well(asked):
    """Answer every function in the prompt."""
    prompt = asked.body["messages"][0]["content"]
    found = re.findall(r"^### (\d+)\ndef (\w+)\(", prompt, re.MULTILINE)
    return Reply("\n".join(f"### {number}\n{CALLS[name]}" for number, name in found))


def test_what_a_model_answers_well_is_kept(tmp_path):
    with model_server(well) as server:
        found = ask(FUNCTIONS, SETTINGS, where(server), tmp_path)
    assert found.inputs == {
        "math:gcd": ["4, 6", "b=1, a=0"],
        "text:join": ["['a', 'b'], by='-'"],
        "text:first": ["[1]"],
    }
    assert found.counts == {"asked": 3, "remembered": 0, "kept": 4, "nothing": 0}
    assert [each.path for each in server.asked] == ["/v1/chat/completions"] * 2
    body = server.asked[0].body
    assert body["model"] == "test-model" and body["max_tokens"] == SETTINGS.answer_tokens
    assert all("Authorization" not in each.headers for each in server.asked)


def test_nothing_is_asked_twice(tmp_path):
    with model_server(well) as server:
        first = ask(FUNCTIONS, SETTINGS, where(server), tmp_path)
        before = len(server.asked)
        again = ask(FUNCTIONS, SETTINGS, where(server), tmp_path)
        assert len(server.asked) == before
    assert again.inputs == first.inputs
    assert again.counts["remembered"] == 3 and again.counts["asked"] == 0
    gone = LLMEndpoint()  # what is remembered needs no endpoint
    assert ask(FUNCTIONS, SETTINGS, gone, tmp_path).inputs == first.inputs


def test_another_source_model_or_number_is_another_question(tmp_path):
    with model_server(well) as server:
        ask(FUNCTIONS, SETTINGS, where(server), tmp_path)
        other = FUNCTIONS | {"text:first": "def first(xs):\n    return xs[-1]\n"}
        assert ask(other, SETTINGS, where(server), tmp_path).counts["asked"] == 1
        for changed in ({"model": "other"}, {"inputs_per_function": 2}, {"temperature": 0.1}):
            settings = LLMSettings(**{"model": "test-model", "inputs_per_function": 3} | changed)
            assert ask(FUNCTIONS, settings, where(server), tmp_path).counts["asked"] == 3


def test_a_stage_that_was_ended_goes_on_where_it_was(tmp_path):
    """The endpoint fails at the second request; the third run asks for what is missing alone."""
    one = LLMSettings(model="test-model", functions_per_request=1)
    failing = lambda asked: well(asked) if asked.number < 2 else Reply(status=401)  # noqa: E731
    with model_server(failing) as server, pytest.raises(EndpointError):
        ask(FUNCTIONS, one, where(server, concurrency=1), tmp_path)
    with (tmp_path / "answers.jsonl").open("ab") as file:
        file.write(b'{"key": "torn by kil')
    with model_server(well) as server:
        found = ask(FUNCTIONS, one, where(server), tmp_path)
        assert len(server.asked) == 1
        assert ask(FUNCTIONS, one, where(server), tmp_path).inputs == found.inputs
        assert len(server.asked) == 1
    assert found.counts["remembered"] == 2 and all(found.inputs.values())


def test_what_is_under_way_when_another_request_fails_is_kept(tmp_path):
    refused = threading.Event()

    def answer(asked):
        if "def gcd" in asked.body["messages"][0]["content"]:
            refused.wait(20)
            return well(asked)
        refused.set()
        return Reply(status=401)

    one = LLMSettings(model="test-model", functions_per_request=1)
    with model_server(answer) as server:
        with pytest.raises(EndpointError, match="HTTP 401"):
            ask(FUNCTIONS, one, where(server, concurrency=2), tmp_path)
        assert len(server.asked) <= 3
    with model_server(well) as server:
        assert ask(FUNCTIONS, one, where(server), tmp_path).counts["remembered"] == 1


HOSTILE = """\
Sure! Here are the calls. gcd(1, 2)
### 1
gcd(__import__('os').system('touch /tmp/pwned'), 1)
gcd(1).__class__(2)
gcd(1)(2)
gcd(1), gcd(2)
gcd(*[1, 2])
gcd(**{'a': 1})
gcd(a := 1, 2)
gcd(9 ** 9 ** 9, 1)
gcd([x for x in range(9)], 1)
gcd(lambda: 0, 1)
gcd(f'{open("/etc/passwd").read()}', 1)
gcd({[]: 1}, 2)
gcd('\\x00', 1) or gcd(2, 3)
gcd(((((((((([[[[[[[[[[1]]]]]]]]]])))))))))), 1)
gcd(b=1, b=2)
os.system('true')
other(1, 2)
gcd(1, 2
gcd(1, 2)  # a comment)
gcd( 1,2 )
gcd(1, 2)
gcd(True, None)
```python
gcd(3, 4)
gcd(5, 6)
### 99
gcd(7, 8)
### 2
join(('a',), by = "it's")
"""


def test_hostile_and_sloppy_answers_are_read_as_literals_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.eval", pytest.fail)
    monkeypatch.setattr("builtins.exec", pytest.fail)
    found = read_answer(HOSTILE, list(FUNCTIONS)[:2], 3)
    assert found["math:gcd"]["inputs"] == ["1, 2", "True, None", "3, 4"]
    assert found["text:join"] == {"inputs": ["""('a',), by="it's\""""], "dropped": {}}
    dropped = found["math:gcd"]["dropped"]
    assert dropped.pop("repeated") == 2 and dropped.pop("too-many") == 1
    assert set(dropped) == {"not-a-call", "not-literal"} and sum(dropped.values()) == 19


@pytest.mark.parametrize("text", ["", "no", "{}", "\x00", "### 1", "###\n" * 50, "### 0\nf(1)"])
def test_junk_is_nothing(text):
    assert read_answer(text, ["m:f"], 3)["m:f"]["inputs"] == []


def test_thinking_aloud_is_passed_over():
    text = "<think>\n### 1\nf(1)\n</think>\n### 1\nf(2)\n"
    assert read_answer(text, ["m:f"], 3)["m:f"]["inputs"] == ["2"]


def test_lines_that_are_long_or_deep_are_dropped():
    for line in (
        "f('" + "a" * 500 + "')",
        "f(" + "[" * 180 + "]" * 180 + ")",
        "f(" + "-" * 300 + "1)",
    ):
        with pytest.raises(ValueError, match="not-"):
            read_call(line, "f")
    assert read_call("f()", "f") == ""


def test_what_comes_to_nothing_is_counted_and_not_asked_again(tmp_path):
    with model_server(lambda asked: Reply("I cannot do that.")) as server:
        for _ in range(2):
            found = ask(FUNCTIONS, SETTINGS, where(server), tmp_path)
            assert found.counts["nothing"] == 3 and not any(found.inputs.values())
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    "bad",
    [
        Reply(status=429, headers={"Retry-After": "0"}),
        Reply(status=503),
        Reply(raw=b"<html>starting</html>"),
        Reply(raw=b'{"choices": []}'),
        Reply(hang_up=True),
    ],
    ids=["429", "503", "html", "no-choice", "hang-up"],
)
def test_a_busy_endpoint_is_asked_again(tmp_path, bad):
    with model_server(lambda asked: bad if asked.number < 2 else well(asked)) as server:
        found = ask(FUNCTIONS, SETTINGS, where(server, concurrency=1), tmp_path)
        assert len(server.asked) == 4
    assert found.counts["kept"] == 4


def test_a_slow_answer_is_given_up_and_asked_again(tmp_path):
    slow = Reply("### 1", drops=0.05)
    with model_server(lambda asked: slow if asked.number == 0 else well(asked)) as server:
        patient = where(server, concurrency=1, timeout_seconds=0.3)
        assert ask(FUNCTIONS, SETTINGS, patient, tmp_path).counts["kept"] == 4
        assert len(server.asked) == 3


def test_a_server_that_never_answers_is_left_with_the_setting(tmp_path):
    ended = threading.Event()

    def silent(asked):
        ended.wait(30)
        return Reply()

    with model_server(silent) as server:
        with pytest.raises(EndpointError, match=r"llm\.base_url.*2 tries"):
            ask(FUNCTIONS, SETTINGS, where(server, tries=2, timeout_seconds=0.1), tmp_path)
        ended.set()


@pytest.mark.parametrize(
    ("status", "setting"),
    [
        (401, "llm.key_variable"),
        (404, "llm.base_url or llm.model"),
        (400, "llm.model"),
        (302, "url"),
    ],
)
def test_a_refusal_names_the_setting_and_is_not_repeated(tmp_path, status, setting):
    elsewhere = {"Location": "http://127.0.0.1:1/elsewhere"}
    refusal = Reply(status=status, headers=elsewhere, raw=b"no such thing")
    with model_server(lambda asked: refusal) as server:
        with pytest.raises(EndpointError, match=f"{setting}.*HTTP {status}"):
            ask(FUNCTIONS, SETTINGS, where(server, concurrency=1), tmp_path)
        assert len(server.asked) == 1


def test_an_endpoint_that_is_not_there_is_named(tmp_path):
    nobody = LLMEndpoint(base_url="http://127.0.0.1:9/v1", tries=2, backoff_seconds=0.01)
    with pytest.raises(EndpointError, match=r"127.0.0.1:9.*llm\.base_url.*refused"):
        ask(FUNCTIONS, SETTINGS, nobody, tmp_path)
    with pytest.raises(EndpointError, match=r"llm\.base_url is empty"):
        ask(FUNCTIONS, SETTINGS, LLMEndpoint(), tmp_path)


def test_the_key_is_sent_and_said_nowhere(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("TEST_MODEL_KEY", "very-secret\n")
    echo = Reply(status=403, raw=b"the key very-secret is not known here")
    with model_server(lambda asked: echo) as server:
        with pytest.raises(EndpointError) as refused:
            ask(FUNCTIONS, SETTINGS, where(server, key_variable="TEST_MODEL_KEY"), tmp_path)
        assert server.asked[0].headers["Authorization"] == "Bearer very-secret"
    assert "very-secret" not in str(refused.value) + caplog.text
    assert "llm.key_variable" in str(refused.value)
    for value in ("", "two\nlines"):
        monkeypatch.setenv("TEST_MODEL_KEY", value)
        with pytest.raises(EndpointError, match=r"llm\.key_variable=TEST_MODEL_KEY"):
            ask(FUNCTIONS, SETTINGS, where(server, key_variable="TEST_MODEL_KEY"), tmp_path)


def test_no_more_requests_are_under_way_than_allowed(tmp_path):
    under_way, most, lock = 0, 0, threading.Lock()
    meet = threading.Barrier(2, timeout=20)

    def counting(asked):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        meet.wait()  # only two at once come through
        with lock:
            under_way -= 1
        return well(asked)

    functions = {f"text{n}:first": FUNCTIONS["text:first"] + f"# {n}\n" for n in range(8)}
    one = LLMSettings(model="test-model", functions_per_request=1)
    with model_server(counting) as server:
        found = ask(functions, one, where(server, concurrency=2), tmp_path)
    assert len(server.asked) == 8 and most == 2 and found.counts["kept"] == 8


def test_the_prompt_changes_with_its_version_alone():
    """Whoever changes the text raises PROMPT_VERSION, and then this."""
    text = question({"m:f": "def f(a):\n    return a\n"}, LLMSettings(model="m"))
    assert PROMPT_VERSION == 1
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "caf2837470dad7c7"
    assert "write 8 calls" in text and text.rstrip().endswith("### 1\ndef f(a):\n    return a")


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        (LLMSettings, {"model": "m", "inputs_per_function": 0}),
        (LLMSettings, {"model": "m", "temperature": 3.0}),
        (LLMSettings, {"model": "m", "prompt_version": 0}),
        (LLMEndpoint, {"base_url": "file:///etc/passwd"}),
        (LLMEndpoint, {"key_variable": "sk-abc.def"}),
        (LLMEndpoint, {"tries": 0}),
    ],
)
def test_settings_refuse_nonsense(kind, bad):
    with pytest.raises(ValueError, match=r"llm\.") as refused:
        kind(**bad)
    assert "sk-abc" not in str(refused.value)
