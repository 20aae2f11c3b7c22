"""Whether an estimator has a parameter of a name, also one whose constructor takes any keyword.

LightGBM, XGBoost and others accept every name and ignore, at most with a warning, those that they do not
have: a misspelt name would spend a whole run on equal scores.
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Iterable
from typing import Any

from sllmbo_magic.errors import InputError
from sllmbo_magic.priors.base import Facts
from sllmbo_magic.priors.families import family_of

_XGBOOST = """
    aft_loss_distribution aft_loss_distribution_scale alpha colsample_bylevel colsample_bynode
    colsample_bytree eta eval_metric feature_selector gamma grow_policy huber_slope lambda
    lambdarank_bias_norm lambdarank_normalization lambdarank_num_pair_per_sample lambdarank_pair_method
    lambdarank_score_normalization lambdarank_unbiased learning_rate max_bin max_cached_hist_node
    max_cat_threshold max_cat_to_onehot max_delta_step max_depth max_leaves min_child_weight min_split_loss
    multi_strategy ndcg_exp_gain normalize_type num_class num_parallel_tree objective one_drop process_type
    quantile_alpha rate_drop refresh_leaf reg_alpha reg_lambda sample_type sampling_method scale_pos_weight
    skip_drop subsample top_k tree_method tweedie_variance_power updater
"""
"""https://xgboost.readthedocs.io/en/stable/parameter.html; the constructor does not name all of them."""
_IGNORED = {"xgboost": {"num_boost_round": "n_estimators"}}
"""Names that a library documents for another interface, and what its estimators have instead."""
_PREFIXES = ("module", "optimizer", "criterion", "iterator_train", "iterator_valid", "callbacks", "dataset")
"""skorch passes on what stands behind these."""
_ALIKE = 0.75


def check_params(estimator: Any, names: Iterable[str]) -> None:
    """Check that an estimator has these parameters.

    Args:
        estimator: An instance; ``step__parameter`` reaches inside a pipeline or a wrapper.

    Raises:
        InputError: It lacks one, or takes any name and ignores this one; the closest match is named.
    """
    params = estimator.get_params(deep=True)
    for name in names:
        if name in params:
            continue
        prefix, _, last = name.rpartition("__")
        owner = params.get(prefix) if prefix else estimator
        if owner is None or not hasattr(owner, "get_params") or inspect.isclass(owner):
            if _is_passed_on(estimator, params, prefix):
                continue
            raise _missing(estimator, name, list(params))
        _check_one(estimator, owner, name, last, list(params))


def _check_one(estimator: Any, owner: Any, name: str, last: str, searchable: list[str]) -> None:
    prefix = name[: len(name) - len(last)]
    instead = _ignored(type(owner), last)
    if instead:
        raise InputError(
            f"{type(owner).__name__} ignores {last!r} beside {instead!r}.", f"Search {prefix + instead!r}."
        )
    names, takes_any = _constructor(type(owner))
    documented = _documented(owner)
    if last in names or last in documented:
        return
    accepted = [prefix + other for other in sorted({*names, *documented})]
    close = difflib.get_close_matches(name, accepted, n=1, cutoff=_ALIKE)
    if takes_any and not close and not _lists_all(type(owner)):
        return  # it may be one that the library takes and does not list
    raise _missing(
        owner if takes_any else estimator, name, accepted if takes_any else sorted({*searchable, *accepted})
    )


def _missing(estimator: Any, name: str, allowed: list[str]) -> InputError:
    close = _same_letters(name, allowed) or difflib.get_close_matches(name, allowed, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"Allowed: {', '.join(sorted(allowed)[:12])}, ..."
    return InputError(f"{type(estimator).__name__} has no parameter {name!r}.", hint)


def _same_letters(name: str, allowed: list[str]) -> list[str]:
    """The one name that differs in case only; else the one of a step that ends in the name as written."""
    for matches in (
        [other for other in allowed if other.lower() == name.lower()],
        [other for other in allowed if other.endswith(f"__{name}")],
        [other for other in allowed if other.lower().endswith(f"__{name.lower()}")],
    ):
        if len(matches) == 1:
            return matches
    return []


def _is_passed_on(estimator: Any, params: dict[str, Any], prefix: str) -> bool:
    """Whether skorch hands the parameter on to its module, optimizer and the like."""
    outer, _, last = prefix.rpartition("__")
    owner = params.get(outer) if outer else estimator
    return last in _PREFIXES and _library(type(owner)) == "skorch"


def _library(cls: type) -> str:
    roots = (base.__module__.partition(".")[0] for base in cls.__mro__)
    return next((root for root in roots if root in ("lightgbm", "xgboost", "catboost", "skorch")), "")


def _constructor(cls: type) -> tuple[set[str], bool]:
    """The names that a constructor takes, and whether it takes any other name as well."""
    names: set[str] = set()
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        names |= {p.name for p in parameters if p.kind in kinds}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names, False
    return names, True


def _documented(owner: Any) -> set[str]:
    """The names that the estimator's library documents beside those of its constructor."""
    family = family_of(owner)
    if family is None:
        return set()
    current = owner.get_params(deep=False)
    names = {row.name for row in family.table(Facts(current=current)).ranges} | {*family.defaults(current)}
    names |= {alias for aliases in family.aliases.values() for alias in aliases}
    library = _library(type(owner))
    if library == "xgboost":
        names |= {*_XGBOOST.split()}
    elif library == "lightgbm":
        names |= {name for main, aliases in _lightgbm_aliases().items() for name in (main, *aliases)}
    return names


def _lists_all(cls: type) -> bool:
    """Whether the names are known to be complete."""
    return _library(cls) == "lightgbm" and bool(_lightgbm_aliases())


def _ignored(cls: type, name: str) -> str:
    """What an estimator uses instead of a name that it takes and ignores; "" when it does not ignore it."""
    library = _library(cls)
    if library != "lightgbm":
        return _IGNORED.get(library, {}).get(name, "")
    names, _ = _constructor(cls)
    for main, aliases in _lightgbm_aliases().items():
        # Of several names of one parameter LightGBM uses the main one, else the shortest. The constructor
        # always gives one of them.
        listed = next((other for other in (main, *aliases) if other in names), name)
        if name in aliases and name not in (listed, main):
            is_used = listed == main or (len(listed), listed) < (len(name), name)
            return listed if is_used else ""
    return ""


def _lightgbm_aliases() -> dict[str, list[str]]:
    """Main name -> all names, as the installed LightGBM lists them; {} where it does not."""
    aliases = getattr(sys.modules.get("lightgbm.basic"), "_ConfigAliases", None)
    listed = getattr(aliases, "_get_all_param_aliases", None)
    return dict(listed()) if callable(listed) else {}
