"""The options of a run, checked, and the base sampler that they name."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

from optuna.samplers import BaseSampler

from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.history import POLICIES
from sllmbo_magic.initializer import INITS
from sllmbo_magic.metrics import Direction
from sllmbo_magic.options import preset_values
from sllmbo_magic.pruning import check_pruner
from sllmbo_magic.samplers.base_turns import MakeSampler
from sllmbo_magic.samplers.base_turns import tpe
from sllmbo_magic.samplers.base_turns import univariate_tpe
from sllmbo_magic.samplers.hyperopt import HyperoptSampler
from sllmbo_magic.samplers.schedule import SCHEDULES
from sllmbo_magic.stopping import make_rule

BASELINES = ("tpe", "random", "gp", "cmaes", "hyperopt")
RULEBOOK = ("rulebook", "offline")


@dataclass(frozen=True)
class Settings:
    """The options of a run, checked; see ``tune`` for what each means."""

    sampler: Any = "llm-tpe"
    llm: Any = "rulebook"
    base_url: str | None = None
    n_trials: int = 50
    timeout: float | None = None
    trial_timeout: float | None = None
    init: str = "llm"
    candidates: int = 5
    schedule: str = "adaptive"
    llm_ratio: float = 0.5
    judge: bool = True
    multivariate: bool = True
    history: str = "state"
    patience: int | str = "off"
    pruner: Any = None
    early_stopping_rounds: int | None = None
    max_requests: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    share_columns: bool = False
    anonymize: bool = False
    n_jobs: int | None = None
    permute_scores: bool = False
    dynamic_space: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        names = ("llm-tpe", "llm", *BASELINES)
        if not isinstance(self.sampler, BaseSampler):
            _one_of("sampler", self.sampler, names, "or an Optuna sampler object")
        _one_of("init", self.init, INITS)
        _one_of("schedule", self.schedule, SCHEDULES)
        _one_of("history", self.history, POLICIES)
        _at_least("n_trials", self.n_trials, 1)
        _at_least("candidates", self.candidates, 1)
        if not 0.0 <= self.llm_ratio <= 1.0:
            raise InputError(f"llm_ratio {self.llm_ratio!r} is out of range.", "Allowed: 0 to 1.")
        for name in ("timeout", "trial_timeout"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} {value!r} is out of range.", "Allowed: seconds above 0.")
        make_rule(self.patience)
        check_pruner(self.pruner)
        if self.early_stopping_rounds is not None:
            _at_least("early_stopping_rounds", self.early_stopping_rounds, 1)

    @property
    def baseline(self) -> bool:
        """Whether the run uses a sampler alone, without an LLM or the rulebook."""
        return isinstance(self.sampler, BaseSampler) or self.sampler in BASELINES

    @property
    def uses_llm(self) -> bool:
        """Whether the run may send requests."""
        return not self.baseline and not (isinstance(self.llm, str) and self.llm in RULEBOOK)

    @property
    def llm_id(self) -> str:
        """The provider's id as shown; never holds a key."""
        return (
            self.llm if isinstance(self.llm, str) else str(getattr(self.llm, "id", type(self.llm).__name__))
        )

    @property
    def sampler_name(self) -> str:
        """The sampler as shown."""
        return self.sampler if isinstance(self.sampler, str) else type(self.sampler).__name__

    @property
    def pruner_name(self) -> str | None:
        """The pruner as shown; None when none was asked for."""
        named = self.pruner is None or isinstance(self.pruner, str)
        return self.pruner if named else type(self.pruner).__name__


def own_configurations(given: Any) -> tuple[dict[str, Any], ...]:
    """The user's configurations that are tried first: a list of dicts, or one dict.

    Raises:
        InputError: It is something else.
    """
    listed = [given] if isinstance(given, Mapping) else given
    if not isinstance(listed, list | tuple) or not all(isinstance(one, Mapping) for one in listed):
        raise InputError(
            f"enqueue is a {type(given).__name__}, not a list of configurations.",
            'Example: enqueue = [{"max_depth": 3}].',
        )
    return tuple(dict(one) for one in listed)


