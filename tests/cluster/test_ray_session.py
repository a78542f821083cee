"""Where the store is, by what is given and where the program runs."""

from pathlib import Path

import pytest

from cluster.ray_session import StoreUnknownError, store_path


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for name in ("CWM_STORE", "RAY_JOB_CONFIG_JSON_ENV_VAR", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_option_wins_then_the_variable_then_runs(monkeypatch, tmp_path):
    assert store_path(None)[0] == tmp_path / "runs"
    monkeypatch.setenv("CWM_STORE", "elsewhere")
    assert store_path(None) == (tmp_path / "elsewhere", "CWM_STORE")
    assert store_path("here") == (tmp_path / "here", "--store")


def test_inside_a_job_the_store_is_not_in_the_throw_away_copy(monkeypatch):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    path, why = store_path(None, nodes=1)
    assert path == Path.home() / "cwm-runs" and "throw-away" in why
    with pytest.raises(StoreUnknownError, match="CWM_STORE"):
        store_path(None, nodes=2)
    monkeypatch.setenv("CWM_STORE", "/shared")
    assert store_path(None, nodes=2)[0] == Path("/shared")
