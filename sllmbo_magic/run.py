"""One call of ``tune``: the objects of a run and the order in which they come to life."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from sllmbo_magic import keys
from sllmbo_magic.closing import Closing
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.evaluator import Evaluator
from sllmbo_magic.evaluator import evaluator_for
from sllmbo_magic.events import Note
from sllmbo_magic.events import RunStarted
from sllmbo_magic.events import Sink
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.history import counts
from sllmbo_magic.initializer import initialize
from sllmbo_magic.initializer import queue_random
from sllmbo_magic.linked import carried_over
from sllmbo_magic.linked import current
from sllmbo_magic.linked import link
from sllmbo_magic.plan import Plan
from sllmbo_magic.proposers.beyond import gained
from sllmbo_magic.proposers.beyond import joined
from sllmbo_magic.record import Record
from sllmbo_magic.remembered import remember
from sllmbo_magic.result import TuneResult
from sllmbo_magic.run_folder import RunFolder
from sllmbo_magic.samplers import LLMTPESampler
from sllmbo_magic.samplers.growth import Growth
from sllmbo_magic.settings import base_sampler
from sllmbo_magic.space import SearchSpace
from sllmbo_magic.space import SpaceVersion
from sllmbo_magic.stopping import make_rule
from sllmbo_magic.storage import check_fingerprint
from sllmbo_magic.storage import open_storage
from sllmbo_magic.storage import quiet_optuna
from sllmbo_magic.storage import requeue_stale
from sllmbo_magic.surroundings import executor_of
from sllmbo_magic.surroundings import interrupts
from sllmbo_magic.surroundings import warm_up
from sllmbo_magic.tuner import Outcome
from sllmbo_magic.tuner import Tuner
from sllmbo_magic.wishes import enqueue as enqueue_params

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from sllmbo_magic.llm.base import Provider


class Run:
    """A run from its first event to its last.

    Args:
        plan: What to run.
        folder: Where it is kept; None keeps it in memory.
        control: The user's wishes.
        sinks: Take the events.
        storage: As ``tune`` has it.
        study: A study of the caller to work in.
        resume: Whether to go on with what the folder holds.
        seeded: Whether the user gave the seed; else a resumed run keeps its own.
    """

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder | None,
        control: Control,
        sinks: tuple[Sink, ...],
        storage: str | BaseStorage | None,
        study: Study | None,
        resume: bool,
        seeded: bool,
    ) -> None:
        self.plan = plan
        self.task = plan.task
        self.settings = plan.settings
        self.folder = folder
        self.control = control
        started = time.time()
        self.resumed = resume and folder is not None and folder.resumed
        options = self._check_resume(seeded) if self.resumed else {}
        self.record = Record(self.plan, folder, sinks, self.resumed)
        self.emit = self.record.emit
        self.remembered = remember(self.record.events)
        self.remembered.forget_changed(options, self.settings.sampler_name, self.settings.llm_ratio)
        own_journal = study is None and storage is None and folder is not None
        self.closing = Closing(self.record, control, own_journal, started)
        self._wish_offset = 0
        self._own_study = study is None
        self.study = study if study is not None else self._open_study(storage)
        self.multi = len(self.study.directions) > 1
        self.sampler: LLMTPESampler | None = None
        self.source = "base"
        self.tuner: Tuner | None = None

    def _check_resume(self, seeded: bool) -> dict[str, Any]:
        """The options of the earlier process. Raises RunChangedError when its trials would not compare."""
        assert self.folder is not None
        meta = self.folder.read_meta()
        check_fingerprint(meta.get("fingerprint") or {}, self.plan.fingerprint())
        if not seeded and isinstance(meta.get("seed"), int):
            self.settings = replace(self.settings, seed=meta["seed"])
            self.plan = replace(self.plan, settings=self.settings)
        return dict(meta.get("options") or {})

    def _open_study(self, storage: str | BaseStorage | None) -> Study:
        directions = self.task.directions or [self.task.direction]
        name = self.task.name
        if self.resumed and self.folder is not None:  # a run may have been renamed; its study is not
            name = self.folder.read_meta().get("study_name") or name
        with warnings.catch_warnings(), quiet_optuna():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(
                study_name=name,
                storage=open_storage(storage, self.folder),
                directions=list(directions),
                load_if_exists=self.resumed or storage is not None,
            )
            return current(study)

    # The run

    def execute(
        self,
        *,
        enqueue: Sequence[Mapping[str, Any]],
        warm_start: Any,
        callbacks: tuple[Callable[[Study, FrozenTrial], None], ...],
        executor: Executor | str | None,
        evaluator: Evaluator | None,
        verify: bool,
        taken: str,
        provider: Provider | None,
    ) -> TuneResult:
        """Run to the end and return the result."""
        if evaluator is not None and self.settings.early_stopping_rounds is not None:
            raise InputError("early_stopping_rounds has no effect on an evaluator of yours.", "Leave it out.")
        proposer = self.plan.proposer(provider, transcript=self.record.transcript, emit=self.emit)
        self.record.write_start(self.study.study_name)
        pool, parallel, owned = executor_of(executor)
        s, pruning = self.settings, self.plan.pruning
        evaluator = evaluator or evaluator_for(
            self.task,
            s.n_jobs if pool is None else 1,
            reporting=None if pruning is None else pruning.reporting,
            early_stopping=s.early_stopping_rounds,
        )
        before = self.study.sampler, self.study.pruner
        if pruning is not None:
            self.study.pruner = pruning.pruner
        elif s.pruner is not None:
            self.study.pruner = optuna.pruners.NopPruner()
        if self.settings.uses_llm or self.settings.judge:
            threading.Thread(target=warm_up, args=(provider,), name="sllmbo-warm-up", daemon=True).start()
        with quiet_optuna():
            try:
                self._prepare(proposer, taken)
                self._queue_first(enqueue, warm_start)
                outcome = self._loop(evaluator, pool, parallel, callbacks)
                return self.closing.finish(self.study, self.sampler, outcome, verify)
            except BaseException as error:
                self.closing.fail(error, None if self.tuner is None else self.tuner.failure)
                raise
            finally:
                self.study.sampler, self.study.pruner = before
                evaluator.close()
                if owned and pool is not None:
                    pool.shutdown(cancel_futures=True)

    def _prepare(self, proposer: Any, taken: str) -> None:
        s, plan = self.settings, self.plan
        trials = self.study.get_trials(deepcopy=False)
        about = self.record.about(taken, sum(counts(t) for t in trials))
        if self.remembered.mode is not None and not self.multi:
            about["sampler"] = self.remembered.mode
        if self.remembered.ratio is not None:
            about["llm_ratio"] = self.remembered.ratio
        self.emit(RunStarted(run=about))
        for note in plan.notes:
            self.emit(Note(text=note))
        if s.uses_llm:
            self.emit(Note(text=str(plan.forecast()["text"])))
        base, source = base_sampler(s)
        if self.multi:
            self.source = source
            self.study.sampler = base if isinstance(base, BaseSampler) else base(s.seed + len(trials))
            return
        sampler = LLMTPESampler(
            proposer=proposer,
            description=plan.description,
            candidates=s.candidates,
            schedule=s.schedule,
            llm_ratio=s.llm_ratio,
            judge=s.judge,
            base_sampler=base,
            base_source=source,
            dynamic_space=s.dynamic_space,
            n_trials=s.n_trials,
            seed=s.seed,
            emit=self.emit,
        )
        sampler.defaults = dict(plan.defaults)
        sampler.beyond = plan.beyond() if self._own_study else replace(plan.beyond(), by_llm=False)
        sampler.rules = plan.rulebook()
        sampler.cancelled = lambda: self.control.stopping
        sampler.mode = "tpe" if s.baseline else s.sampler
        self.sampler = sampler
        self.study.sampler = sampler
        versions = self.study.user_attrs.get(keys.SPACE_VERSIONS)
        stored = self.study.user_attrs.get(keys.OUTER_SPACE)
        if versions and self.resumed:
            sampler.restore([SpaceVersion.from_json(v) for v in versions], SearchSpace.from_json(stored))
            self._tell_untold(sampler)
        elif plan.space is not None and plan.outer is not None:
            by = "user" if plan.given_space else "prior"
            reason = "given by the user" if plan.given_space else "known ranges for this kind of estimator"
            outer = plan.outer
            if keys.CONTINUES in self.study.user_attrs:  # of an earlier run in the same storage
                outer = joined(SearchSpace.from_json(stored), outer)
            sampler.declare(plan.space, outer, reason=reason, by=by)
            sampler.store_versions(self.study)
        self.remembered.apply(sampler)
        if self.resumed:
            requeue_stale(self.study)

    def _tell_untold(self, sampler: LLMTPESampler) -> None:
        """Versions that the study has and the chat has not: the earlier process died between the two."""
        sampler.tell_versions({e.version for e in self.record.events if isinstance(e, SpaceChanged)})

    def _go_on(self, study: Study, growth: Growth, trial_number: int) -> Study:
        """The new study in which the run goes on with a grown outer space."""
        sampler = self.sampler
        assert sampler is not None
        assert sampler.outer is not None
        before, unsaid = sampler.outer, self.plan.beyond().defaults
        fresh = {n: v for n, v in {**unsaid, **before.fixed}.items() if n in growth.outer and n not in before}
        new = carried_over(study, growth.outer, fresh)
        self.study = new
        sampler.grow(new, growth, trial_number, lambda: link(study, new))
        text = (
            f"{gained(before, growth.outer)}. That is beyond the outer space of study {study.study_name}, so"
            f" the run goes on in study {new.study_name}, with all trials."
        )
        self.emit(Note(text=text, trial_number=trial_number))
        return new

    def _queue_first(self, enqueue: Sequence[Mapping[str, Any]], warm_start: Any) -> None:
        """Trial 0 is the library's default; then the user's own configurations, then those of an earlier
        run.
        """
        if self.resumed:
            return
        outer = None if self.sampler is None else self.sampler.outer
        if self.task.estimator is not None and outer is not None:
            recorded = outer.active(outer.complete(outer.clip(self.plan.defaults)))
            provenance = {
                "source": "default",
                "reason": "the library's default configuration",
                "library_defaults": True,
                "space_version": 0,
            }
            self.study.enqueue_trial(
                {n: v for n, v in recorded.items() if n in outer},
                user_attrs={keys.SOURCE: "default", keys.PROVENANCE: provenance},
            )
        for params in enqueue:
            enqueue_params(self.study, outer, dict(params))
        if warm_start is not None and self.multi:
            text = "Several objectives have no single best to start from: --warm-start is not used."
            self.emit(Note(text=text, level="warning"))
        elif warm_start is not None:
            from sllmbo_magic.warm_start import queue_best

            self.emit(Note(text=queue_best(self.study, outer, warm_start, self.task, self.folder)))
        if self.settings.init == "random" and self.sampler is not None and not self.settings.baseline:
            queue_random(self.study, self.sampler, self.settings.candidates)

    def _loop(
        self,
        evaluator: Evaluator,
        pool: Executor | None,
        parallel: int,
        callbacks: tuple[Callable[[Study, FrozenTrial], None], ...],
    ) -> Outcome:
        s = self.settings
        wants_init = (
            self.sampler is not None
            and self.plan.space is not None
            and not s.baseline
            and s.init == "llm"
            and not self._was_initialized()
        )
        self.tuner = Tuner(
            study=self.study,
            sampler=self.sampler,
            source=self.source,
            evaluator=evaluator,
            space=self._outer,
            control=self.control,
            emit=self.emit,
            n_trials=s.n_trials,
            stopping=make_rule(s.patience),
            timeout=s.timeout,
            trial_timeout=s.trial_timeout,
            initialize=self._initialize if wants_init else None,
            executor=pool,
            parallel=parallel,
            poll=self._poll if self.folder is not None else None,
            callbacks=(*callbacks, self._check_default),
            go_on=self._go_on if self._own_study else None,
            pruning=self.plan.pruning is not None,
        )
        with interrupts(self.control):
            try:
                return self.tuner.run()
            finally:
                self._cut_requests()

    def _cut_requests(self) -> None:
        """Nothing that is still asked will be used."""
        cancel = getattr(
            getattr(self.sampler and self.sampler.batches.proposer, "provider", None), "cancel", None
        )
        if cancel is not None:
            cancel()

    def _outer(self) -> SearchSpace | None:
        if self.sampler is not None:
            return self.sampler.outer
        return self.plan.outer

    def _was_initialized(self) -> bool:
        started = any(
            t.user_attrs.get(keys.SOURCE) in ("llm-init", "rulebook")
            for t in self.study.get_trials(deepcopy=False)
        )
        return self.resumed and started

    def _initialize(self) -> None:
        assert self.sampler is not None
        history = self.sampler.history(self.study)
        first = self.study.get_trials(deepcopy=False)[0]
        seconds = (first.user_attrs.get(keys.EVALUATION) or {}).get("seconds")
        initialize(
            self.study,
            self.sampler,
            self.plan.first_ask(history, seconds),
            fallback=self.plan.rulebook(),
            limits=self.plan.limits,
            emit=self.emit,
            grow=self.tuner.grow if self._own_study and self.tuner is not None else None,
        )

    def _check_default(self, study: Study, trial: FrozenTrial) -> None:
        """An estimator whose defaults cannot be fitted ends the run with the reason: no search mends that."""
        if trial.user_attrs.get(keys.SOURCE) != "default" or trial.state != optuna.trial.TrialState.FAIL:
            return
        evaluation = trial.user_attrs.get(keys.EVALUATION) or {}
        error = evaluation.get("error")
        if error in (None, "stopped", "timeout", "out-of-memory"):
            return
        failure = self.tuner.failure if self.tuner is not None else None
        words = (
            str(failure).strip().splitlines()[0][:300] if failure is not None and str(failure).strip() else ""
        )
        reason = f"{evaluation.get('error_class') or error}" + (f": {words}" if words else "")
        raise InputError(
            f"{type(self.task.estimator).__name__} cannot be fitted with its default parameters ({error};"
            f" {reason}).",
            "Mend the estimator or the data; nothing was searched.",
        ) from None

    def _poll(self) -> None:
        assert self.folder is not None
        wishes, self._wish_offset = self.folder.read_wishes(self._wish_offset)
        for wish in wishes:
            self.control.wish(wish.name, wish.value, id=wish.id)
