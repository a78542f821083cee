import pytest

from stages.rl.environment import (
    RewardError,
    SingleTurnEnv,
    State,
    Trajectory,
    Transition,
    pass_only,
    reward_function,
)

STOP = 9


@pytest.fixture
def env():
    return SingleTurnEnv(
        prompt=lambda task: [1, 2, 3],
        decode=lambda ids: "".join(map(str, ids)),
        verdict=lambda task, text: None if task["broken"] else text == "45",
        stop_ids=frozenset({STOP}),
        max_length=10,
        max_answer_tokens=4,
    )


def play(env, action, broken=False):
    state, first = env.start({"broken": broken})
    assert first.observation == [1, 2, 3] and not first.terminal
    return env.step(state, action)


@pytest.mark.parametrize(
    ("action", "passed"),
    [([4, 5, STOP], True), ([4, 6, STOP], False), ([4, 5], False), ([], False)],
)
def test_verdicts(env, action, passed):
    transition = play(env, action)
    assert transition.terminal and transition.observation == []
    assert transition.outcomes["pass"] is passed


def test_a_broken_infrastructure_is_no_failure(env):
    assert play(env, [4, STOP], broken=True).outcomes["pass"] is None


def test_reward_lies_on_the_last_action_token(env):
    assert pass_only(play(env, [4, 5, STOP])) == [0.0, 0.0, 1.0]
    assert pass_only(play(env, [4, STOP])) == [0.0, -1.0]
    assert pass_only(Transition(action=[1, 2], observation=[3], terminal=False)) == [0.0, 0.0]


def test_unknown_reward_is_named():
    with pytest.raises(RewardError, match="pass_only"):
        reward_function("similarity")


def test_action_length_is_bounded_by_the_episode(env):
    assert env.max_action_length(State(context=[0] * 3)) == 4
    assert env.max_action_length(State(context=[0] * 8)) == 2


def test_a_cloned_state_branches(env):
    state, _ = env.start({"broken": False})
    branch = state.clone()
    env.step(branch, [4, STOP])
    assert state.context == [1, 2, 3] and state.turns == 0


def test_trajectory_aligns_what_agent_and_environment_wrote():
    trajectory = Trajectory()
    trajectory.observe([1, 2])
    trajectory.act([3, 4], [-0.5, -0.25], [0.0, 0.0])
    trajectory.observe([5])
    trajectory.act([6], [-1.0], [-1.0])
    trajectory.observe([7, 8], switch=True)
    trajectory.act([9], [-2.0], [2.0])
    first, second = trajectory.contexts
    assert first.tokens == [1, 2, 3, 4, 5, 6]
    assert first.agent == [False, False, True, True, False, True]
    assert first.log_probs == [0, 0, -0.5, -0.25, 0, -1.0]
    assert second.tokens == [7, 8, 9]
    assert trajectory.total_reward == 1.0
    assert trajectory.agent_tokens == 4


def test_a_misaligned_action_is_refused():
    trajectory = Trajectory()
    trajectory.observe([1])
    with pytest.raises(ValueError, match="2 tokens, 1 log-probs"):
        trajectory.act([3, 4], [-0.5], [0.0, 0.0])
