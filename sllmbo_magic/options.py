"""The one table of options and the one table of line commands.

The magic's parser, its help, tab completion, ``docs/options.md`` and the test of ``tune``'s signature are all
made from here, so that they cannot differ. Standard library only: ``%load_ext`` reads this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from typing import Final
from typing import Literal
from typing import TypeAlias


class _Same:
    """The preset leaves the option at its default."""

    def __repr__(self) -> str:
        return "SAME"


SAME: Final = _Same()

Kind: TypeAlias = Literal[
    "flag",  # present or absent
    "switch",  # --judge / --no-judge
    "count",  # integer, at least `low`
    "jobs",  # integer other than 0; -1 is all cores
    "share",  # number from 0 to 1
    "amount",  # number above 0
    "duration",  # seconds, or "90s", "10m", "1h30m"
    "choice",  # one of `choices`
    "directions",  # one of `choices`, or several with commas between
    "patience",  # integer from 1, "auto" or "off"
    "text",
]


@dataclass(frozen=True)
class Option:
    """One option of ``%%sllmbo``.

    Attributes:
        flag: As typed, e.g. ``"--n-trials"``.
        kind: How its value is read; see :data:`Kind`.
        help: One sentence.
        argument: The keyword of ``tune`` that it sets; None when only the magic uses it.
        default: The default of that keyword.
        shown: The default in words, where the value alone does not say it.
        paper: Its value under ``--preset paper``; :data:`SAME` when that does not differ.
        paper_llm: The same when the sampler is the LLM alone; :data:`SAME` when it is as ``paper``.
        aliases: Other spellings.
        negative: The spelling that switches it off (kind ``"switch"``).
        choices: The allowed words (kinds ``"choice"`` and ``"directions"``).
        objects: Whether ``{variable}`` may also hold an object that no text can spell.
        low: Smallest value (kind ``"count"``).
        metavar: What stands for the value in help texts.
        example: A value for help texts and tests.
    """

    flag: str
    kind: Kind
    help: str
    argument: str | None = None
    default: Any = None
    shown: str = ""
    paper: Any = SAME
    paper_llm: Any = SAME
    aliases: tuple[str, ...] = ()
    negative: str = ""
    choices: tuple[str, ...] = ()
    objects: bool = False
    low: int = 1
    metavar: str = ""
    example: str = ""

    @property
    def takes_value(self) -> bool:
        """Whether a value follows the flag."""
        return self.kind not in ("flag", "switch")

    @property
    def key(self) -> str:
        """The flag as a Python name: ``--n-trials`` is ``n_trials``."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every way to type it, the main one first."""
        return (self.flag, *self.aliases, *((self.negative,) if self.negative else ()))


