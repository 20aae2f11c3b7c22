"""The options of a run, checked, and the base sampler that they name."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

from optuna.samplers import BaseSampler
from optuna.samplers import PartialFixedSampler

from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.options import BY_ARGUMENT
from sllmbo_magic.options import preset_values
from sllmbo_magic.options.values import check
from sllmbo_magic.options.values import refusal
from sllmbo_magic.options.values import type_name
from sllmbo_magic.samplers import LLMTPESampler
from sllmbo_magic.samplers.base_sampler import MakeSampler
from sllmbo_magic.samplers.base_sampler import tpe
from sllmbo_magic.samplers.base_sampler import univariate_tpe
from sllmbo_magic.samplers.hyperopt import HyperoptSampler
from sllmbo_magic.task.metrics import Direction
from sllmbo_magic.tuning.devices import devices_of
from sllmbo_magic.tuning.pruning import check_pruner

BASELINES = tuple(name for name in BY_ARGUMENT["sampler"].choices if name not in ("llm-tpe", "llm"))
RULEBOOK = ("rulebook", "offline")


_DEFAULTS: dict[str, Any] = {name: option.default for name, option in BY_ARGUMENT.items()}


@dataclass(frozen=True)
class Settings:
    """The options of a run, checked by the rules of the option table; see ``tune`` for what each means."""

    sampler: Any = _DEFAULTS["sampler"]
    llm: Any = _DEFAULTS["llm"]
    base_url: str | None = _DEFAULTS["base_url"]
    n_trials: int = _DEFAULTS["n_trials"]
    timeout: float | None = _DEFAULTS["timeout"]
    trial_timeout: float | None = _DEFAULTS["trial_timeout"]
    init: str = _DEFAULTS["init"]
    candidates: int = _DEFAULTS["candidates"]
    schedule: str = _DEFAULTS["schedule"]
    llm_ratio: float = _DEFAULTS["llm_ratio"]
    judge: bool = _DEFAULTS["judge"]
    multivariate: bool = _DEFAULTS["multivariate"]
    history: str = _DEFAULTS["history"]
    patience: int | str = _DEFAULTS["patience"]
    pruner: Any = _DEFAULTS["pruner"]
    early_stopping_rounds: int | None = _DEFAULTS["early_stopping_rounds"]
    select: str = _DEFAULTS["select"]
    max_output_tokens: int | None = _DEFAULTS["max_output_tokens"]
    llm_timeout: float | None = _DEFAULTS["llm_timeout"]
    max_requests: int | None = _DEFAULTS["max_requests"]
    max_tokens: int | None = _DEFAULTS["max_tokens"]
    max_cost: float | None = _DEFAULTS["max_cost"]
    share_columns: bool = _DEFAULTS["share_columns"]
    anonymize: bool = _DEFAULTS["anonymize"]
    n_jobs: int | None = _DEFAULTS["n_jobs"]
    isolate: bool = _DEFAULTS["isolate"]
    devices: Any = _DEFAULTS["devices"]
    permute_scores: bool = _DEFAULTS["permute_scores"]
    dynamic_space: bool = _DEFAULTS["dynamic_space"]
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.names():
            object.__setattr__(self, name, check(BY_ARGUMENT[name], getattr(self, name), name))
        if not isinstance(self.sampler, str | BaseSampler):
            raise refusal(BY_ARGUMENT["sampler"], "sampler", type_name(self.sampler))
        _check_asks_no_llm(self.sampler)
        check_pruner(self.pruner)
        object.__setattr__(self, "devices", devices_of(self.devices) or None)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The arguments of ``tune`` that are settings."""
        return tuple(cls.__dataclass_fields__)

    @property
    def baseline(self) -> bool:
        """Whether the run uses a sampler alone, without an LLM or the rulebook."""
        return isinstance(self.sampler, BaseSampler) or self.sampler in BASELINES

    @property
    def has_llm(self) -> bool:
        """Whether an LLM is given, and not the rulebook."""
        return not (isinstance(self.llm, str) and self.llm in RULEBOOK)

    @property
    def uses_llm(self) -> bool:
        """Whether the run may send requests without a command of the user's."""
        return self.has_llm and not self.baseline

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
        is_name = self.pruner is None or isinstance(self.pruner, str)
        return self.pruner if is_name else type(self.pruner).__name__


