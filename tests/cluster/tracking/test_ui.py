"""What `make ui` says when it cannot serve, and the link that it prints when it can."""

import json
import socket

from cluster.tracking.address import embedded_uri
from cluster.tracking.record import open_tracker
from cluster.tracking.ui import main, newest_link


def test_a_store_without_a_database_is_named(tmp_path, capsys):
    assert main(["--store", str(tmp_path)]) == 1
    assert "has no mlflow.db: run the pipeline first" in capsys.readouterr().err


def test_a_taken_port_is_named(tmp_path, capsys):
    (tmp_path / "mlflow.db").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--store", str(tmp_path), "--port", str(port)]) == 1
    assert f"port {port} is taken" in capsys.readouterr().err


def test_a_store_recorded_at_a_server_names_it(tmp_path, capsys):
    memory = {"uri": "http://head:5000", "experiment": "1"}
    (tmp_path / "tracking.json").write_text(json.dumps(memory))
    assert main(["--store", str(tmp_path)]) == 0
    assert "http://head:5000" in capsys.readouterr().out


def test_the_newest_pipeline_is_linked(tmp_path):
    assert newest_link(tmp_path, 5000) == "http://127.0.0.1:5000/"
    tracker = open_tracker(embedded_uri(tmp_path), tmp_path)
    tracker.start_pipeline("full", "smoke", "", {})
    newest = tracker.start_pipeline("full", "smoke", "", {})
    link = newest_link(tmp_path, 5000)
    assert link.endswith(f"/runs/{newest}?workflowType=machine_learning")
    assert tracker.link(newest) == link.removeprefix("http://127.0.0.1:5000/")
