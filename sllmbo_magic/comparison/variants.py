"""The ways to search that ``compare`` puts side by side: samplers, ablations, or the user's own.

An ablation switches one part of the method and leaves all else as it is. The SLLMBO paper (arXiv 2410.20302)
reports none of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.options.values import type_name
from sllmbo_magic.tuning.plan import Plan
from sllmbo_magic.tuning.settings import Settings

ABLATIONS: dict[str, dict[str, dict[str, Any]]] = {
    "init": {f"init {init}": {"init": init} for init in ("llm", "default", "random")},
    "space": {"dynamic space": {"dynamic_space": True}, "fixed space": {"dynamic_space": False}},
    "hybrid": {name: {"sampler": name} for name in ("llm-tpe", "llm", "tpe")},
    "history": {f"history {h}": {"history": h} for h in ("state", "summary", "window", "full")},
    "judge": {"judge": {"judge": True}, "no judge": {"judge": False}},
    "scores": {"true scores": {"permute_scores": False}, "permuted scores": {"permute_scores": True}},
    "pruner": {
        "no pruner": {"pruner": "none"},
        "asha": {"pruner": "asha"},
        "hyperband": {"pruner": "hyperband"},
        "folds": {"pruner": "folds"},
    },
    "names": {"real names": {"anonymize": False}, "anonymized": {"anonymize": True}},
}
"""Per ablation its variants: a label and the argument of ``tune`` that it sets. The first is the baseline."""

NEEDS_LLM = {
    "space": "the rulebook keeps its ranges",
    "history": "the rulebook reads the trials themselves",
    "scores": "the rulebook reads the trials themselves",
    "names": "the rulebook is sent nothing",
}
"""Ablations that change nothing without an LLM, and why."""


def variants_of(
    samplers: Sequence[str] | str | None,
    ablate: str | None,
    variants: Mapping[str, Mapping[str, Any]] | None,
    shared: Collection[str],
) -> dict[str, dict[str, Any]]:
    """Label to the arguments of ``tune`` that it sets, the baseline first.

    Args:
        samplers, ablate, variants: As ``compare`` takes them.
        shared: Arguments that no variant may set.

    Raises:
        InputError: They are not usable, or give fewer than two variants.
    """
    if variants is None:
        by_label = _switched(ablate, samplers) if ablate is not None else _samplers(samplers)
    elif samplers is not None or ablate is not None:
        raise InputError("variants are given, and samplers or an ablation, too.", "Give one of them.")
    else:
        by_label = _variant_options(variants, shared)
    if len(by_label) < 2:
        raise InputError("there is only one variant, so nothing to compare.", "Give two or more.")
    return by_label


def label_of(label: str, settings: Settings, *, is_user_label: bool) -> str:
    """The label and its sources: always if the rulebook, an LLM unless the label is the user's."""
    if settings.baseline:
        return label
    if not settings.uses_llm:
        return label if "rulebook" in label.lower() else f"{label} (rulebook)"
    return label if is_user_label else f"{label} ({settings.llm_id})"


def refuse_useless(ablate: str | None, plans: Sequence[Plan]) -> None:
    """Raises InputError for an ablation that would change nothing, since no LLM takes part."""
    if ablate in NEEDS_LLM and not any(plan.settings.uses_llm for plan in plans):
        without = ", ".join(name for name in ABLATIONS if name not in NEEDS_LLM)
        raise InputError(
            f"the ablation {ablate!r} needs an LLM: {NEEDS_LLM[ablate]}.",
            f"Choose one with llm (--llm), e.g. openai:gpt-4o; without an LLM: {without}.",
        )


def _samplers(samplers: Sequence[str] | str | None) -> dict[str, dict[str, Any]]:
    return {name: {"sampler": name} for name in _names(samplers, ("llm-tpe", "tpe"))}


def _switched(ablate: str, samplers: Sequence[str] | str | None) -> dict[str, dict[str, Any]]:
    if ablate not in ABLATIONS:
        close = difflib.get_close_matches(str(ablate), ABLATIONS, n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        raise InputError(f"ablation {ablate!r} is not known.", f"{hint}Allowed: {', '.join(ABLATIONS)}.")
    if samplers is None:
        return {label: dict(options) for label, options in ABLATIONS[ablate].items()}
    if ablate == "hybrid":
        raise InputError("the ablation 'hybrid' compares samplers itself.", "Leave samplers out.")
    names = _names(samplers, ())
    return {
        label if len(names) == 1 else f"{name}, {label}": {"sampler": name, **options}
        for name in names
        for label, options in ABLATIONS[ablate].items()
    }


def _names(samplers: Sequence[str] | str | None, default: tuple[str, ...]) -> list[str]:
    names = [samplers] if isinstance(samplers, str) else default if samplers is None else samplers
    if not isinstance(names, Iterable):
        raise InputError(f"samplers is {type_name(samplers)}.", "Allowed: a list of names of samplers.")
    names = list(names)
    if not all(isinstance(name, str) for name in names):
        raise InputError("samplers holds an object.", 'Label it: variants={"mine": {"sampler": ...}, ...}.')
    return names


def _variant_options(
    variants: Mapping[str, Mapping[str, Any]], shared: Collection[str]
) -> dict[str, dict[str, Any]]:
    if not isinstance(variants, Mapping) or not all(
        isinstance(options, Mapping) for options in variants.values()
    ):
        raise InputError("variants is no dict of dicts.", 'Example: {"less LLM": {"llm_ratio": 0.2}, ...}.')
    for label, options in variants.items():
        shared_options = [name for name in options if name in shared]
        if shared_options:
            raise InputError(
                f"variant {label!r} sets {shared_options[0]!r}, which all runs share.", "Leave it out."
            )
    return {str(label): dict(options) for label, options in variants.items()}