OPTIONS: Final[tuple[Option, ...]] = (
    Option(
        "--sampler",
        "choice",
        "Who proposes: the LLM and TPE together, the LLM alone, or a sampler of Optuna (or Hyperopt's TPE) "
        "alone.",
        argument="sampler",
        default="llm-tpe",
        choices=("llm-tpe", "llm", "tpe", "random", "gp", "cmaes", "hyperopt"),
        objects=True,
        metavar="SAMPLER",
        example="llm-tpe",
    ),
    Option(
        "--llm",
        "text",
        "The LLM: openai:MODEL, anthropic:MODEL, gemini:MODEL, ollama:MODEL, openai-compatible:MODEL, "
        "rulebook (expert rules, no LLM, no network), replay:PATH or manual. Keys come from the environment.",
        argument="llm",
        default="rulebook",
        objects=True,
        metavar="PROVIDER:MODEL",
        example="openai:gpt-4o",
    ),
    Option(
        "--base-url",
        "text",
        "Address of a server that speaks the provider's protocol.",
        argument="base_url",
        shown="the provider's",
        metavar="URL",
        example="http://localhost:11434/v1",
    ),
    Option(
        "--n-trials",
        "count",
        "Trials in total, those of a resumed run included.",
        argument="n_trials",
        default=50,
        paper=50,
        aliases=("--trials",),
        metavar="N",
        example="50",
    ),
    Option(
        "--timeout",
        "duration",
        "Stop after this time; the trial in flight ends after its fold.",
        argument="timeout",
        shown="none",
        metavar="TIME",
        example="10m",
    ),
    Option(
        "--trial-timeout",
        "duration",
        "Give up a trial after this time; it counts as failed.",
        argument="trial_timeout",
        shown="none",
        metavar="TIME",
        example="90s",
    ),
    Option(
        "--scoring",
        "text",
        "The metric: a scorer's name of scikit-learn, or {variable} with a scorer.",
        argument="scoring",
        shown="f1_weighted for classes, neg_mean_absolute_error for numbers",
        aliases=("--metric",),
        objects=True,
        metavar="METRIC",
        example="neg_log_loss",
    ),
    Option(
        "--direction",
        "directions",
        "Required with an objective; several with commas between for several objectives.",
        argument="direction",
        shown="by the metric",
        choices=("maximize", "minimize"),
        metavar="DIRECTION",
        example="minimize",
    ),
    Option(
        "--cv",
        "count",
        "Number of folds, or {variable} with a splitter of scikit-learn.",
        argument="cv",
        default=5,
        shown="5, shuffled; stratified for classes",
        low=2,
        objects=True,
        metavar="K",
        example="5",
    ),
    Option(
        "--target",
        "text",
        "The column of `data` to predict.",
        metavar="COLUMN",
        example="price",
    ),
    Option(
        "--describe",
        "text",
        "Your words on the task for the LLM; the cell's docstring is added.",
        argument="description",
        default="",
        shown="the cell's docstring",
        metavar="TEXT",
        example='"churn of phone customers"',
    ),
    Option(
        "--init",
        "choice",
        "Where the first configurations come from; user: from the name enqueue.",
        argument="init",
        default="llm",
        paper="llm",
        choices=("llm", "default", "random", "user"),
        metavar="INIT",
        example="default",
    ),
    Option(
        "--candidates",
        "count",
        "Configurations per request.",
        argument="candidates",
        default=5,
        paper=1,
        metavar="N",
        example="5",
    ),
    Option(
        "--schedule",
        "choice",
        "How LLM and sampler take turns.",
        argument="schedule",
        default="adaptive",
        shown="adaptive, starting at --llm-ratio",
        paper="bernoulli",
        choices=("adaptive", "bernoulli", "alternate", "warmstart"),
        metavar="SCHEDULE",
        example="bernoulli",
    ),
    Option(
        "--llm-ratio",
        "share",
        "Share of the trials that the LLM proposes, 0 to 1.",
        argument="llm_ratio",
        default=0.5,
        paper=0.5,
        metavar="P",
        example="0.5",
    ),
    Option(
        "--judge",
        "switch",
        "A surrogate model ranks and vetoes the LLM's candidates.",
        argument="judge",
        default=True,
        shown="on",
        paper=False,
        negative="--no-judge",
    ),
    Option(
        "--multivariate",
        "switch",
        "Optuna's TPE models the parameters together; off: each by itself, as the paper's TPE did.",
        argument="multivariate",
        default=True,
        shown="on",
        paper=False,
        negative="--no-multivariate",
    ),
    Option(
        "--history",
        "choice",
        "What the LLM is shown of earlier trials.",
        argument="history",
        default="state",
        paper="window",
        paper_llm="summary",
        choices=("state", "summary", "window", "full"),
        metavar="POLICY",
        example="summary",
    ),
    Option(
        "--patience",
        "patience",
        "Stop after N trials without a better one; auto weighs the expected gain against the folds' noise.",
        argument="patience",
        default="off",
        paper=5,
        paper_llm=15,
        choices=("auto", "off"),
        metavar="N|auto|off",
        example="15",
    ),
    Option(
        "--pruner",
        "choice",
        "Stop trials that do badly on the way: as they train where the estimator or objective can report, "
        "else after some of the folds; or {variable} with a pruner of Optuna.",
        argument="pruner",
        shown="none; Optuna's median for an objective(trial) that asks",
        choices=("none", "asha", "hyperband", "median", "wilcoxon"),
        objects=True,
        metavar="PRUNER",
        example="asha",
    ),
    Option(
        "--early-stopping-rounds",
        "count",
        "Find the boosting rounds instead of searching them: each fold stops after N rounds without gain on "
        "training rows that it holds back.",
        argument="early_stopping_rounds",
        shown="off: the rounds are searched",
        metavar="N",
        example="50",
    ),
    Option(
        "--max-requests",
        "count",
        "At most so many requests; then the sampler goes on alone.",
        argument="max_requests",
        shown="none",
        low=0,
        metavar="N",
        example="20",
    ),
    Option(
        "--max-tokens",
        "count",
        "At most so many tokens, prompts and replies together.",
        argument="max_tokens",
        shown="none",
        metavar="N",
        example="200000",
    ),
    Option(
        "--max-cost",
        "amount",
        "At most so many US dollars.",
        argument="max_cost",
        shown="none",
        metavar="USD",
        example="0.50",
    ),
    Option(
        "--share-columns",
        "flag",
        "Show the LLM the names of the columns.",
        argument="share_columns",
        default=False,
        shown="off",
    ),
    Option(
        "--anonymize",
        "flag",
        "Hide the estimator's name and sizes from the LLM too.",
        argument="anonymize",
        default=False,
        shown="off",
    ),
    Option(
        "--n-jobs",
        "jobs",
        "Cores to use; -1 for all.",
        argument="n_jobs",
        shown="one trial at a time, its folds laid out to fit the cores",
        metavar="N",
        example="2",
    ),
    Option(
        "--executor",
        "text",
        "Where trials run: dask://HOST:PORT, or {variable} with a concurrent.futures.Executor.",
        argument="executor",
        shown="this process",
        objects=True,
        metavar="EXECUTOR",
        example="dask://scheduler:8786",
    ),
    Option(
        "--storage",
        "text",
        "Optuna storage: journal:PATH, grpc://HOST:PORT, a database URL, or {variable} with a storage.",
        argument="storage",
        shown="a journal file in .sllmbo/NAME/",
        objects=True,
        metavar="STORAGE",
        example="journal:study.log",
    ),
    Option(
        "--resume",
        "flag",
        "Go on with the run of this name, to the total of --n-trials.",
        argument="resume",
        default=False,
        shown="off",
    ),
    Option(
        "--warm-start",
        "text",
        "An earlier run to learn from: its name, its folder, or {variable} with a result.",
        argument="warm_start",
        shown="none",
        objects=True,
        metavar="RUN",
        example="baseline",
    ),
    Option(
        "--seed",
        "count",
        "Seed of all randomness.",
        argument="seed",
        shown="random, and recorded",
        low=0,
        metavar="N",
        example="42",
    ),
    Option(
        "--preset",
        "choice",
        "A set of options at once; those you give yourself win. paper: the settings of the SLLMBO paper.",
        argument="preset",
        shown="none",
        choices=("paper",),
        metavar="PRESET",
        example="paper",
    ),
    Option("--background", "flag", "Return at once and let the run go on; see %sllmbo wait.", shown="off"),
    Option("--no-widget", "flag", "Show progress as text.", shown="off"),
    Option(
        "--dry-run",
        "flag",
        "Show the parsed run, a forecast of requests, tokens and money, and the first request; run nothing.",
        shown="off",
    ),
    Option("--debug", "flag", "Show the traceback of an error.", shown="off"),
)

