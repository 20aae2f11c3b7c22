"""``--dry-run``: what would happen, and what an LLM would be told first. Runs and sends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic.magic.namespace import ResolvedTask
from sllmbo_magic.magic.older_variables import named_in_errors
from sllmbo_magic.magic.spec import RunSpec
from sllmbo_magic.options import BY_ARGUMENT

if TYPE_CHECKING:
    from sllmbo_magic.tuning.plan import Plan


def dry_run(spec: RunSpec, task: ResolvedTask) -> str:
    """The parsed run, the forecast, and the exact text of the first request.

    Raises:
        InputError: Whatever would be wrong with the run.
    """
    from sllmbo_magic.storage.backends import check_spec
    from sllmbo_magic.storage.locations import absolute_storage
    from sllmbo_magic.tuning.forecast import forecast
    from sllmbo_magic.tuning.tune import plan as plan_of

    with named_in_errors(task):
        plan = plan_of(task.target, task.X, task.y, name=spec.name, **task.arguments)
    check_spec(absolute_storage(task.arguments.get("storage")))
    expected = forecast(plan)
    request = plan.first_request() if expected["requests"] else ""
    parts = [
        f"{spec.name}: a dry run; nothing is run and nothing is sent.",
        "\n".join(f"  {name} = {text}" for name, text in _settings(plan, task.arguments).items()),
        "\n".join(plan.notes),
        _space(plan.space),
        str(expected["text"]),
        f"The first request, as it would be sent after trial 0:\n{request}" if request else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _settings(plan: Plan, arguments: dict[str, Any]) -> dict[str, str]:
    """Every option's value; those that were not given are marked as the default or the preset's."""
    texts = {}
    for name, option in BY_ARGUMENT.items():
        if name in arguments:
            value = arguments[name]
            plain = isinstance(value, str | int | float | list) or value is None
            texts[name] = str(value) if plain else type(value).__name__
            continue
        value = getattr(plan.settings, name, option.default)
        if value is not None and option.flag and name not in ("description", "preset", "seed"):
            origin = "default" if value == option.default else f"preset {arguments.get('preset')}"
            texts[name] = f"{value} ({origin})"
    return texts


def _space(space: Any) -> str:
    if space is None:
        return "Search space: the objective suggests its own parameters."
    lines = [f"  {_range(param)}" for param in space.to_json()["params"]]
    return "\n".join(["Search space before an LLM changes it:", *lines])


def _range(param: dict[str, Any]) -> str:
    if "choices" in param:
        text = f"one of {param['choices']}"
    elif "low" in param:
        text = f"{param['low']:g} to {param['high']:g}{', log' if param.get('log') else ''}"
    else:
        return f"{param['name']} = {param.get('fixed')}"
    return f"{param['name']}: {text}"
