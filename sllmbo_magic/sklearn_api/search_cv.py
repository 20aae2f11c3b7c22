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

from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Event
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.history.trials import scored
from sllmbo_magic.history.trials import state_of
from sllmbo_magic.llm.addresses import check_base_url
from sllmbo_magic.llm.budget import Budget
from sllmbo_magic.options import BY_ARGUMENT
from sllmbo_magic.options.values import check
from sllmbo_magic.options.values import type_name
from sllmbo_magic.report.code import parts_of
from sllmbo_magic.report.text import one_line
from sllmbo_magic.samplers.base_sampler import check_fixed_params
from sllmbo_magic.sklearn_api.evaluator import Candidates
from sllmbo_magic.sklearn_api.isolated_fits import check_jobs
from sllmbo_magic.sklearn_api.isolated_fits import in_processes
from sllmbo_magic.sklearn_api.metric import check_metric
from sllmbo_magic.task.data import is_missing
from sllmbo_magic.task.validation import kind_of
from sllmbo_magic.tuning.observers import log_problems
from sllmbo_magic.tuning.plan_space import check_space
from sllmbo_magic.tuning.result import TuneResult
from sllmbo_magic.tuning.settings import Settings
from sllmbo_magic.tuning.settings import check_callbacks
from sllmbo_magic.tuning.settings import make_settings
from sllmbo_magic.tuning.settings import own_configurations
from sllmbo_magic.tuning.tune import tune


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
        patience: Candidates without improvement before the search ends, ``"auto"`` or ``"off"``; None
            (default): ``"off"``, or what a preset in ``tune_options`` says.
        tune_options: Dict of further arguments of ``tune``, those in :data:`TUNE_OPTIONS`.
        name: Keeps the run in ``.sllmbo/NAME``; None (default) keeps it in memory.
        scoring: As in ``GridSearchCV``; None (default) is the estimator's own ``score``. Of several metrics
            the one that ``refit`` names is optimised. An own function that is named like a loss is refused.
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
        patience: int | str | None = None,
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
                Unlike there, also when no candidate has a finite score; ``result_`` has the causes.
            KeyboardInterrupt: The search was interrupted, which ends the fit in flight at once. What was
                scored until then is in ``result_``.
        """
        self._check_options()
        self._check_target(y)
        check_metric(self.estimator, self.scoring, self.refit, y)
        with in_processes(isolate=bool((self.tune_options or {}).get("isolate"))):
            super().fit(X, y, **params)
        return self

    def _run_search(self, evaluate_candidates: Callable[..., dict[str, Any]]) -> None:
        """Called once by ``BaseSearchCV.fit``, with the function that scores candidates."""
        candidates = Candidates(self, evaluate_candidates)
        candidates.score_default()  # first of all, so that unfit data raises scikit-learn's own errors
        options = {n: v for n, v in (self.tune_options or {}).items() if n not in _BY_JOBLIB}
        if self.verbose:
            options["sinks"] = (*(options.get("sinks") or (log_problems,)), _print_trial)
        result = tune(
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
            result.study,
            result.events,
            path=result.path,
            code_parts=parts_of(self.estimator),
            objects=result.objects,
            exchanges=result._exchanges,
        )
        if result.status == "interrupted":
            raise KeyboardInterrupt
        trials = result.study.get_trials(deepcopy=False)
        infeasible = [t for t in trials if state_of(t) == "INFEASIBLE"]
        if not any(scored(t) for t in trials) or not candidates.has_results:
            # BaseSearchCV would refit the first candidate, as if it were the best.
            if infeasible:
                raise InputError(
                    f"no candidate is feasible: a constraint does not hold in {len(infeasible)}.",
                    "result_.trials_dataframe() shows what became of each.",
                )
            failures = result.failures or [{"count": n, "cause": c} for c, n in candidates.causes.items()]
            causes = "; ".join(
                f"{row['count']} failed with: {one_line(row['cause'], 300).rstrip('.')}"
                for row in failures[:3]
            )
            raise InputError(
                f"no candidate has a score{f': {causes}' if causes else ''}.",
                "result_.trials_dataframe() shows what became of each.",
            )
        candidates.complete_results(result)
        # scikit-learn also ranks infeasible candidates, and takes an infinite score for the best
        best_number = result.summary.get("best_number")
        number = (result.summary.get("selection") or {}).get("number", best_number)
        self._selected_row = candidates.row_of(number)

    def _select_best_index(self, refit: Any, refit_metric: str, results: dict[str, Any]) -> Any:
        """The row that ``best_index_`` names: the best trial of ``result_``, unless ``refit`` selects."""
        selected = getattr(self, "_selected_row", None)
        if selected is not None and not callable(refit):
            return selected
        return super()._select_best_index(refit, refit_metric, results)

    def _main_options(self) -> dict[str, Any]:
        options = {name: getattr(self, name) for name in ("n_trials", "sampler", "llm", "timeout")}
        return options if self.patience is None else {**options, "patience": self.patience}

    def _check_options(self) -> None:
        if not hasattr(self.estimator, "fit"):  # scikit-learn says so after the search space is read
            raise InputError(f"estimator is {type_name(self.estimator)}.", "Allowed: an estimator with fit.")
        for name in self.tune_options or {}:
            if name not in TUNE_OPTIONS:
                is_argument = name in self.get_params(deep=False)
                role = "an argument of SLLMBOSearchCV itself" if is_argument else "not one of its options"
                hint = f"Allowed: {', '.join(TUNE_OPTIONS)}."
                raise InputError(f"tune_options: {name!r} is {role}.", hint)
        options = {**self._main_options(), **(self.tune_options or {})}
        settings = make_settings(
            options.get("preset"),
            {name: value for name, value in options.items() if name in Settings.names()},
        )
        if not isinstance(self.random_state, np.random.RandomState):  # a look must not draw from it
            _seed(self.random_state)
        if settings.trial_timeout is not None and not settings.isolate:
            raise InputError(
                "tune_options: trial_timeout needs isolate: only a process can be ended in a fit.",
                'Write tune_options={"isolate": True, "trial_timeout": 60}.',
            )
        check_jobs(self.n_jobs, isolate=settings.isolate)
        self._check_space(options)
        check_callbacks(options.get("callbacks", ()))
        if settings.base_url is not None:
            check_base_url(settings.base_url)
        if settings.uses_llm:
            from sllmbo_magic.llm.registry import make_provider

            limits = Budget(settings.max_requests, settings.max_tokens, settings.max_cost)
            make_provider(settings.llm, base_url=settings.base_url, budget=limits, ask=options.get("ask"))

    def _check_space(self, options: Mapping[str, Any]) -> None:
        """Read the space, and the user's configurations in it, before the default is fitted."""
        outer = check_space(self.estimator, self.search_space)
        check_fixed_params(self.sampler, outer)
        for configuration in own_configurations(options.get("enqueue", ())):
            unknown = [name for name in configuration if name not in outer and name not in outer.fixed]
            if unknown:
                raise InputError(
                    f"enqueue: the search space has no parameter {unknown[0]!r}.",
                    f"It has: {', '.join(outer)}.",
                )

    def _check_target(self, y: Any) -> None:
        """Gaps in the target: scikit-learn fails in some folds, or scores NaN, without naming the cause."""
        if y is None or kind_of(self.estimator) not in ("classification", "regression"):
            return
        gaps = is_missing(y)
        if gaps:
            raise InputError(
                f"y has {gaps} missing {'value' if gaps == 1 else 'values'}.",
                "Drop those rows of X and y, or fill them.",
            )