COMPARE_OPTIONS: Final[tuple[Option, ...]] = (
    Option(
        "--ablate",
        "choice",
        "The part of the method to switch: first configurations, changing ranges, who proposes, what the "
        "LLM is told, the judge, true or permuted scores, real or hidden names, the pruner.",
        choices=("init", "space", "hybrid", "history", "judge", "scores", "names", "pruner"),
        metavar="WHAT",
        example="init",
    ),
    Option(
        "--permute-scores",
        "flag",
        "The same as --ablate scores: does the LLM react to the scores at all?",
        shown="off",
    ),
    Option(
        "--samplers",
        "text",
        "Samplers to compare, with commas between; the first is the one that the others are compared with.",
        shown="llm-tpe,tpe",
        metavar="A,B",
        example="llm-tpe,tpe,random",
    ),
    Option(
        "--seeds",
        "text",
        "How many seeds, or the seeds with commas between. Under 6 no difference can be shown.",
        shown="3",
        metavar="N",
        example="7",
    ),
)
"""What ``%sllmbo compare NAME`` takes besides the options of a run."""

BY_SPELLING: Final[dict[str, Option]] = {s: option for option in OPTIONS for s in option.spellings}
BY_ARGUMENT: Final[dict[str, Option]] = {o.argument: o for o in OPTIONS if o.argument}


def preset_values(name: str, sampler: Any = "llm-tpe") -> dict[str, Any]:
    """The arguments of ``tune`` that a preset sets: ``paper`` gives those of the SLLMBO paper.

    Args:
        name: ``"paper"``.
        sampler: The run's sampler; the paper's LLM-only variant differs in history and patience.

    Raises:
        KeyError: There is no such preset.
    """
    if name != "paper":
        raise KeyError(name)
    values = {}
    for argument, option in BY_ARGUMENT.items():
        value = option.paper
        if sampler == "llm" and option.paper_llm is not SAME:
            value = option.paper_llm
        if value is not SAME:
            values[argument] = value
    return values


