"""The options of ``%sllmbo compare``."""

from __future__ import annotations

from typing import Final

from sllmbo_magic.options.option import Option

COMPARE_OPTIONS: Final[tuple[Option, ...]] = (
    Option(
        "--ablate",
        "choice",
        "The part of the method to vary: the first configurations (init), changes of the space, LLM and "
        "sampler together or alone (hybrid), the history in the prompts, the surrogate model (judge), true "
        "or permuted scores, real or hidden names, the pruner.",
        choices=("init", "space", "hybrid", "history", "judge", "scores", "names", "pruner"),
        metavar="WHAT",
        example="init",
    ),
    Option(
        "--permute-scores",
        "flag",
        "The same as --ablate scores: tests whether the LLM uses the scores.",
        shown="off",
    ),
    Option(
        "--prove",
        "flag",
        "Measure what the LLM contributes. Compares six variants over several seeds: the default alone, TPE "
        "from the default, the rulebook, the LLM, the LLM without names and description, and the LLM with "
        "permuted scores. Also shows scores on held-out rows, over-tuning, tokens, money, and a verdict in "
        "one sentence.",
        shown="off",
    ),
    Option(
        "--samplers",
        "text",
        "Samplers to compare, separated by commas. The others are compared with the first.",
        shown="llm-tpe,tpe",
        objects="a list of names",
        metavar="A,B",
        example="llm-tpe,tpe,random",
    ),
    Option(
        "--seeds",
        "text",
        "Number of seeds, or the seeds separated by commas. With fewer than 6 no difference can be shown.",
        shown="3; 8 with --prove",
        metavar="N",
        example="7",
    ),
)
"""What ``%sllmbo compare NAME`` takes besides the options of a run."""
