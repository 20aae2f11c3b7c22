"""Help made from the option table: ``%%sllmbo?``, ``%sllmbo help`` and ``docs/options.md``.

``python -m sllmbo_magic.magic.help`` prints the documentation page.
"""

from __future__ import annotations

from sllmbo_magic.options import COMMANDS
from sllmbo_magic.options import NAMES
from sllmbo_magic.options import OPTIONS
from sllmbo_magic.options import SAME
from sllmbo_magic.options import Command
from sllmbo_magic.options import Option


def default_text(option: Option) -> str:
    """The default as help shows it."""
    return option.shown or ("" if option.default is None else str(option.default))


def paper_text(option: Option) -> str:
    """The value under ``--preset paper`` as help shows it."""
    if option.paper is SAME:
        return "same"
    words = {True: "on", False: "off"}
    text = words.get(option.paper, str(option.paper)) if isinstance(option.paper, bool) else str(option.paper)
    if option.paper_llm is SAME:
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
    if option.paper is not SAME:
        facts.append(f"Preset paper: {paper_text(option)}.")
    if facts:
        lines.append(f"    {' '.join(facts)}")
    return "\n".join(lines)


def command_help(command: Command) -> str:
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
        "    Tune the model of this cell. The cell is ordinary Python: it runs first, its text is never\n"
        "    expanded. NAME becomes the result. An option's whole value may be {variable}.",
        "Names that are looked up; those that this cell assigns win over older ones:",
        names,
        "Options:",
        *(option_help(option) for option in OPTIONS),
        "Line commands (those that steer take --run NAME when several runs go on):",
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
        "Made from `sllmbo_magic/options.py` by `python -m sllmbo_magic.magic.help > docs/options.md`.",
        "",
        "## `%%sllmbo [NAME] [options]`",
        "",
        "An option's whole value may be `{variable}`. Times are seconds, or like `90s`, `10m`, `1h30m`.",
        "",
        "| option | in `tune` | default | `--preset paper` | what |",
        "| --- | --- | --- | --- | --- |",
    ]
    for option in OPTIONS:
        spelling = " / ".join(f"`{s}`" for s in option.spellings)
        value = f" `{option.metavar}`" if option.takes_value else ""
        allowed = f" Allowed: {', '.join(f'`{c}`' for c in option.choices)}." if option.choices else ""
        argument = f"`{option.argument}`" if option.argument else "-"
        lines.append(
            f"| {spelling}{cell(value)} | {argument} | {cell(default_text(option)) or '-'} | "
            f"{cell(paper_text(option))} | {cell(option.help)}{cell(allowed)} |"
        )
    lines += [
        "",
        "## What is looked up after the cell has run",
        "",
        "Names that the cell itself assigns win over older ones; the status line says what was taken.",
        "",
        "| name | meaning |",
        "| --- | --- |",
        *(f"| {cell(name)} | {cell(text)} |" for name, text in NAMES),
        "",
        "## What shows a run",
        "",
        "JupyterLab, Notebook 7 and VS Code show the dashboard, anything else text; `--no-widget` asks for",
        "text. Where the front end is not recognised, the environment variable `SLLMBO_WIDGET` decides:",
        "`1` for the dashboard, `0` for text.",
        "",
        "## `%sllmbo COMMAND`",
        "",
        "Commands that steer act on the run that goes on; `--run NAME` chooses among several.",
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