class _EndAtOnce(Control):
    """An interrupt raises in the fit in flight, as in scikit-learn's searches, and waits for no fold."""

    @property
    def abandoning(self) -> bool:
        return True


def _seed(random_state: Any) -> int | None:
    """The seed of the search. Raises InputError for what is neither None, a RandomState nor a seed."""
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    seed: int | None = check(BY_ARGUMENT["seed"], random_state, "random_state")
    return seed


def _print_trial(event: Event) -> None:
    if isinstance(event, TrialFinished):
        value = "failed" if event.value is None else f"{event.value:.5g}"
        value += " (infeasible)" if event.state == "INFEASIBLE" else ""
        best = "" if event.best_value is None else f", best {event.best_value:.5g}"
        print(f"trial {event.number} ({event.source}): {value}{best}")


_BY_SCIKIT_LEARN = {"pruner", "early_stopping_rounds", "devices", "seed"}
"""Settings without effect here: scikit-learn fits all folds of a candidate; ``random_state`` is the seed."""
_BY_JOBLIB = ("isolate", "trial_timeout")
"""Options that ``tune`` does not see: scikit-learn's own fits run in processes, and are ended."""

TUNE_OPTIONS = tuple(
    sorted(
        {*Settings.names(), "callbacks", "enqueue", "preset", "sinks", "warm_start"}
        - _BY_SCIKIT_LEARN
        - set(inspect.signature(SLLMBOSearchCV).parameters)
    )
)
"""The further arguments of ``tune`` that ``tune_options`` may hold."""
