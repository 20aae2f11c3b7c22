"""What a run gives back: the winner, the study, the chat, and pictures of all of it."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic import attrs
from sllmbo_magic._utils.atomic_write import user_path
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import missing_extra
from sllmbo_magic.events import Event
from sllmbo_magic.events import RunFinished
from sllmbo_magic.events import RunStarted
from sllmbo_magic.history.trials import is_withdrawn
from sllmbo_magic.history.trials import scored
from sllmbo_magic.history.trials import state_of
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import one_line
from sllmbo_magic.space.choices import Objects
from sllmbo_magic.space.choices import decoded
from sllmbo_magic.space.space_version import SpaceVersion
from sllmbo_magic.tuning import archive
from sllmbo_magic.tuning import object_choices
from sllmbo_magic.tuning import observers
from sllmbo_magic.tuning.chat import exchanges
from sllmbo_magic.tuning.failures import failure_table
from sllmbo_magic.tuning.marks import mark_stored
from sllmbo_magic.tuning.warning_table import warning_table

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from sllmbo_magic.task.task import Task


class TuneResult:
    """The outcome of ``tune``, also of an interrupted one; or a stored run (:meth:`load`).

    Args:
        study: The Optuna study; values are recorded under one fixed outer space.
        events: Everything that happened, from the first ``RunStarted`` on.
        task: The task; None for a loaded run, whose data is not stored.
        path: The run's folder; None when it was kept in memory.
        exchanges: Of a run without a folder, the records of its exchanges with the LLM.
    """

    def __init__(
        self,
        study: Study,
        events: Iterable[Event],
        *,
        task: Task | None = None,
        path: Path | None = None,
        code_parts: dict[str, Any] | None = None,
        objects: Objects | None = None,
        exchanges: Iterable[dict[str, Any]] = (),
    ) -> None:
        self.study = study
        self.events: list[Event] = list(events)
        self._path = path
        self._task = task
        self._code_parts = code_parts or {}
        self._exchanges = list(exchanges)
        self._importances: dict[tuple[str, int], dict[str, float]] = {}
        """By kind and number of finished trials."""
        self.objects: Objects = object_choices.stored(study) if objects is None else objects
        """What the labels among the choices stand for: parameter -> label -> object."""

    # The winner

    @property
    def name(self) -> str:
        """The run's name; that of its folder, if it was given another one since."""
        folder = self.path
        return str(self._run.get("name", "run")) if folder is None else folder.name

    @property
    def path(self) -> Path | None:
        """The run's folder, also after it was renamed; None when it was kept in memory, or deleted."""
        return None if self._path is None else archive.folder_of(self._path, self.events)

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
    def failures(self) -> list[dict[str, Any]]:
        """The causes of the failed trials, the most frequent first: cause, category, count, and trial and
        params of the first one.
        """
        return failure_table(self.study.get_trials(deepcopy=False))

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """What libraries warned of in this run's fits and between them, the most frequent first.

        Each is a dict: ``category`` (name of the class), ``text`` (without folders; texts that differ in
        numbers only are one), ``count``, ``n_trials`` (trials that had it) and ``trial`` (number of the
        first, None between the fits).
        """
        between = {
            f"{row['category']}: {row['text']}": row["count"]
            for row in self.summary.get("warnings") or ()
            if row["trial"] is None
        }
        return warning_table(self.study.get_trials(deepcopy=False), between)

    @property
    def best_trial(self) -> FrozenTrial:
        """The feasible trial with the best value, or with ``select="recheck"`` the one that was kept.

        Raises:
            InputError: No trial has a score, none is feasible, or there are several objectives.
        """
        if len(self.study.directions) > 1:
            raise InputError(
                "several objectives have no single best.",
                "best_trials has those that no other beats in all of them.",
            )
        trials = self.study.get_trials(deepcopy=False)
        if not any(scored(t) for t in trials):
            if n_infeasible := sum(state_of(t) == "INFEASIBLE" for t in trials):
                raise InputError(
                    f"no trial is feasible: a constraint does not hold in {count(n_infeasible, 'trial')}.",
                    "trials_dataframe() shows their values, trials their constraints.",
                )
            failures = self.failures
            why = ""
            if failures:
                cause = one_line(failures[0]["cause"], 600).rstrip(".")
                why = f" {failures[0]['count']} failed with: {cause}."
            raise InputError(f"no trial has a score.{why}", "trials_dataframe() shows what became of each.")
        number = (self.summary.get("selection") or {}).get("number")
        selected = next((t for t in trials if t.number == number), None)
        return self.study.best_trial if selected is None else copy.deepcopy(selected)

    @property
    def best_trials(self) -> list[FrozenTrial]:
        """The Pareto front: feasible trials that no other beats in every objective; of one objective, the
        best; [] without any.
        """
        if not any(scored(t) for t in self.study.get_trials(deepcopy=False)):
            return []
        return self.study.best_trials if len(self.study.directions) > 1 else [self.best_trial]

    @property
    def best_value(self) -> float:
        """The best cross-validated value, in the metric's own sign."""
        return float(self.best_trial.values[0])

    @property
    def default_value(self) -> float | None:
        """The value of the library's default configuration; None when there is none."""
        for trial in self.study.get_trials(deepcopy=False):
            if trial.user_attrs.get(attrs.SOURCE) == "default" and scored(trial):
                return float(trial.values[0])
        return None

    @property
    def best_params(self) -> dict[str, Any]:
        """The parameters to set on the estimator for :attr:`best_value`; {} when its defaults were best.

        Objects stand for the labels that the trial has, tuples for instance.
        """
        return decoded(winning_params(self.best_trial), self.objects)

    @cached_property
    def best_estimator(self) -> Any:
        """The estimator with :attr:`best_params`, fitted on all of X and y.

        Raises:
            InputError: The run was loaded, so its data is not at hand, or tuned an objective.
        """
        if self._task is None or self._task.estimator is None:
            raise InputError(
                "there is no estimator to fit: a stored run has no data, an objective no estimator, and a "
                "SLLMBOSearchCV fits its own.",
                "Use best_params, or code(); of a search, best_estimator_.",
            )
        from sllmbo_magic.evaluation import refit

        return refit(self._task, self.best_params)

    # The story

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials that have begun; queued ones are not among them."""
        return [t for t in self.study.trials if t.state.name != "WAITING" and not is_withdrawn(t)]

    @property
    def history(self) -> list[dict[str, Any]]:
        """The chat: per exchange request, purpose, trial_number, prompt, reply, reasoning, candidates, usage,
        seconds and ``trials``, the numbers and values of the trials it led to."""
        return exchanges(self.events, self.study.get_trials(deepcopy=False))

    @property
    def space_versions(self) -> list[SpaceVersion]:
        """How the search space evolved, and why; empty for objectives that suggest for themselves."""
        stored = self.study.user_attrs.get(attrs.SPACE_VERSIONS) or []
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
        column = f"user_attrs_{attrs.SOURCE}"
        if column in frame:
            frame.insert(1, "source", frame[column])
        return frame

    def bundle(self, *, limit_trials: int | None = None, limit_chat: int | None = None) -> dict[str, Any]:
        """The whole run as plain data, schema 1: what every view shows."""
        from sllmbo_magic.report.bundle import RunView
        from sllmbo_magic.report.summary import verdict

        view = RunView()
        for event in self.events:
            view.apply(event)
        bundle = view.snapshot(limit_trials=limit_trials, limit_chat=limit_chat)
        bundle["run"]["name"] = self.name
        bundle["importances"] = self.importances()
        if "verdict" in (summary := bundle["run"].get("summary") or {}):
            # in today's words, as the card has it, also where an older version stored another sentence
            bundle["run"]["summary"] = {**summary, "verdict": verdict(bundle)}
        return bundle

    def importances(self, kind: str = "ped-anova") -> dict[str, float]:
        """Share of the score's variation that goes with each parameter, largest first; {} under 8 trials, and
        for several objectives.

        A parameter that had one value in all of them has none. Where the objective asks the trial for its
        parameters, the surrogate has no search space, and so no shares.

        Args:
            kind: ``"ped-anova"``: Optuna's PED-ANOVA when every trial has every parameter, else rank
                correlations. ``"surrogate"``: total Sobol indices of the Gaussian process over the space.

        Raises:
            InputError: The kind is none of these.
        """
        from sllmbo_magic.tuning.importance import study_importances

        n_finished = sum(trial.state.is_finished() for trial in self.study.get_trials(deepcopy=False))
        if (kind, n_finished) not in self._importances:  # each view asks for them
            self._importances = {**self._importances, (kind, n_finished): study_importances(self.study, kind)}
        return dict(self._importances[kind, n_finished])

    def importance_intervals(
        self, kind: str = "ped-anova", resamples: int = 20
    ) -> dict[str, tuple[float, float]]:
        """Between which shares 90 % of resamples of the trials lie, per parameter of :meth:`importances`.

        Args:
            kind: As in :meth:`importances`. The surrogate keeps the kernel of all trials.
            resamples: Trials are drawn with replacement so many times; each costs about what
                :meth:`importances` does.

        Raises:
            InputError: The kind is none of these.
        """
        from sllmbo_magic.tuning.importance import study_intervals

        return study_intervals(self.study, kind, resamples)

    # Marks

    def note(self, trial: int, text: str | None = None, *, star: bool | None = None) -> None:
        """Put a note or a star on a trial; kept in the study and in the run's folder, shown in every view.

        Args:
            trial: Number of the trial, from 0.
            text: At most 500 characters; ``""`` takes the note away, None leaves it as it is.
            star: True or False; None leaves it as it is.

        Raises:
            InputError: There is no such trial, or neither text nor star.
            StorageError: The run's folder cannot be written.
        """
        if text is None and star is None:
            raise InputError("a note needs a text or a star.", "note(3, 'odd'), note(3, star=True)")
        self.apply_mark({"trial": trial, "text": text, "star": star})

    def apply_mark(self, value: dict[str, Any], id: str | None = None) -> list[Event]:
        """:meth:`note` by the value of the command ``note`` (see ``control.check``); returns what happened.

        Args:
            value: ``trial``, ``text``, ``star``.
            id: Of the command, where a view sent it.
        """
        events = mark_stored(self.study, self.path, len(self.trials), value, id)
        self.events += events
        for event in events:
            observers.marked(self, event)
        return events

    # Pictures

    def plot_history(self, **options: Any) -> Any:
        """Each trial with its fold spread, the best so far, the default, by source: a matplotlib figure."""
        return self._plot("plot_history", options)

    def plot_search_space(self, **options: Any) -> Any:
        """One small picture per parameter: its range over the trials, and each trial's value."""
        return self._plot("plot_search_space", options)

    def plot_importances(self, *, kind: str = "ped-anova", intervals: bool = False, **options: Any) -> Any:
        """How much each parameter matters; with ``intervals`` also how sure that is, as lines on the bars."""
        from sllmbo_magic.report import figures

        bundle = {**self.bundle(), "importances": self.importances(kind)}
        lines = self.importance_intervals(kind) if intervals else None
        return figures.plot_importances(bundle, intervals=lines, **options)

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
        """The winner as runnable Python: what :attr:`best_estimator` is before its fit, with its seeds."""
        from sllmbo_magic.report.code import code

        estimator = None if self._task is None else self._task.estimator
        return str(code(estimator, self.best_params, parts=self._code_parts, seeded=True))

    # Keeping

    def save(self, path: str | Path) -> Path:
        """Write study, transcript, events and report into one zip file; returns its path.

        The file holds no data, no estimator and no key, and plays again with ``llm="replay:PATH"``. Your
        own attributes become lists or texts where JSON has no such values.

        Raises:
            InputError: The path is a folder.
            StorageError: The file cannot be written.
        """
        folder, name = self.path, self.name
        return archive.write(
            path,
            self.study,
            # under the name that the run has now
            [
                replace(e, run={**e.run, "name": name}) if isinstance(e, RunStarted) else e
                for e in self.events
            ],
            self.bundle(),
            code_parts=self._code_parts,
            exchanges=self._exchanges if folder is None else archive.exchanges_in(folder),
        )

    @classmethod
    def load(cls, path: str | Path, *, storage: str | BaseStorage | None = None) -> TuneResult:
        """A result from a file of :meth:`save` or from a run's folder (``.sllmbo/NAME``).

        Args:
            path: The file or the folder.
            storage: Where the trials are that are not in the folder, as ``tune`` takes it; default: what the
                run noted, which holds no password.

        Raises:
            InputError: The path is none.
            StorageError: There is no such run, or it cannot be read.
        """
        path = user_path(path).absolute()  # the notebook may change its folder, and notes follow it
        stored = archive.read(path, storage)
        return cls(
            stored.study,
            stored.events,
            path=path if path.is_dir() else None,
            code_parts=stored.code_parts,
            exchanges=stored.exchanges,
        )

    def __repr__(self) -> str:
        from sllmbo_magic.report.summary import result_text

        return result_text(self.bundle())

    def _repr_html_(self) -> str:
        """The card that a notebook shows."""
        from sllmbo_magic.report.card import card

        return card(self.bundle())

    @property
    def _run(self) -> dict[str, Any]:
        for event in self.events:
            if isinstance(event, RunStarted):
                return event.run
        return {}


def winning_params(trial: FrozenTrial) -> dict[str, Any]:
    """What to set on the estimator to repeat a trial: its parameters and those the space held fixed."""
    provenance = trial.user_attrs.get(attrs.PROVENANCE) or {}
    if provenance.get("library_defaults"):
        return {}
    return {**trial.params, **(trial.user_attrs.get(attrs.EVALUATION) or {}).get("fixed", {})}
