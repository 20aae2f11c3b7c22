"""The line commands, and the names that a cell may assign. Help, completion and docs are made from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class LineCommand:
    """One line command of ``%sllmbo``.

    Attributes:
        name: The word after ``%sllmbo``.
        arguments: What follows it, as help shows it; brackets mark what may be left out.
        help: One sentence.
        example: A whole line.
        completes: What its arguments are: ``"run"``, ``"mode"``, ``"provider"``, ``"help"`` or nothing.
        steers: Whether it acts on a run that goes on (then ``--run NAME`` may choose the run).
    """

    name: str
    arguments: str
    help: str
    example: str
    completes: str = ""
    steers: bool = False


COMMANDS: Final[tuple[LineCommand, ...]] = (
    LineCommand("runs", "", "List the runs in .sllmbo/.", "%sllmbo runs"),
    LineCommand("show", "NAME", "Show the figure and the table of a run.", "%sllmbo show churn", "run"),
    LineCommand("pause", "[NAME]", "Pause after the running trial.", "%sllmbo pause", "run", True),
    LineCommand("resume", "[NAME]", "Continue after a pause.", "%sllmbo resume", "run", True),
    LineCommand("stop", "[NAME]", "End the run after the current fold.", "%sllmbo stop", "run", True),
    LineCommand("wait", "[NAME]", "Wait until a background run is done.", "%sllmbo wait", "run"),
    LineCommand(
        "sampler",
        "llm|llm-tpe|tpe",
        "Choose what proposes, from the next trial on.",
        "%sllmbo sampler llm",
        "mode",
        True,
    ),
    LineCommand("ratio", "P", "Change the LLM's share of the trials.", "%sllmbo ratio 0.3", "", True),
    LineCommand(
        "hint",
        '"WORDS"',
        "Give the LLM a hint about where to search.",
        '%sllmbo hint "prefer shallow trees"',
        "",
        True,
    ),
    LineCommand(
        "range",
        "PARAM LOW HIGH | PARAM CHOICES",
        "Set a range, which the LLM then leaves alone. Outside the outer space, the run continues in a "
        "linked study.",
        "%sllmbo range learning_rate 0.01 0.1",
        "",
        True,
    ),
    LineCommand(
        "lock",
        "PARAM",
        "Only you change its range from now on; values inside it are still tried.",
        "%sllmbo lock max_depth",
        "",
        True,
    ),
    LineCommand(
        "unlock",
        "PARAM",
        "The LLM or the rulebook may change its range again.",
        "%sllmbo unlock max_depth",
        "",
        True,
    ),
    LineCommand(
        "enqueue", "{...}", "Try this configuration next.", '%sllmbo enqueue {"max_depth": 3}', "", True
    ),
    LineCommand(
        "dequeue",
        "{...}",
        "Remove an enqueued configuration that has not started yet.",
        '%sllmbo dequeue {"max_depth": 3}',
        "",
        True,
    ),
    LineCommand(
        "note",
        'NAME TRIAL "WORDS"',
        'Write a note on a trial, also after the run. "" removes it.',
        '%sllmbo note churn 12 "the one to keep"',
        "run",
    ),
    LineCommand(
        "star", "NAME TRIAL", "Put a star on a trial, also after the run.", "%sllmbo star churn 12", "run"
    ),
    LineCommand("unstar", "NAME TRIAL", "Take the star away.", "%sllmbo unstar churn 12", "run"),
    LineCommand("extend", "N", "Add trials to the total.", "%sllmbo extend 20", "", True),
    LineCommand(
        "preview", "[NAME]", "Show all text that a run sent to its LLM.", "%sllmbo preview churn", "run"
    ),
    LineCommand("report", "NAME [PATH]", "Write the HTML report of a run.", "%sllmbo report churn", "run"),
    LineCommand("export", "NAME [PATH]", "Write a run as one JSON file.", "%sllmbo export churn", "run"),
    LineCommand(
        "code", "NAME", "Show Python code that trains the best configuration.", "%sllmbo code churn", "run"
    ),
    LineCommand(
        "compare",
        "NAME [--prove] [--ablate WHAT] [--samplers A,B] [--seeds N] [options] | NAME NAME...",
        "Search the task of a run again with several variants and seeds, and show a table and a figure "
        "(docs/comparing.md). With several names: show stored runs in one table.",
        "%sllmbo compare churn --ablate init --seeds 7",
        "run",
    ),
    LineCommand("delete", "NAME", "Delete a run's folder.", "%sllmbo delete churn.1", "run"),
    LineCommand("rename", "NAME NEW", "Rename a run.", "%sllmbo rename churn churn_f1", "run"),
    LineCommand(
        "providers", "", "List the LLM providers, and which of them have a key.", "%sllmbo providers"
    ),
    LineCommand(
        "key",
        "PROVIDER",
        "Ask for a provider's key without showing it. It is kept only in the memory of this kernel.",
        "%sllmbo key openai",
        "provider",
    ),
    LineCommand(
        "doctor",
        "[PROVIDER:MODEL [--base-url URL]]",
        "Check the installation. With the name of an LLM, also check its key, server, model and reply by one "
        "small request.",
        "%sllmbo doctor openai:gpt-4o",
        "provider",
    ),
    LineCommand("help", "[COMMAND|OPTION]", "Show help.", "%sllmbo help --schedule", "help"),
)

BY_NAME: Final[dict[str, LineCommand]] = {command.name: command for command in COMMANDS}

NAMES: Final[tuple[tuple[str, str], ...]] = (
    ("model or estimator", "any scikit-learn-compatible estimator, Pipeline or class"),
    ("objective", "instead of a model: a function of a trial or of a dict of parameters; needs --direction"),
    (
        "X, y",
        "the data; or X_train, y_train; with X_test, y_test for the report; or data and --target",
    ),
    ("cv, groups, scoring, sample_weight, fit_params", "as in scikit-learn"),
    (
        "search_space",
        "a dict of ranges; without it, those known for the estimator, which the LLM may change",
    ),
    ("enqueue", "a list of configurations (dicts) that are tried first, right after the default"),
    ("the cell's docstring", "your description of the task, for the LLM"),
)
"""What ``%%sllmbo`` looks up in the namespace after the cell has run."""