def check_start(init: str, own: Sequence[Mapping[str, Any]], warm_start: Any) -> None:
    """Raises InputError when a new run shall start from the user's configurations and there are none."""
    if init == "user" and not own and warm_start is None:
        raise InputError(
            "init user starts from your own configurations, and there are none.",
            'Assign enqueue = [{"max_depth": 3}] in the cell or give it to tune, or choose init default.',
        )


def make_settings(preset: str | None, given: dict[str, Any]) -> Settings:
    """The settings of a preset and the arguments of ``tune``.

    Raises:
        InputError: An option or its value is not known.
    """
    known = set(Settings.__dataclass_fields__)
    unknown = [n for n in given if n not in known]
    if unknown:
        raise InputError(f"tune has no argument {unknown[0]!r}.", f"Allowed: {', '.join(sorted(known))}.")
    if preset is not None:
        try:
            values = preset_values(preset, given.get("sampler", "llm-tpe"))
        except KeyError:
            raise InputError(f"preset {preset!r} is not known.", "Allowed: paper.") from None
        defaults = Settings()
        # A value that is not the default was asked for, and wins over the preset.
        asked = {k: v for k, v in given.items() if k not in values or v != getattr(defaults, k)}
        given = {**values, **asked}
    return Settings(**given)


def base_sampler(settings: Settings) -> tuple[BaseSampler | MakeSampler, str]:
    """The base sampler, or what makes it for a trial's seed, and the source that its trials are labelled
    with.

    Raises:
        MissingExtraError: The sampler's library is not installed.
    """
    import optuna

    if isinstance(settings.sampler, BaseSampler):
        return settings.sampler, "base"
    if settings.sampler == "random":
        return optuna.samplers.RandomSampler(seed=settings.seed), "random"
    if settings.sampler == "gp":
        _need("torch", extra="gp")
        return optuna.samplers.GPSampler(seed=settings.seed), "gp"
    if settings.sampler == "cmaes":
        _need("cmaes", extra="cmaes")
        return optuna.samplers.CmaEsSampler(seed=settings.seed, warn_independent_sampling=False), "cmaes"
    if settings.sampler == "hyperopt":
        return HyperoptSampler(seed=settings.seed).seeded, "hyperopt"
    return tpe if settings.multivariate else univariate_tpe, "tpe"


def for_several(settings: Settings, directions: Sequence[Direction]) -> tuple[Settings, str]:
    """The settings for an objective with several values, and a sentence on what had to change ("": nothing).

    The LLM samplers take one objective only, and so do some of Optuna's; TPE then takes all trials.
    """
    if not settings.baseline:
        who = "the LLM samplers take"
    elif _takes_several(settings, directions):
        return settings, ""
    else:
        who = f"sampler {settings.sampler_name} takes"
    return replace(settings, sampler="tpe"), f"Several objectives: {who} one only, so TPE takes all trials."


def _takes_several(settings: Settings, directions: Sequence[Direction]) -> bool:
    """Whether the sampler answers in a study of several objectives; it is asked, on a copy."""
    import optuna

    base, _ = base_sampler(settings)
    sampler = copy.deepcopy(base) if isinstance(base, BaseSampler) else base(settings.seed)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(directions=list(directions), sampler=sampler)
        study.ask({"x": optuna.distributions.FloatDistribution(0.0, 1.0)})
    except ValueError:
        return False
    finally:
        optuna.logging.set_verbosity(before)
    return True


def _need(module: str, extra: str) -> None:
    """An extra has the name of the sampler that it is for."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise MissingExtraError(
            f"sampler {extra} needs {module}, which is not installed.",
            f"Install it with: pip install 'sllmbo-magic[{extra}]'",
        )


def _one_of(name: str, value: Any, allowed: tuple[str, ...], more: str = "") -> None:
    import difflib

    if isinstance(value, str) and value in allowed:
        return
    close = difflib.get_close_matches(str(value), allowed, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise InputError(
        f"{name} {value!r} is not known.",
        f"{hint}Allowed: {', '.join(allowed)}{', ' + more if more else ''}.",
    )


def _at_least(name: str, value: Any, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InputError(f"{name} {value!r} is out of range.", f"Allowed: a whole number from {low}.")
