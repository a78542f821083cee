import pytest

from stages.rl.curriculum import Curriculum, NoPromptsError

PROMPTS = {"fix": [f"f{i}" for i in range(40)], "output": [f"o{i}" for i in range(40)]}


def curriculum(**options):
    options = {"shares": {"fix": 3.0, "output": 1.0}} | options
    return Curriculum(PROMPTS, **options)


def test_kinds_are_drawn_by_their_shares():
    names = [n for _ in range(50) for n in curriculum_draws(curriculum(), 1)]
    assert set(names) <= {*PROMPTS["fix"], *PROMPTS["output"]}
    drawn = curriculum_draws(curriculum(exploration=0.0, revisit=0.0), 800)
    assert 0.70 < sum(n.startswith("f") for n in drawn) / 800 < 0.80


def curriculum_draws(deck, count):
    names = []
    for _ in range(count):
        name = deck.draw(1)[0]
        deck.record(name, [True, False])
        names.append(name)
    return names


def test_prompts_always_or_never_solved_are_put_aside():
    deck = curriculum(shares={"fix": 1.0}, exploration=0.0, revisit=0.0)
    for i, name in enumerate(PROMPTS["fix"]):
        deck.record(name, [i % 4 == 0] * 8 if i % 2 == 0 else [True] * 4 + [False] * 4)
    useful = set(PROMPTS["fix"][1::2])
    deck._index()
    assert {name for _ in range(50) for name in deck.draw(4)} <= useful


def test_a_prompt_put_aside_comes_back_now_and_then():
    deck = curriculum(shares={"fix": 1.0}, exploration=0.0, revisit=0.2)
    for name in PROMPTS["fix"]:
        deck.record(name, [True] if name in {"f0", "f1"} else [True, False])
    deck._index()
    drawn = [deck.draw(1)[0] for _ in range(1000)]
    assert 0.15 < sum(n in {"f0", "f1"} for n in drawn) / 1000 < 0.25


def test_solve_rates_follow_the_newest_groups():
    deck = curriculum()
    deck.record("f1", [False] * 8)
    deck.record("f1", [True] * 8)
    deck.record("f1", [])
    assert deck.rates["f1"] == pytest.approx(0.5)


def test_a_resume_goes_on_with_the_same_draws():
    straight, first = curriculum(seed=5), curriculum(seed=5)
    expected = curriculum_draws(straight, 100)
    begun = curriculum_draws(first, 37)
    second = curriculum(seed=5)
    second.load_state_dict(first.state_dict())
    assert begun + curriculum_draws(second, 63) == expected


def test_a_kind_without_prompts_is_named():
    with pytest.raises(NoPromptsError, match=r"'trace'.*fix, output"):
        Curriculum(PROMPTS, {"trace": 1.0})