@dataclass(frozen=True)
class Command:
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


COMMANDS: Final[tuple[Command, ...]] = (
    Command("runs", "", "List the runs in .sllmbo/.", "%sllmbo runs"),
    Command("show", "NAME", "Show the picture and table of a run.", "%sllmbo show churn", "run"),
    Command("pause", "[NAME]", "Pause after the trial in flight.", "%sllmbo pause", "run", True),
    Command("resume", "[NAME]", "Go on after a pause.", "%sllmbo resume", "run", True),
    Command("stop", "[NAME]", "End after the fold in flight.", "%sllmbo stop", "run", True),
    Command("wait", "[NAME]", "Wait until a background run is done.", "%sllmbo wait", "run"),
    Command(
        "sampler",
        "llm|llm-tpe|tpe",
        "Change who proposes, from the next trial on.",
        "%sllmbo sampler llm",
        "mode",
        True,
    ),
    Command("ratio", "P", "Change the LLM's share of the trials.", "%sllmbo ratio 0.3", "", True),
    Command("hint", '"WORDS"', "Tell the LLM something.", '%sllmbo hint "prefer shallow trees"', "", True),
    Command(
        "range",
        "PARAM LOW HIGH | PARAM CHOICES",
        "Change a range, from then on yours; beyond the outer space the run goes on in a linked study.",
        "%sllmbo range learning_rate 0.01 0.1",
        "",
        True,
    ),
    Command(
        "lock", "PARAM", "Let only you change the range of a parameter.", "%sllmbo lock max_depth", "", True
    ),
    Command("unlock", "PARAM", "Let the LLM change its range again.", "%sllmbo unlock max_depth", "", True),
    Command("enqueue", "{...}", "Try this configuration next.", '%sllmbo enqueue {"max_depth": 3}', "", True),
    Command("extend", "N", "Add trials to the total.", "%sllmbo extend 20", "", True),
    Command("preview", "[NAME]", "Show every byte a run sent to its LLM.", "%sllmbo preview churn", "run"),
    Command("report", "NAME [PATH]", "Write one HTML file about a run.", "%sllmbo report churn", "run"),
    Command("export", "NAME [PATH]", "Write all of a run as one JSON file.", "%sllmbo export churn", "run"),
    Command("code", "NAME", "Show the winner as runnable Python.", "%sllmbo code churn", "run"),
    Command(
        "compare",
        "NAME [--ablate WHAT] [--permute-scores] [--samplers A,B] [--seeds N] [options] | NAME NAME...",
        "Search one run's task again in several ways with several seeds, and show table and figure "
        "(docs/comparing.md); or put stored runs in one table.",
        "%sllmbo compare churn --ablate init --seeds 7",
        "run",
    ),
    Command("delete", "NAME", "Delete a run's folder.", "%sllmbo delete churn.1", "run"),
    Command("rename", "NAME NEW", "Rename a run.", "%sllmbo rename churn churn_f1", "run"),
    Command("providers", "", "List the LLM providers and which have a key.", "%sllmbo providers"),
    Command(
        "key",
        "PROVIDER",
        "Ask for a provider's key without showing it; it stays in this kernel's memory.",
        "%sllmbo key openai",
        "provider",
    ),
    Command(
        "doctor",
        "[PROVIDER:MODEL [--base-url URL]]",
        "Check the installation; with an LLM's name, its key, server, model and replies by one tiny request.",
        "%sllmbo doctor openai:gpt-4o",
        "provider",
    ),
    Command("help", "[COMMAND|OPTION]", "Show help.", "%sllmbo help --schedule", "help"),
)

BY_NAME: Final[dict[str, Command]] = {command.name: command for command in COMMANDS}

NAMES: Final[tuple[tuple[str, str], ...]] = (
    ("model or estimator", "any scikit-learn-compatible estimator, Pipeline or class"),
    ("objective", "else: a function of a trial or of a dict of parameters; --direction is then required"),
    ("X, y", "the data; or X_train, y_train with X_test, y_test kept for the report; or data and --target"),
    ("cv, groups, scoring, sample_weight, fit_params", "as in scikit-learn"),
    ("search_space", "a dict of Optuna distributions, tuples or lists; without it the LLM writes one"),
    ("enqueue", "your own configurations, a list of dicts; tried first, right after the default"),
    ("the cell's docstring", "your words for the LLM"),
)
"""What ``%%sllmbo`` looks up in the namespace after the cell has run."""
