"""Calls to a storage whose server is away: they wait, end at a stop, and tell of it once."""

from __future__ import annotations

import pickle
import time
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import ProgrammingError

from sllmbo_magic import attrs
from sllmbo_magic import tune
from sllmbo_magic.events import Note
from sllmbo_magic.storage import waiting_storage
from sllmbo_magic.storage.waiting_storage import WaitingStorage
from sllmbo_magic.storage.waiting_storage import waiting


def lost() -> StorageInternalError:
    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = OperationalError("SELECT 1", {}, Exception("server closed the connection"))
    return error


class Flaky(InMemoryStorage):
    """Fails its next calls of some methods, before or after they are carried out."""

    def __init__(self, n_failures: int = 0, error: Exception | None = None) -> None:
        super().__init__()
        self.n_failures = n_failures
        self.error = error or lost()
        self.after = False

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Any = None) -> bool:
        fails = self.n_failures > 0
        self.n_failures -= fails
        if fails and not self.after:
            raise self.error
        answer = super().set_trial_state_values(trial_id, state, values)
        if fails:
            raise self.error
        return answer


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_storage, "_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(waiting_storage, "_MOST_SECONDS", 0.02)
    monkeypatch.setattr(waiting_storage, "_POLL_SECONDS", 0.005)
    monkeypatch.setattr(waiting_storage, "_OWNER_SECONDS", 0.05, raising=False)


def running_trial(storage: Any) -> int:
    return int(storage.create_new_trial(storage.create_new_study([StudyDirection.MINIMIZE], "s")))


@pytest.mark.parametrize("after", [False, True], ids=["not written", "written, and the answer lost"])
def test_a_call_is_repeated_until_it_is_answered(after: bool) -> None:
    inner = Flaky(n_failures=1 if after else 3)
    inner.after = after
    reports: list[str | None] = []
    storage = WaitingStorage(inner, lambda: False, reports.append)
    trial_id = running_trial(storage)
    assert storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0]) is True
    assert inner.get_trial(trial_id).value == 1.0
    assert reports == ["server closed the connection", None]
    with pytest.raises(UpdateFinishedTrialError):  # of a first attempt it is an error as ever
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [2.0])


@pytest.mark.parametrize(
    ("other", "is_ours"),
    [(None, True), ("takes it", False), ("takes and ends it", False)],
)
def test_a_queued_trial_that_was_taken_before_the_answer_was_lost(other: str | None, is_ours: bool) -> None:
    """Nobody evaluated it: the repeated call found it taken, by this very program."""
    inner = Flaky(n_failures=1)
    inner.after = other is None
    study = optuna.create_study(storage=inner)
    study.enqueue_trial({"x": 0.5})
    (queued,) = study.get_trials()

    def report(cause: str | None) -> None:
        if cause is not None and other is not None:
            inner.set_trial_state_values(queued._trial_id, TrialState.RUNNING)
            inner.set_trial_user_attr(queued._trial_id, attrs.OWNER, {"host": "other"})
            if other == "takes and ends it":
                inner.set_trial_state_values(queued._trial_id, TrialState.COMPLETE, [1.0])

    study._storage = WaitingStorage(inner, lambda: False, report)
    trial = study.ask()
    assert (trial.number == queued.number) is is_ours
    assert len(study.trials) == 1 + (not is_ours)


def test_a_stop_ends_the_waiting_with_the_error() -> None:
    stops = iter([False, False, True])
    storage = WaitingStorage(Flaky(n_failures=10**6), lambda: next(stops), lambda cause: None)
    with pytest.raises(StorageInternalError):
        storage.set_trial_state_values(running_trial(storage), TrialState.COMPLETE, [1.0])


def test_an_error_that_waiting_does_not_mend_is_raised_at_once() -> None:
    error = ProgrammingError("SELECT 1", {}, Exception("no such table"))
    reports: list[str | None] = []
    storage = WaitingStorage(Flaky(n_failures=10**6, error=error), lambda: False, reports.append)
    with pytest.raises(ProgrammingError):
        storage.set_trial_state_values(running_trial(storage), TrialState.COMPLETE, [1.0])
    assert reports == []


def test_only_a_storage_on_a_server_is_wrapped_and_only_for_the_run() -> None:
    study = optuna.create_study()
    before = study._storage
    with waiting(study, lambda: False, lambda cause: None):
        assert study._storage is before


def test_every_method_of_a_storage_is_forwarded() -> None:
    storage = WaitingStorage(Flaky(), lambda: False, lambda cause: None)
    study = optuna.create_study(storage=storage, study_name="s")
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=3)
    assert len(optuna.load_study(study_name="s", storage=storage.inner).trials) == 3
    assert study.best_trial.params.keys() == {"x"}
    assert type(pickle.loads(pickle.dumps(WaitingStorage(InMemoryStorage(), bool, print)))) is InMemoryStorage


def test_the_time_limit_of_a_run_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_storage, "on_server", lambda storage: True)
    inner = Flaky()
    events: list[Any] = []

    def objective(params: dict[str, float]) -> float:
        inner.n_failures = 10**6
        return params["x"]

    began = time.monotonic()
    result = tune(
        objective, search_space={"x": (0.0, 1.0)}, direction="minimize", n_trials=5, timeout=1.0, folder="",
        storage=inner, sinks=[events.append], seed=0,
    )  # fmt: skip
    assert 1.0 <= time.monotonic() - began < 60.0
    assert [trial.state.name for trial in result.trials] == ["COMPLETE"]
    notes = [event.text for event in events if isinstance(event, Note) and event.level == "warning"]
    assert notes[0].startswith("The storage does not answer: server closed the connection.")
    assert "The result so far is in memory" in notes[1]
