"""What a run gives back: the winner, the study, the chat, and pictures of all of it."""

from __future__ import annotations

import json
import math
import warnings
import zipfile
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic import keys
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.errors import missing_extra
from sllmbo_magic.events import Event
from sllmbo_magic.events import RunFinished
from sllmbo_magic.events import RunStarted
from sllmbo_magic.events import from_json
from sllmbo_magic.events import to_json
from sllmbo_magic.history import History
from sllmbo_magic.history import importances
from sllmbo_magic.history import observe
from sllmbo_magic.space import SearchSpace
from sllmbo_magic.space import SpaceVersion

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from sllmbo_magic.task import Task

_EVENTS, _TRIALS, _CODE = "events.jsonl", "study.json", "code.json"


class TuneResult:
    """The outcome of ``tune``, also of an interrupted one; or a stored run (:meth:`load`).

    Args:
        study: The Optuna study; values are recorded under one fixed outer space.
        events: Everything that happened, from the first ``RunStarted`` on.
        task: The task; None for a loaded run, whose data is not stored.
        path: The run's folder; None when it was kept in memory.
    """

    def __init__(
        self,
        study: Study,
        events: Iterable[Event],
        *,
        task: Task | None = None,
        path: Path | None = None,
        code_parts: dict[str, Any] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.study = study
        self.events: list[Event] = list(events)
        self.path = path
        self._task = task
        self._code_parts = code_parts or {}
        self._n_jobs = n_jobs

    # The winner

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self._run.get("name", "run"))

    @property
    def status(self) -> str:
        """``"finished"``, ``"stopped"``, ``"interrupted"``, ``"failed"``, or ``"running"`` without an end."""
        ends = [e for e in self.events if isinstance(e, RunFinished | RunStarted)]
        return ends[-1].status if ends and isinstance(ends[-1], RunFinished) else "running"

    @property
    def summary(self) -> dict[str, Any]:
        """default_value, best_value, best_number, gain, verification, n_trials, seconds, cost, text; {}
        before the end.
        """
        ends = [e for e in self.events if isinstance(e, RunFinished)]
        return ends[-1].summary if ends else {}

    @property
    def best_trial(self) -> FrozenTrial:
        """The trial with the best value.

        Raises:
            InputError: No trial has a score, or there are several objectives.
        """
        if len(self.study.directions) > 1:
            raise InputError("several objectives have no single best.", "Use study.best_trials.")
        if not any(t.state.name == "COMPLETE" for t in self.study.get_trials(deepcopy=False)):
            raise InputError("no trial has a score.", "trials_dataframe() shows what became of each.")
        return self.study.best_trial

    @property
    def best_value(self) -> float:
        """The best cross-validated value, in the metric's own sign."""
        return float(self.best_trial.values[0])

    @property
    def default_value(self) -> float | None:
        """The value of the library's default configuration; None when there is none."""
        for trial in self.study.get_trials(deepcopy=False):
            if trial.user_attrs.get(keys.SOURCE) == "default" and trial.values:
                return float(trial.values[0])
        return None

    @property
    def best_params(self) -> dict[str, Any]:
        """The parameters to set on the estimator for :attr:`best_value`; {} when its defaults were best."""
        return winning_params(self.best_trial)

    @cached_property
    def best_estimator(self) -> Any:
        """The estimator with :attr:`best_params`, fitted on all of X and y.

        Raises:
            InputError: The run was loaded, so its data is not at hand, or tuned an objective.
        """
        if self._task is None or self._task.estimator is None:
            raise InputError(
                "there is no estimator to fit: a stored run has no data, an objective no estimator.",
                "Use best_params, or code().",
            )
        from sllmbo_magic.evaluator import refit

        return refit(self._task, self.best_params)

    # The story

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials that have begun; queued ones are not among them."""
        return [t for t in self.study.trials if t.state.name != "WAITING"]

    @property
    def history(self) -> list[dict[str, Any]]:
        """The chat: per exchange request, purpose, trial_number, prompt, reply, reasoning, candidates, usage,
        seconds and ``trials``, the numbers and values of the trials it led to."""
        from sllmbo_magic.events import ReplyReceived
        from sllmbo_magic.events import RequestSent

        chat: dict[int, dict[str, Any]] = {}
        for event in self.events:
            if isinstance(event, RequestSent):
                chat[event.request] = {
                    "request": event.request,
                    "purpose": event.purpose,
                    "trial_number": event.trial_number,
                    "provider": event.provider,
                    "prompt": event.text,
                    "reply": None,
                    "trials": [],
                }
            elif isinstance(event, ReplyReceived) and event.request in chat:
                chat[event.request].update(
                    reply=event.text,
                    reasoning=event.reasoning,
                    candidates=event.candidates,
                    usage=event.usage,
                    seconds=event.seconds,
                )
        for trial in self.study.get_trials(deepcopy=False):
            request = (trial.user_attrs.get(keys.PROVENANCE) or {}).get("request")
            if request in chat:
                value = trial.values[0] if trial.values else None
                chat[request]["trials"].append({"number": trial.number, "value": value})
        return [chat[n] for n in sorted(chat)]

    @property
    def space_versions(self) -> list[SpaceVersion]:
        """How the search space evolved, and why; empty for objectives that suggest for themselves."""
        stored = self.study.user_attrs.get(keys.SPACE_VERSIONS) or []
        return [SpaceVersion.from_json(v) for v in stored]

    def trials_dataframe(self) -> Any:
        """One row per trial, as ``optuna.Study.trials_dataframe`` gives it, and a column ``source``.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            frame = self.study.trials_dataframe()
        except ImportError:
            raise missing_extra("pandas", "plots") from None
        column = f"user_attrs_{keys.SOURCE}"
        if column in frame:
            frame.insert(1, "source", frame[column])
        return frame

    def bundle(self, *, limit_trials: int | None = None, limit_chat: int | None = None) -> dict[str, Any]:
        """The whole run as plain data, schema 1: what every view shows."""
        from sllmbo_magic.report.bundle import RunView

        view = RunView()
        for event in self.events:
            view.apply(event)
        bundle = view.snapshot(limit_trials=limit_trials, limit_chat=limit_chat)
        bundle["importances"] = self.importances()
        return bundle

    def importances(self) -> dict[str, float]:
        """Share of the score's variation that goes with each parameter, largest first; {} under 8 trials.

        Optuna's PED-ANOVA when every trial has every parameter, else rank correlations.
        """
        versions = self.space_versions
        if len(self.study.directions) > 1 or not versions:
            return {}
        import optuna

        scored = [t for t in self.study.get_trials(deepcopy=False) if t.values]
        if len(scored) < 8:
            return {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                found = optuna.importance.get_param_importances(
                    self.study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
                )
        except (ValueError, RuntimeError):  # no parameter that all trials share, or all scores equal
            found = {}
        if found and all(math.isfinite(v) for v in found.values()) and sum(found.values()) > 0:
            total = sum(found.values())
            return {name: float(v / total) for name, v in found.items()}
        outer = SearchSpace.from_json(self.study.user_attrs[keys.OUTER_SPACE])
        return importances(
            History(tuple(observe(t) for t in scored), self.study.direction.name.lower()), outer
        )

    # Pictures

    def plot_history(self, **options: Any) -> Any:
        """Each trial with its fold spread, the best so far, the default, by source: a matplotlib figure."""
        return self._plot("plot_history", options)

    def plot_search_space(self, **options: Any) -> Any:
        """One small picture per parameter: its range over the trials, and each trial's value."""
        return self._plot("plot_search_space", options)

    def plot_importances(self, **options: Any) -> Any:
        """How much each parameter matters."""
        return self._plot("plot_importances", options)

    def plot_parallel(self, **options: Any) -> Any:
        """Parallel coordinates of the configurations, coloured by score."""
        return self._plot("plot_parallel", options)

    def plot_sources(self, **options: Any) -> Any:
        """What each source (LLM, TPE, ...) contributed."""
        return self._plot("plot_sources", options)

    def _plot(self, name: str, options: dict[str, Any]) -> Any:
        from sllmbo_magic.report import figures

        return getattr(figures, name)(self.bundle(), **options)

    def report(self, path: str | Path) -> Path:
        """Write one self-contained HTML page with everything; returns its path."""
        from sllmbo_magic.report.html import write_report

        return Path(write_report(self.bundle(), path))

    def code(self) -> str:
        """The winner as runnable Python."""
        from sllmbo_magic.report.code import code

        estimator = None if self._task is None else self._task.estimator
        return str(code(estimator, self.best_params, parts=self._code_parts))

    # Keeping

    def save(self, path: str | Path) -> Path:
        """Write study, transcript, events and report into one zip file; returns its path.

        The file holds no data, no estimator and no key, and plays again with ``llm="replay:PATH"``.
        """
        from sllmbo_magic.llm.transcript import read

        path = Path(path)
        if not path.suffix:
            path = path.with_suffix(".zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr(_EVENTS, "".join(json.dumps(to_json(e), default=str) + "\n" for e in self.events))
            bundle.writestr(_TRIALS, _dump_study(self.study))
            bundle.writestr(_CODE, json.dumps(self._code_parts, default=str))
            if self.path is not None and (self.path / "transcript.jsonl").exists():
                records = [r for r in read(self.path / "transcript.jsonl") if r.get("kind") == "exchange"]
                bundle.writestr("transcript.jsonl", "".join(json.dumps(r) + "\n" for r in records))
            try:
                from sllmbo_magic.report.html import render_report

                bundle.writestr("report.html", render_report(self.bundle()))
            except MissingExtraError:
                pass  # a core install without the front end; the rest is complete
        return path

    @classmethod
    def load(cls, path: str | Path) -> TuneResult:
        """A result from a file of :meth:`save` or from a run's folder (``.sllmbo/NAME``).

        Raises:
            StorageError: There is no such run, or it cannot be read.
        """
        path = Path(path)
        if path.is_dir():
            return cls._load_folder(path)
        try:
            with zipfile.ZipFile(path) as bundle:
                events = [
                    from_json(json.loads(line)) for line in bundle.read(_EVENTS).splitlines() if line.strip()
                ]
                study = _load_study(bundle.read(_TRIALS).decode())
                parts = json.loads(bundle.read(_CODE))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise StorageError(
                f"{path} is not a saved run ({type(error).__name__}).",
                "Give a file of result.save(), or a folder.",
            ) from None
        return cls(study, events, code_parts=parts)

    @classmethod
    def _load_folder(cls, path: Path) -> TuneResult:
        import optuna

        from sllmbo_magic.linked import current
        from sllmbo_magic.run_folder import RunFolder

        folder = RunFolder(path)
        meta = folder.read_meta()
        if not folder.study_path.exists():
            raise StorageError(
                f"{path} holds no stored study.", "It may be kept in another storage (--storage)."
            )
        study = optuna.load_study(study_name=meta.get("study_name") or folder.name, storage=folder.storage())
        return cls(
            current(study), stored_events(path / "transcript.jsonl"), path=path, code_parts=meta.get("code")
        )

    def __repr__(self) -> str:
        text = self.summary.get("text")
        if text:
            return f"<TuneResult {self.name}: {text}>"
        return f"<TuneResult {self.name}: {self.status}, {len(self.study.get_trials(deepcopy=False))} trials>"

    @property
    def _run(self) -> dict[str, Any]:
        for event in self.events:
            if isinstance(event, RunStarted):
                return event.run
        return {}


def winning_params(trial: FrozenTrial) -> dict[str, Any]:
    """What to set on the estimator to repeat a trial: its parameters and those the space held fixed."""
    provenance = trial.user_attrs.get(keys.PROVENANCE) or {}
    if provenance.get("library_defaults"):
        return {}
    return {**trial.params, **(trial.user_attrs.get(keys.EVALUATION) or {}).get("fixed", {})}


def stored_events(transcript: Path) -> list[Event]:
    """The events of a stored run; texts of requests and replies come from its exchanges."""
    from sllmbo_magic.llm.transcript import read

    if not transcript.exists():
        return []
    texts: dict[int, tuple[str, str]] = {}
    records = list(read(transcript))
    for record in records:
        if record.get("kind") == "exchange":
            messages = record.get("messages") or []
            texts[int(record["id"])] = (
                messages[-1]["content"] if messages else "",
                record.get("reply") or "",
            )
    events: list[Event] = []
    for record in records:
        if record.get("kind") != "event":
            continue
        data = dict(record)
        if data.get("type") in ("RequestSent", "ReplyReceived"):
            prompt, reply = texts.get(int(data.get("request", -1)), ("", ""))
            data["text"] = prompt if data["type"] == "RequestSent" else reply
        try:
            events.append(from_json(data))
        except (ValueError, TypeError):
            continue  # written by a newer version; the others still tell the story
    return events


def detached(study: Study) -> Study:
    """The same study in memory: it stays readable when its file is moved, as a run's is when its name is used
    again.
    """
    import optuna

    copy = optuna.create_study(study_name=study.study_name, directions=study.directions)
    for name, value in study.user_attrs.items():
        copy.set_user_attr(name, value)
    copy.add_trials(study.get_trials(deepcopy=False))
    return copy


def _dump_study(study: Study) -> str:
    """The study as JSON: directions, attributes and trials with their distributions."""
    from optuna.distributions import distribution_to_json

    trials = [
        {
            "state": t.state.name,
            "values": t.values,
            "params": t.params,
            "distributions": {n: distribution_to_json(d) for n, d in t.distributions.items()},
            "user_attrs": t.user_attrs,
            "start": t.datetime_start.isoformat() if t.datetime_start else None,
            "complete": t.datetime_complete.isoformat() if t.datetime_complete else None,
        }
        for t in study.get_trials(deepcopy=False)
    ]
    return json.dumps(
        {
            "name": study.study_name,
            "directions": [d.name.lower() for d in study.directions],
            "user_attrs": study.user_attrs,
            "trials": trials,
        },
        default=str,
    )


def _load_study(text: str) -> Study:
    from datetime import datetime

    import optuna
    from optuna.distributions import json_to_distribution
    from optuna.trial import TrialState

    data = json.loads(text)
    study = optuna.create_study(study_name=data["name"], directions=data["directions"])
    for name, value in data["user_attrs"].items():
        study.set_user_attr(name, value)
    for t in data["trials"]:
        trial = optuna.trial.create_trial(
            state=TrialState[t["state"]],
            values=t["values"],
            params=t["params"],
            distributions={n: json_to_distribution(d) for n, d in t["distributions"].items()},
            user_attrs=t["user_attrs"],
        )
        trial.datetime_start = datetime.fromisoformat(t["start"]) if t["start"] else None
        trial.datetime_complete = datetime.fromisoformat(t["complete"]) if t["complete"] else None
        study.add_trial(trial)
    return study
