"""What the pages about MLflow, TensorBoard and W&B log is read back from the files that these wrote."""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import blocks_of
from tests.docs.pages import shortened


@pytest.fixture(params=["sqlite", "files"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The absolute address of an empty store: MLflow keeps a store open under its address."""
    mlflow = pytest.importorskip("mlflow")
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    if request.param == "sqlite":
        pytest.importorskip("sqlalchemy")
        address = f"sqlite:///{tmp_path}/mlflow.db"
    else:
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        address = (tmp_path / "mlruns").as_uri()
    before = mlflow.get_tracking_uri()
    yield address
    mlflow.set_tracking_uri(before)


def test_mlflow_has_the_search_its_trials_and_its_artifacts(store: str) -> None:
    """A run of the search, a nested run per trial, the report and the transcript."""
    mlflow = pytest.importorskip("mlflow")
    program, listing = (block.code for block in blocks_of("docs/how-to/mlflow.md")[:2])
    assert "sqlite:///mlflow.db" in program
    names: dict[str, object] = {}
    exec(program.replace("sqlite:///mlflow.db", store), names)
    exec(listing, names)
    result, runs = names["result"], names["runs"]

    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("wine")
    logged = client.search_runs([experiment.experiment_id])
    (search,) = [run for run in logged if "mlflow.parentRunId" not in run.data.tags]
    trials = {run.info.run_name: run for run in logged if run is not search}
    assert len(runs) == len(logged) == 1 + len(result.trials)
    assert {run.data.tags["mlflow.parentRunId"] for run in trials.values()} == {search.info.run_id}
    assert {run.info.status for run in logged} == {"FINISHED"}

    for trial in result.trials:
        run = trials[f"trial {trial.number}"]
        assert run.data.params == {name: str(value) for name, value in trial.params.items()}
        assert run.data.metrics == {"score": trial.value}
        assert run.data.tags["state"] == "COMPLETE"
    assert search.data.metrics == {"best": result.best_value}

    assert {file.path for file in client.list_artifacts(search.info.run_id)} == {
        "wine.html",
        "transcript.jsonl",
    }
    report = Path(client.download_artifacts(search.info.run_id, "wine.html")).read_text(encoding="utf-8")
    assert report.lower().startswith("<!doctype html>")
    transcript = Path(client.download_artifacts(search.info.run_id, "transcript.jsonl"))
    assert transcript.read_bytes() == (result.path / "transcript.jsonl").read_bytes()


def test_tensorboard_reads_the_scores_and_the_numeric_parameters() -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    (program,) = (block.code for block in blocks_of("docs/how-to/tensorboard.md"))
    names: dict[str, object] = {}
    exec(program, names)
    result = names["result"]

    events = EventAccumulator("logs/wine")
    events.Reload()
    logged = {
        tag: {event.step: float(make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)}
        for tag in events.Tags()["tensors"]
    }
    expected: dict[str, dict[int, float]] = {"score": {}}
    for trial in result.trials:
        expected["score"][trial.number] = trial.value
        for name, value in trial.params.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                expected.setdefault(f"parameters/{name}", {})[trial.number] = value
    assert len(expected) > 2
    assert logged.keys() == expected.keys()
    for tag, values in expected.items():
        assert logged[tag] == pytest.approx(values, rel=1e-6)  # TensorBoard keeps 32-bit floats


def test_wandb_has_the_scores_the_best_parameters_and_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read back from the files of an offline run, as ``wandb sync`` would send them."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    (program,) = (block.code for block in blocks_of("docs/how-to/wandb.md"))
    names: dict[str, Any] = {}
    exec(shortened(program), names)
    result, run = names["result"], names["run"]

    # next to its "files"; W&B may keep the folder in which this process used it first
    steps, summary, files = wandb_contents(Path(run.dir).parent)
    assert [step["_step"] for step in steps] == [trial.number for trial in result.trials]
    for step, trial in zip(steps, result.trials, strict=True):
        assert step["score"] == pytest.approx(trial.value)
        assert step["source"] == trial.user_attrs["sllmbo:source"]
        assert {name: step[name] for name in trial.params} == trial.params
    assert summary["best"] == pytest.approx(result.best_value)
    assert summary["best_params"] == result.best_params
    assert "wine.html" in files


def wandb_contents(folder: Path) -> tuple[list[dict[str, object]], dict[str, object], set[str]]:
    """The steps, the summary and the names of the saved files of an offline run of W&B, once its process has
    written the last record.
    """
    deadline = time.monotonic() + 60
    while not (records := wandb_records(folder)) or not records[-1].HasField("exit"):
        assert time.monotonic() < deadline, f"{len(records)} records and no last one"
        time.sleep(0.1)
    steps: list[dict[str, object]] = []
    summary: dict[str, object] = {}
    files: set[str] = set()
    for record in records:
        steps += [read_items(record.history.item)] if record.HasField("history") else []
        summary.update(read_items(record.summary.update))
        files.update(file.path for file in record.files.files)
    return steps, summary, files


def wandb_records(folder: Path) -> list[Any]:
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("*.wandb")
    return [Record.FromString(data) for data in leveldb_records(path.read_bytes()[7:], offset=7)]


def read_items(items: Iterable[Any]) -> dict[str, object]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def leveldb_records(data: bytes, offset: int) -> Iterator[bytes]:
    """The records of a log in LevelDB's format: blocks of 32 kB, and a record may go over several of them.

    Args:
        data: The log without the header of W&B.
        offset: Length of that header, which counts for the first block.
    """
    block, header = 32768, struct.Struct("<IHB")
    position, record = 0, b""
    while position + header.size <= len(data):
        rest = block - (position + offset) % block
        if rest < header.size:
            position += rest
            continue
        _, length, kind = header.unpack_from(data, position)
        position += header.size
        record += data[position : position + length]
        position += length
        if kind in (1, 4):  # a whole record, or its last part
            yield record
            record = b""
