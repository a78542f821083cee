import threading

import pytest
import torch

from stages.rl.weights import VersionGoneError, WeightTransport


def test_publish_and_pull(tmp_path):
    transport = WeightTransport(tmp_path / "weights")
    assert transport.latest() is None
    transport.publish(3, {"a": torch.arange(4.0)}, {"model_type": "cwm"})
    assert transport.latest() == 3
    assert transport.pull(3)["a"].tolist() == [0, 1, 2, 3]
    assert (tmp_path / "weights" / "v00000003" / "config.json").is_file()


def test_old_versions_go_and_are_named(tmp_path):
    transport = WeightTransport(tmp_path, keep=2)
    for version in range(5):
        transport.publish(version, {"a": torch.tensor([version])})
    assert sorted(p.name for p in tmp_path.glob("v*")) == ["v00000003", "v00000004"]
    with pytest.raises(VersionGoneError, match="no version 1"):
        transport.pull(1)


def test_going_back_to_a_checkpoint_removes_the_future(tmp_path):
    transport = WeightTransport(tmp_path)
    for version in (1, 2, 3):
        transport.publish(version, {"a": torch.tensor([version])})
    transport.publish(2, {"a": torch.tensor([20])})
    assert transport.latest() == 2
    assert transport.pull(2)["a"].item() == 20
    with pytest.raises(VersionGoneError):
        transport.pull(3)


def test_a_torn_write_is_never_seen(tmp_path, monkeypatch):
    transport = WeightTransport(tmp_path)
    transport.publish(1, {"a": torch.ones(2)})

    def killed(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("safetensors.torch.save_file", killed)
    with pytest.raises(KeyboardInterrupt):
        transport.publish(2, {"a": torch.zeros(2)})
    assert transport.latest() == 1
    assert transport.pull(1)["a"].tolist() == [1, 1]
    assert not (tmp_path / "v00000002").exists()


def test_readers_see_whole_versions_while_one_writes(tmp_path):
    transport = WeightTransport(tmp_path, keep=3)
    transport.publish(0, {"a": torch.zeros(20_000)})
    done = threading.Event()
    torn = []

    def read():
        while not done.is_set():
            version = transport.latest()
            try:
                values = transport.pull(version)["a"]
            except VersionGoneError:
                continue
            torn.extend([version] * (values != version).any().item())

    reader = threading.Thread(target=read)
    reader.start()
    for version in range(1, 60):
        transport.publish(version, {"a": torch.full((20_000,), float(version))})
    done.set()
    reader.join()
    assert torn == []
