"""The arguments of ``LLMTPESampler``, checked before anything is made of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from optuna.samplers import BaseSampler

from sllmbo_magic.errors import InputError
from sllmbo_magic.history.hints import Hint
from sllmbo_magic.options import BY_ARGUMENT
from sllmbo_magic.options.values import check
from sllmbo_magic.options.values import type_name
from sllmbo_magic.proposers.rulebook import RulebookProposer
from sllmbo_magic.samplers.base_sampler import check_fixed_params
from sllmbo_magic.samplers.base_sampler import fixed_params
from sllmbo_magic.space.choices import numbers_in
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.suggestions import with_single_numbers_fixed
from sllmbo_magic.task.task import TaskDescription


def checked(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments that are options of a run too, in their normal form, by the rules of a run.

    Args:
        arguments: ``candidates``, ``llm_ratio``, ``judge``, ``history``, ``seed`` and ``n_trials``.

    Raises:
        InputError: One of them is not allowed.
    """
    return {
        name: None if name == "n_trials" and value is None else check(BY_ARGUMENT[name], value, name)
        for name, value in arguments.items()
    }


def check_llm(llm: Any) -> None:
    """Raise InputError where ``llm`` is neither an id nor a provider."""
    if not isinstance(llm, str) and not (hasattr(llm, "id") and callable(getattr(llm, "complete", None))):
        raise InputError(
            f"llm is {type_name(llm)}.",
            'Allowed: "rulebook", the id of a provider such as "openai:MODEL", or a Provider object.',
        )


def check_proposers(proposer: Any, rulebook: Any) -> None:
    """Raise InputError where ``proposer`` or ``rulebook`` proposes nothing."""
    if proposer is not None and not callable(getattr(proposer, "propose", None)):
        raise InputError(f"proposer is {type_name(proposer)}.", "Allowed: a Proposer object.")
    if rulebook is not None and not isinstance(rulebook, RulebookProposer):
        raise InputError(f"rulebook is {type_name(rulebook)}.", "Allowed: a RulebookProposer object.")


_BASE_SAMPLERS = (
    "Allowed: a sampler of Optuna such as TPESampler(), or a function that gives one for a seed, such as"
    " lambda seed: TPESampler(seed=seed)."
)


def check_base_sampler(sampler: Any, source: Any) -> None:
    """Raise InputError where the base sampler is none, and no function of a seed, or its label is no text."""
    if source is not None and not isinstance(source, str):
        raise InputError(f"base_source is {type_name(source)}.", 'Allowed: text, such as "base", or None.')
    if sampler is None or isinstance(sampler, BaseSampler):
        return
    if isinstance(sampler, type) or not callable(sampler):
        raise InputError(f"base_sampler is {_what(sampler)}.", _BASE_SAMPLERS)
    try:
        inspect.signature(sampler).bind(0)
    except TypeError as error:
        raise InputError(f"base_sampler cannot be called with a seed: {error}.", _BASE_SAMPLERS) from None
    except ValueError:  # no signature, as of some functions written in C
        return


def check_made_sampler(made: Any) -> None:
    """Raise InputError where the function ``base_sampler`` has returned no sampler."""
    if not isinstance(made, BaseSampler):
        raise InputError(f"the function base_sampler returns {_what(made)}, no sampler.", _BASE_SAMPLERS)


def _what(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type_name(value)


def check_objects(
    hints: Any, description: Any, dynamic_space: Any, functions: Mapping[str, Callable[..., Any] | None]
) -> None:
    """Raise InputError where one of these is of another kind than its docstring says.

    Args:
        functions: ``cancelled`` and ``emit``.
    """
    if not isinstance(hints, Sequence) or not all(isinstance(hint, Hint) for hint in hints):
        raise InputError("hints is no list of hints.", 'Write hints=[Hint("...", trial_number=0)].')
    if not isinstance(description, str | TaskDescription):
        raise InputError(f"description is {type_name(description)}.", "Allowed: text, a TaskDescription.")
    if not isinstance(dynamic_space, bool):
        raise InputError(f"dynamic_space is {type_name(dynamic_space)}.", "Allowed: True, False.")
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise InputError(f"{name} is {type_name(function)}.", "Allowed: a function.")


def declared_space(
    search_space: SearchSpace | Mapping[str, Any] | None, base_sampler: BaseSampler
) -> tuple[SearchSpace | None, frozenset[str]]:
    """What the sampler searches, with what a ``PartialFixedSampler`` fixes, None where nothing is declared;
    and the names that it leaves to the base sampler, see :func:`plain_space`.
    """
    if search_space is None:
        return None, frozenset()
    space, left_to_base = plain_space(search_space)
    check_fixed_params(base_sampler, space)
    return space.held(fixed_params(base_sampler)), left_to_base


def plain_space(search_space: SearchSpace | Mapping[str, Any]) -> tuple[SearchSpace, frozenset[str]]:
    """The space that an objective of the user's suggests, and what is left to the base sampler. Optuna's
    trials suggest no objects.

    They do suggest numbers that a search space has no place for (inf, NaN, integers over 2**53). One that is
    fixed stays. A parameter that is searched and has such a choice is left to the base sampler, as where no
    space is declared.
    """
    space = with_single_numbers_fixed(SearchSpace.from_user(search_space))
    numbers = numbers_in(space.objects)
    searched = [name for name in numbers if name in space]
    space = space.without(searched) if searched else space
    for name in space.objects.keys() - numbers:
        labels = space.objects[name]
        raise InputError(
            f"search_space: {name} has objects as choices, which Optuna does not store.",
            f"Write their labels, {list(labels)[:3]}, and look the object up in the objective.",
        )
    return space, frozenset(searched)