def _check_asks_no_llm(sampler: Any) -> None:
    """Raise InputError where a sampler object asks an LLM of its own: the run's masks, limits and transcript
    would not be there for what it sends.
    """
    while isinstance(sampler, PartialFixedSampler):
        sampler = sampler._base_sampler
    if not isinstance(sampler, LLMTPESampler):
        return
    proposer = sampler.queue.proposer
    if proposer.instant:  # the rulebook; beside it there may be such a sampler, too
        _check_asks_no_llm(sampler._base_sampler.plain)
        return
    name = type(sampler).__name__
    mode = "llm" if sampler.mode == "llm" else "llm-tpe"
    raise InputError(
        f"sampler is an object, {name}, which asks {proposer.id} by itself: limits, masks and transcript of a"
        " run would not hold for what it sends.",
        f"Write sampler={mode!r}, and give its LLM as llm= and its other options beside it; {name} is for an"
        " Optuna study of your own.",
    )


def own_configurations(enqueue: Any) -> tuple[dict[str, Any], ...]:
    """The user's configurations that are tried first: a list of dicts, or one dict.

    Raises:
        InputError: It is something else.
    """
    listed = [enqueue] if isinstance(enqueue, Mapping) else enqueue
    if not isinstance(listed, list | tuple) or not all(isinstance(one, Mapping) for one in listed):
        raise InputError(
            f"enqueue is a {type(enqueue).__name__}, not a list of configurations.",
            'Example: enqueue = [{"max_depth": 3}].',
        )
    return tuple(dict(one) for one in listed)


def check_callbacks(callbacks: Any) -> tuple[Any, ...]:
    """Optuna's callbacks as a tuple.

    Raises:
        InputError: They are not a list of functions.
    """
    if callbacks is None:  # as in Optuna
        return ()
    write = "Write callbacks=[function], with def function(study, trial)."
    if not isinstance(callbacks, list | tuple):
        type_text = "a function" if callable(callbacks) else type_name(callbacks)
        raise InputError(f"callbacks is {type_text}, not a list of functions.", write)
    for place, one in enumerate(callbacks):
        if not callable(one):
            raise InputError(
                f"callbacks is a list whose item {place} is {type_name(one)}, not a function.", write
            )
        try:
            inspect.signature(one).bind(None, None)
        except TypeError as error:
            raise InputError(
                f"callbacks[{place}] cannot be called with a study and a trial: {error}.", write
            ) from None
        except ValueError:  # no signature, as of some functions written in C
            continue
    return tuple(callbacks)


def check_start(init: str, configurations: Sequence[Mapping[str, Any]], warm_start: Any) -> None:
    """Raises InputError when a new run shall start from the user's configurations and there are none."""
    if init == "user" and not configurations and warm_start is None:
        raise InputError(
            "init user starts from your own configurations, and there are none.",
            'Assign enqueue = [{"max_depth": 3}] in the cell or give it to tune, or choose init default.',
        )


def make_settings(preset: str | None, arguments: Mapping[str, Any]) -> Settings:
    """The settings of a preset and of the arguments that the caller wrote, which win.

    Raises:
        InputError: An option or its value is not known.
    """
    unknown = [name for name in arguments if name not in Settings.names()]
    if unknown:
        raise InputError(
            f"tune has no argument {unknown[0]!r}.", f"Allowed: {', '.join(sorted(Settings.names()))}."
        )
    preset = check(BY_ARGUMENT["preset"], preset, "preset")
    values = {} if preset is None else preset_values(preset, arguments.get("sampler", _DEFAULTS["sampler"]))
    return Settings(**{**values, **arguments})


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
        sampler_text = "the LLM samplers take"
    elif _takes_several(settings, directions):
        return settings, ""
    else:
        sampler_text = f"sampler {settings.sampler_name} takes"
    return replace(
        settings, sampler="tpe"
    ), f"Several objectives: {sampler_text} one only, so TPE takes all trials."


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
