"""Scoring of frames on a small trace whose right answers can be read off."""

from model.frames import Frame, Scopes, Step
from model.trace import encode_step
from stages.evaluate.frames import Separators, changed_states, score_step, straight_on

CALL = Frame("call", "def f(a):\n", locals=(("a", "1"),))
SAME = Frame("line", "    b = a\n", locals=(("a", "1"),))
NEW = Frame("line", "    return g(b)\n", locals=(("a", "1"), ("b", "1")))
INNER_CALL = Frame("call", "def g(x):\n", locals=(("x", "1"),))
INNER = Frame("line", "    return x\n", locals=(("x", "1"),))
INNER_RETURN = Frame("return", "    return x\n", value="1")
AFTER = Frame("line", "    pass\n", locals=(("a", "1"), ("b", "1")))
CHANGED = Frame("line", "    return b\n", locals=(("a", "1"), ("b", "2")))
RETURN = Frame("return", "    return b\n", value="2")
FRAMES = [CALL, SAME, NEW, INNER_CALL, INNER, INNER_RETURN, AFTER, CHANGED, RETURN]


def steps():
    scopes = Scopes()
    return [scopes.diff(frame) for frame in FRAMES]


def marks(tokenizer):
    return Separators(tokenizer.special("action_sep"), tokenizer.special("arg_sep"))


def score(tokenizer, step, hits=None, changed=False):
    ids = encode_step(step, tokenizer)
    return score_step(ids, hits or [True] * len(ids), step, marks(tokenizer), changed=changed)


def test_change_is_of_values_within_a_scope():
    # after the return into f all locals are written in full, but none has changed
    assert changed_states(FRAMES) == [False, False, True, *[False] * 4, True, False]


def test_straight_on_is_the_next_line_and_a_return_on_the_same_one():
    lines = [("call", 1), ("line", 2), ("line", 4), ("return", 4)]
    frames = [Frame(event, "x\n", line=line) for event, line in lines]
    assert straight_on(frames) == [False, True, False, True]


def test_a_perfect_model_is_right_everywhere(tokenizer):
    for step in steps():
        found = score(tokenizer, step)
        assert found.event and found.action
        assert found.state is (True if step.event == "line" else None)
        assert found.value is (True if step.event == "return" else None)


def test_copying_is_right_exactly_where_nothing_is_shown(tokenizer):
    for step, changed in zip(steps(), changed_states(FRAMES), strict=True):
        if step.event != "line":
            continue
        found = score(tokenizer, step, changed=changed)
        copy = Step("line", step.source, locals=tuple((name, "..") for name, _ in step.locals))
        assert found.copied == (copy == step)
        assert not (found.copied and changed)


def test_each_part_answers_for_its_own_tokens(tokenizer):
    step = Step("return", "    return b\n", value="25")
    ids = encode_step(step, tokenizer)
    action, argument = (ids.index(tokenizer.special(n)) for n in ("action_sep", "arg_sep"))
    for wrong, part in [
        (0, "event"),
        (action + 1, "action"),
        (argument, "action"),  # the line would have gone on
        (argument + 1, "value"),
        (len(ids) - 1, "value"),
    ]:
        hits = [place != wrong for place in range(len(ids))]
        found = score(tokenizer, step, hits)
        right = {name: getattr(found, name) for name in ("event", "action", "value")}
        assert right == {name: name != part for name in right}


def test_a_state_needs_its_event_and_its_end(tokenizer):
    step = Step("line", "    b = a\n", locals=(("a", "1"),))
    ids = encode_step(step, tokenizer)
    action = ids.index(tokenizer.special("action_sep"))
    for wrong in (0, 1, action):
        hits = [place != wrong for place in range(len(ids))]
        assert score(tokenizer, step, hits).state is False
    assert score(tokenizer, step, [p != action + 1 for p in range(len(ids))]).state is True
