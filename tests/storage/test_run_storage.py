"""The run's own journal storage: it gives what Optuna's gives, and looks at new trials only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import TrialState

from sllmbo_magic.storage.run_storage import RunStorage

ENDED = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)
STATES: list[Any] = [None, (TrialState.WAITING,), (TrialState.RUNNING,), ENDED]


class TestOptunasOwn(StorageTestCase):
    """Optuna's tests of a storage."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> BaseStorage:
        return RunStorage(JournalFileBackend(str(tmp_path / "study.log")))


def numbers_and_states(storage: BaseStorage, study_id: int, states: Any) -> list[Any]:
    trials = storage.get_all_trials(study_id, deepcopy=False, states=states)
    return [(t.number, t.state, t.values, t.user_attrs) for t in trials]


@pytest.mark.parametrize("seed", range(5))
def test_reads_are_those_of_optunas_storage(tmp_path: Path, seed: int) -> None:
    """Two programs write trials in any order, and a third one reads with Optuna's storage."""
    path, rng = str(tmp_path / "study.log"), np.random.default_rng(seed)
    ours = [RunStorage(JournalFileBackend(path)) for _ in range(2)]
    optunas = JournalStorage(JournalFileBackend(path))
    study_id = ours[0].create_new_study([optuna.study.StudyDirection.MINIMIZE], "s")
    studies = [optuna.load_study(study_name="s", storage=storage) for storage in ours]
    running: list[int] = []
    for step in range(120):
        study = studies[rng.integers(2)]
        what = rng.random()
        if what < 0.3:
            for value in rng.random(rng.integers(1, 4)):
                study.enqueue_trial({"x": value}, user_attrs={"step": step})
        elif what < 0.6 or not running:
            running.append(study.ask({"x": optuna.distributions.FloatDistribution(0, 1)}).number)
        else:
            number = running.pop(rng.integers(len(running)))
            state = ENDED[rng.integers(3)]
            study.tell(number, 1.0 if state == TrialState.COMPLETE else None, state=state)
        states = STATES[rng.integers(len(STATES))]
        expected = numbers_and_states(optunas, study_id, states)
        assert [numbers_and_states(storage, study_id, states) for storage in ours] == [expected, expected]
    assert len({t.state for t in studies[0].trials}) >= 4


def test_a_late_trial_reads_as_few_trials_as_an_early_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_looked_at, looked_at = 0, []
    read_all, read_one = JournalStorage.get_all_trials, JournalStorage.get_trial

    def all_of(self: Any, *args: Any, **options: Any) -> Any:
        nonlocal n_looked_at
        trials = read_all(self, *args, **options)
        n_looked_at += len(trials)
        return trials

    def one_of(self: Any, *args: Any) -> Any:
        nonlocal n_looked_at
        n_looked_at += 1
        return read_one(self, *args)

    monkeypatch.setattr(JournalStorage, "get_all_trials", all_of)
    monkeypatch.setattr(JournalStorage, "get_trial", one_of)
    storage = RunStorage(JournalFileBackend(str(tmp_path / "study.log")))
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(
        lambda trial: trial.suggest_float("x", 0, 1),
        n_trials=60,
        callbacks=[lambda study, trial: looked_at.append(n_looked_at)],
    )
    each = np.diff(looked_at)
    assert set(each[10:]) == {each[10]}
    assert each[10] < 12
    copy = RunStorage(JournalFileBackend(str(tmp_path / "study.log")))
    before = n_looked_at
    assert len(copy.get_all_trials(study._study_id, deepcopy=False)) == 60
    assert n_looked_at - before == 60, "a study that is opened again is read once"


def test_a_deleted_study_has_no_trials(tmp_path: Path) -> None:
    storage = RunStorage(JournalFileBackend(str(tmp_path / "study.log")))
    study = optuna.create_study(storage=storage)
    study.optimize(lambda trial: 1.0, n_trials=3)
    assert len(study.get_trials(deepcopy=False)) == 3
    optuna.delete_study(study_name=study.study_name, storage=storage)
    with pytest.raises(KeyError):
        storage.get_all_trials(study._study_id)
