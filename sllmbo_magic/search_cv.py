"""``SLLMBOSearchCV``: the search of ``tune`` behind scikit-learn's search interface.

Configurations come from ``tune``; they are scored by scikit-learn's own ``BaseSearchCV``, of whose extension
point (``_run_search``) this is a user. So folds, scorers, sample weights, metadata routing, ``error_score``
and ``cv_results_`` are those of ``GridSearchCV``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.model_selection._search import BaseSearchCV

from sllmbo_magic._candidates import Candidates
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Event
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.report.code import parts_of
from sllmbo_magic.result import TuneResult
from sllmbo_magic.settings import Settings
from sllmbo_magic.tuning import tune

TUNE_OPTIONS = (
    "anonymize",
    "base_url",
    "callbacks",
    "candidates",
    "dynamic_space",
    "enqueue",
    "history",
    "init",
    "judge",
    "llm_ratio",
    "max_cost",
    "max_requests",
    "max_tokens",
    "multivariate",
    "permute_scores",
    "preset",
    "schedule",
    "share_columns",
    "sinks",
    "warm_start",
)
"""The further arguments of ``tune`` that ``tune_options`` may hold."""

assert set(TUNE_OPTIONS) <= set(inspect.signature(tune).parameters)


class SLLMBOSearchCV(BaseSearchCV):  # type: ignore[misc]  # scikit-learn ships no types
    """Search for the parameters with the best cross-validated score, with an LLM and a Bayesian sampler.

    The first candidate is the estimator as it is, ``{}`` in ``cv_results_["params"]``.

    Args:
        estimator: Any estimator of scikit-learn's kind, also a ``Pipeline``.
        n_trials: Candidates to score, the first one included; default 50.
        search_space: Dict of Optuna distributions, (low, high[, "log"]) tuples and lists; None (default):
            written for the estimator.
        sampler: ``"llm-tpe"`` (default), ``"llm"``, ``"tpe"``, ``"random"``, ``"gp"``, ``"cmaes"``,
            ``"hyperopt"`` or an Optuna sampler.
        llm: ``"rulebook"`` (default: expert rules, no LLM), ``"openai:MODEL"``, ..., or a ``Provider``.
        description: The task in words, for the LLM.
        timeout: Seconds after which no further candidate is scored.
        patience: Candidates without improvement before the search ends, ``"auto"`` or ``"off"`` (default).
        tune_options: Dict of further arguments of ``tune``, those in :data:`TUNE_OPTIONS`.
        name: Keeps the run in ``.sllmbo/NAME``; None (default) keeps it in memory.
        scoring: As in ``GridSearchCV``; None (default) is the estimator's own ``score``. Of several metrics
            the one that ``refit`` names is optimised.
        n_jobs: Folds of a candidate that run at once, as in ``GridSearchCV``.
        refit: As in ``GridSearchCV``.
        cv: As in ``GridSearchCV``, default 5. Folds are drawn once: all candidates see the same.
        verbose: 1 also prints a line per candidate.
        pre_dispatch: As in ``GridSearchCV``.
        random_state: Seed of the search.
        error_score: As in ``GridSearchCV``.
        return_train_score: As in ``GridSearchCV``.

    Attributes:
        result_: The ``TuneResult``: study, chat, pictures, report. It holds no data; the fitted model is
            ``best_estimator_``.
        cv_results_: As in ``GridSearchCV``, in the order of the trials, and ``source``: who proposed it.
        best_estimator_: As in ``GridSearchCV``; so are ``best_params_``, ``best_score_``, ``best_index_``,
            ``n_splits_``, ``refit_time_``, ``scorer_``, ``multimetric_``, ``classes_``, ``n_features_in_``
            and ``feature_names_in_``.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        n_trials: int = 50,
        search_space: Any = None,
        sampler: Any = "llm-tpe",
        llm: Any = "rulebook",
        description: str = "",
        timeout: float | None = None,
        patience: int | str = "off",
        tune_options: Mapping[str, Any] | None = None,
        name: str | None = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = 5,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.n_trials = n_trials
        self.search_space = search_space
        self.sampler = sampler
        self.llm = llm
        self.description = description
        self.timeout = timeout
        self.patience = patience
        self.tune_options = tune_options
        self.name = name
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, **params: Any) -> SLLMBOSearchCV:
        """Search, and fit the best candidate on all rows.

        Args:
            X: Data, n rows.
            y: Target; None for estimators that need none.
            params: ``groups``, ``sample_weight`` and more, as ``GridSearchCV.fit`` takes them.

        Raises:
            InputError: An option is not one of those allowed; said before the first fit.
            ValueError: What ``GridSearchCV.fit`` raises for data that cannot be fitted; other errors, too.
            KeyboardInterrupt: The search was interrupted, which ends the fit in flight at once. What was
                scored until then is in ``result_``.
        """
        self._check_options()
        super().fit(X, y, **params)
        return self

    def _run_search(self, evaluate_candidates: Callable[..., dict[str, Any]]) -> None:
        """Called once by ``BaseSearchCV.fit``, with the function that scores candidates."""
        candidates = Candidates(self, evaluate_candidates)
        candidates.score_default()  # first of all, so that unfit data raises scikit-learn's own errors
        options = dict(self.tune_options or {})
        if self.verbose:
            options["sinks"] = (*options.get("sinks", ()), _print_trial)
        found = tune(
            candidates.task(),
            search_space=self.search_space,
            evaluator=candidates,
            name=self.name,
            folder="" if self.name is None else None,
            seed=_seed(self.random_state),
            control=_EndAtOnce(),
            verify=False,
            **self._main_options(),
            **options,
        )
        self.result_ = TuneResult(
            found.study, found.events, path=found.path, code_parts=parts_of(self.estimator)
        )
        if found.status == "interrupted":
            raise KeyboardInterrupt
        candidates.complete_results(found)

    def _main_options(self) -> dict[str, Any]:
        names = ("n_trials", "sampler", "llm", "timeout", "patience")
        return {name: getattr(self, name) for name in names}

    def _check_options(self) -> None:
        for name in self.tune_options or {}:
            if name not in TUNE_OPTIONS:
                own = name in self.get_params(deep=False)
                where = "an argument of SLLMBOSearchCV itself" if own else "not one of its options"
                allowed = f"Allowed: {', '.join(TUNE_OPTIONS)}."
                raise InputError(f"tune_options: {name!r} is {where}.", allowed)
        options = {**self._main_options(), **(self.tune_options or {})}
        settings = Settings(**{k: v for k, v in options.items() if k in Settings.__dataclass_fields__})
        if settings.uses_llm and isinstance(settings.llm, str):
            from sllmbo_magic.llm.registry import check_key

            check_key(settings.llm, settings.base_url)
        one_metric = self.scoring is None or isinstance(self.scoring, str) or callable(self.scoring)
        if not one_metric and not isinstance(self.refit, str):
            raise InputError("scoring holds several metrics.", "Name in refit the one that is optimised.")


class _EndAtOnce(Control):
    """An interrupt raises in the fit in flight, as in scikit-learn's searches, and waits for no fold."""

    @property
    def abandoning(self) -> bool:
        return True


def _seed(random_state: Any) -> int | None:
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    return None if random_state is None else int(random_state)


def _print_trial(event: Event) -> None:
    if isinstance(event, TrialFinished):
        value = "failed" if event.value is None else f"{event.value:.5g}"
        best = "" if event.best_value is None else f", best {event.best_value:.5g}"
        print(f"trial {event.number} ({event.source}): {value}{best}")
