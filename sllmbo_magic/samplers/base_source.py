"""The base sampler as a source of trials: its draws, and the initial design in place of a random start."""

from __future__ import annotations

from typing import Any

from sllmbo_magic.proposers.space_filling import N_STARTS
from sllmbo_magic.proposers.space_filling import initial_configuration
from sllmbo_magic.proposers.space_filling import reason_of
from sllmbo_magic.samplers import finite
from sllmbo_magic.samplers._trial import Suggestion
from sllmbo_magic.samplers._trial import TrialContext
from sllmbo_magic.samplers.base_sampler import BaseSamplerAdapter
from sllmbo_magic.space.search_space import SearchSpace


class BaseSource:
    """Suggestions of the base sampler.

    Args:
        sampler: The wrapped sampler.
        label: What its trials are labelled with, ``"tpe"`` for example.
    """

    def __init__(self, sampler: BaseSamplerAdapter, label: str) -> None:
        self.sampler = sampler
        self.label = label

    @property
    def is_default(self) -> bool:
        """Whether it is the TPE that runs have unless the user chooses another sampler."""
        return self.label == "tpe"

    def suggest(
        self, context: TrialContext, reason: str = "", source: str = "", *, is_rated: bool = False
    ) -> Suggestion:
        """One configuration that no trial had, where the space has one left.

        Args:
            reason: Why the base sampler takes the trial, for its provenance.
            source: Instead of the label.
            is_rated: Whether a surrogate compares the draw with others. TPE then models all parameters
                together; else, in a search with an initial design, each by itself, which searches more
                broadly.
        """
        if context.spaces.outer is not None:
            suggestion = self._in_declared_space(context, reason, source or self.label, is_rated)
        else:
            space = context.spaces.current
            params = self.sampler.sample_undeclared(context.study, context.trial, dict(space))
            params = self._untried(context, space, params) or params
            suggestion = Suggestion(params, source or self.label, {"reason": reason})
        return suggestion

    def _in_declared_space(
        self, context: TrialContext, reason: str, source: str, is_rated: bool
    ) -> Suggestion:
        outer, space = context.spaces.outer, context.spaces.base
        assert outer is not None
        number = context.trial.number
        if self._is_start(context):
            params = {**self._design_point(space, context), **space.fixed}
            reason = reason or reason_of(number)
        else:
            params = self.sampler.sample(
                context.study,
                number,
                outer,
                space,
                context.rng,
                trials=context.trials,
                per_parameter=context.has_design and not is_rated,
            )
        untried = self._untried(context, space, params)
        if untried is not None:
            # the draw that its trial does not have
            self.sampler.forget(context.study, context.trial, is_tried=True)
            params = untried
        more = {} if space is context.spaces.current else {"wide_space": True}
        return Suggestion(params, source, {"reason": reason, **more})

    def _design_point(self, space: SearchSpace, context: TrialContext) -> dict[str, Any]:
        """The design's point for this trial, or the next one that no trial had: the rulebook takes a later
        point where a trial of another seed or of the user's is close to its own.
        """
        number, seed = context.trial.number, self.sampler.seed
        points = (initial_configuration(space, seed, index) for index in range(number, number + N_STARTS))
        untried = (point for point in points if context.history.trial_with(point) is None)
        return next(untried, None) or initial_configuration(space, seed, number)

    def _untried(
        self, context: TrialContext, space: SearchSpace, params: dict[str, Any]
    ) -> dict[str, Any] | None:
        """See :func:`finite.untried`; what the sampler keeps at one value stays there."""
        reachable = context.spaces.reachable
        for name in self.sampler.fixed & {*space} & {*params}:
            space = space.drop(name, params[name])
            reachable = reachable.drop(name, params[name]) if name in reachable else reachable
        return finite.untried(space, reachable, params, context.history, context.rng)

    def _is_start(self, context: TrialContext) -> bool:
        """Whether TPE would draw at random where the initial design covers the space better."""
        few = context.history.n_evaluated < N_STARTS
        return few and self.is_default and context.has_design
