"""``--dry-run``: what would happen, and what an LLM would be told first. Runs and sends nothing."""

from __future__ import annotations

from typing import Any

from sllmbo_magic.magic.namespace import ResolvedTask
from sllmbo_magic.magic.spec import RunSpec
from sllmbo_magic.options import BY_ARGUMENT

_NOT_PLANNED = ("executor", "storage", "resume", "warm_start", "enqueue")
"""Arguments of ``tune`` that change nothing of a plan."""


def dry_run(spec: RunSpec, task: ResolvedTask) -> str:
    """The parsed run, the forecast, and the exact text of the first request.

    Raises:
        InputError: Whatever would be wrong with the run.
    """
    from sllmbo_magic.plan import make_plan
    from sllmbo_magic.settings import check_start
    from sllmbo_magic.settings import own_configurations

    planned = {name: value for name, value in task.arguments.items() if name not in _NOT_PLANNED}
    plan = make_plan(task.target, task.X, task.y, name=spec.name, **planned)
    own = own_configurations(task.arguments.get("enqueue", ()))
    if not task.arguments.get("resume"):
        check_start(plan.settings.init, own, task.arguments.get("warm_start"))
    settings = "\n".join(f"  {name} = {text}" for name, text in _settings(task.arguments).items())
    request = plan.first_request()
    asked = f"The first request, as it would be sent after trial 0:\n{request}" if request else ""
    parts = [
        f"{spec.name}: a dry run; nothing is run and nothing is sent.",
        settings,
        "\n".join(plan.notes),
        _space(plan.space),
        str(plan.forecast()["text"]),
        asked,
    ]
    return "\n\n".join(part for part in parts if part)


def _settings(arguments: dict[str, Any]) -> dict[str, str]:
    """Every option's value; those that were not given are marked as defaults."""
    found = {}
    for name, option in BY_ARGUMENT.items():
        if name in arguments:
            value = arguments[name]
            plain = isinstance(value, str | int | float | list) or value is None
            found[name] = str(value) if plain else type(value).__name__
        elif option.default is not None and name not in ("description", "preset"):
            found[name] = f"{option.default} (default)"
    return found


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
