"""Help made from the option table: ``%%sllmbo?``, ``%sllmbo help`` and ``docs/options.md``.

``python -m sllmbo_magic.magic.help`` prints the documentation page.
"""

from __future__ import annotations

from sllmbo_magic.magic.command_table import COMMANDS
from sllmbo_magic.magic.command_table import NAMES
from sllmbo_magic.magic.command_table import LineCommand
from sllmbo_magic.options import OPTIONS
from sllmbo_magic.options import UNCHANGED
from sllmbo_magic.options import Option


def default_text(option: Option) -> str:
    """The default as help shows it."""
    return option.shown or ("" if option.default is None else str(option.default))


def paper_text(option: Option) -> str:
    """The value under ``--preset paper`` as help shows it."""
    if option.paper is UNCHANGED:
        return "same"
    words = {True: "on", False: "off"}
    text = words.get(option.paper, str(option.paper)) if isinstance(option.paper, bool) else str(option.paper)
    if option.paper_llm is UNCHANGED:
        return text
    return f"{option.paper_llm} (LLM only), {text}"


def option_help(option: Option) -> str:
    """Help on one option, a few lines."""
    head = ", ".join(option.spellings) + (f" {option.metavar}" if option.takes_value else "")
    lines = [head, f"    {option.help}"]
    if option.choices:
        lines.append(f"    Allowed: {', '.join(option.choices)}.")
    facts = []
    if default_text(option):
        facts.append(f"Default: {default_text(option)}.")
    if option.argument:
        facts.append(f"In Python: tune({option.argument}=...).")
    if option.paper is not UNCHANGED:
        facts.append(f"Preset paper: {paper_text(option)}.")
    if facts:
        lines.append(f"    {' '.join(facts)}")
    return "\n".join(lines)


def command_help(command: LineCommand) -> str:
    """Help on one line command, two or three lines."""
    head = f"%sllmbo {command.name} {command.arguments}".rstrip()
    lines = [head, f"    {command.help}"]
    if command.example != head:
        lines.append(f"    Example: {command.example}")
    return "\n".join(lines)


def help_text() -> str:
    """The whole help, as ``%%sllmbo?`` and ``%sllmbo help`` show it."""
    names = "\n".join(f"    {name}: {text}" for name, text in NAMES)
    parts = [
        "%%sllmbo [NAME] [options]",
        "    Tune the model of this cell. The cell is ordinary Python and runs first. The result is\n"
        "    bound to NAME. The value of an option may be {variable}: the Python variable of that name.",
        "Variables that are used; those that this cell assigns win over older ones:",
        names,
        "Options:",
        *(option_help(option) for option in OPTIONS),
        "Line commands (when several runs are running, those that steer one take --run NAME):",
        *(command_help(command) for command in COMMANDS),
    ]
    return "\n\n".join(parts)


def docs_page() -> str:
    """``docs/options.md``: all options and line commands as two Markdown tables."""

    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("\n", " ")

    lines = [
        "# Options and line commands",
        "",
        "Made from the tables `sllmbo_magic/options/table.py` and `sllmbo_magic/magic/command_table.py` by",
        "`python -m sllmbo_magic.magic.help > docs/options.md`.",
        "",
        "## `%%sllmbo [NAME] [options]`",
        "",
        "The value of an option may be `{variable}`: the Python variable of that name. Times are seconds, or",
        "like `90s`, `10m`, `1h30m`.",
        "",
        "| option | in `tune` | default | `--preset paper` | what |",
        "| --- | --- | --- | --- | --- |",
    ]
    for option in OPTIONS:
        spelling = " / ".join(f"`{s}`" for s in option.spellings)
        value = f" `{option.metavar}`" if option.takes_value else ""
        choices_text = f" Allowed: {', '.join(f'`{c}`' for c in option.choices)}." if option.choices else ""
        argument = f"`{option.argument}`" if option.argument else "-"
        lines.append(
            f"| {spelling}{cell(value)} | {argument} | {cell(default_text(option)) or '-'} | "
            f"{cell(paper_text(option))} | {cell(option.help)}{cell(choices_text)} |"
        )
    lines += [
        "",
        "## Variables of the cell",
        "",
        "They are read after the cell has run. Those that the cell assigns win over older ones. The status",
        "line says which ones were used.",
        "",
        "| name | meaning |",
        "| --- | --- |",
        *(f"| {cell(name)} | {cell(text)} |" for name, text in NAMES),
        "",
        "## Dashboard or text",
        "",
        "JupyterLab, Notebook 7 and VS Code show the dashboard. Other front ends show text, and so does",
        "`--no-widget`. The environment variable `SLLMBO_WIDGET` overrides the choice: `1` for the",
        "dashboard, `0` for text.",
        "",
        "## `%sllmbo COMMAND`",
        "",
        "Commands that steer a run act on the one that is running. With several, `--run NAME` chooses one.",
        "",
        "| command | what | example |",
        "| --- | --- | --- |",
    ]
    for command in COMMANDS:
        usage = cell(f"{command.name} {command.arguments}".rstrip())
        lines.append(f"| `{usage}` | {cell(command.help)} | `{cell(command.example)}` |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(docs_page(), end="")
