"""What the runs of tables.py show: mean regrets, ranks and tests, as Markdown and as a figure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from scipy.stats import rankdata
from scipy.stats import wilcoxon
from table_arms import ARMS
from table_arms import PEERS

MARKS = (10, 25, 50)


@dataclass
class Results:
    """Regrets by arm: tasks x seeds that every arm has, at each mark.

    Attributes:
        arms: Names, in the order of ARMS.
        tasks: ``(suite, task)`` pairs.
        seeds: Seeds that all arms have on all tasks.
        regret: Arm to an array (tasks, seeds, trials).
        cpu: Arm to CPU milliseconds per trial, mean over all runs.
    """

    arms: list[str]
    tasks: list[tuple[str, str]]
    seeds: list[int]
    regret: dict[str, np.ndarray]
    cpu: dict[str, float]

    @classmethod
    def of(cls, runs: list[dict[str, Any]], n_trials: int) -> Results:
        """What is complete in the runs of that length."""
        by: dict[str, dict[tuple[str, str], dict[int, dict[str, Any]]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        for item in runs:
            if item["n_trials"] == n_trials:
                by[item["arm"]][(item["suite"], item["task"])][item["seed"]] = item
        every = sorted({task for arm in by.values() for task in arm})
        arms = [arm for arm in ARMS if arm in by and set(by[arm]) == set(every)]
        seeds = sorted(set.intersection(*(set(by[arm][task]) for arm in arms for task in every)))
        regret = {a: np.array([[by[a][t][s]["regret"] for s in seeds] for t in every]) for a in arms}
        cpu = {
            a: float(np.mean([by[a][t][s]["cpu"] for t in every for s in seeds])) * 1000 / n_trials
            for a in arms
        }
        return cls(arms, every, seeds, regret, cpu)

    def means(self, arm: str, mark: int) -> np.ndarray:
        """Mean regret over the seeds, one per task."""
        return np.asarray(self.regret[arm][:, :, mark - 1].mean(axis=1))

    def suite_means(self, arm: str, mark: int) -> dict[str, float]:
        """Mean regret of each suite."""
        values: dict[str, list[float]] = defaultdict(list)
        for (suite, _), value in zip(self.tasks, self.means(arm, mark), strict=True):
            values[suite].append(float(value))
        return {suite: float(np.mean(items)) for suite, items in values.items()}

    def mean_ranks(self, arms: list[str], mark: int) -> dict[str, float]:
        """Mean over the tasks of an arm's rank by its mean regret there; 1 is best."""
        ranks = rankdata(np.array([self.means(arm, mark) for arm in arms]), axis=0)
        return dict(zip(arms, ranks.mean(axis=1).tolist(), strict=True))

    def p_values(self, arm: str, peers: list[str], mark: int) -> dict[str, float]:
        """Wilcoxon's signed-rank test over the tasks' mean regrets, two-sided, Holm-corrected."""
        raw = {peer: _p(self.means(arm, mark) - self.means(peer, mark)) for peer in peers}
        corrected, largest = {}, 0.0
        for position, peer in enumerate(sorted(raw, key=raw.__getitem__)):
            largest = max(largest, min(1.0, raw[peer] * (len(raw) - position)))
            corrected[peer] = largest
        return corrected

    def worst_ratio(self, arm: str, peer: str, mark: int) -> tuple[float, str]:
        """Largest ratio of mean regrets on one task, and that task; regrets under 0.01 count as 0.01."""
        ratios = np.maximum(self.means(arm, mark), 0.01) / np.maximum(self.means(peer, mark), 0.01)
        worst = int(ratios.argmax())
        return float(ratios[worst]), "/".join(self.tasks[worst])


def _p(differences: np.ndarray) -> float:
    return 1.0 if not np.any(differences) else float(wilcoxon(differences).pvalue)


def markdown(results: Results, n_trials: int) -> str:
    """The tables of a run as Markdown."""
    marks = [mark for mark in MARKS if mark <= n_trials]
    suites = sorted({suite for suite, _ in results.tasks})
    peers = [arm for arm in PEERS if arm in results.arms]
    left_out = [arm for arm in ARMS if arm not in results.arms]
    lines = [
        f"{len(results.tasks)} tasks, {len(results.seeds)} seeds, {n_trials} trials; "
        f"Optuna {optuna.__version__}.",
        f"Not run: {', '.join(left_out)}." if left_out else "All arms were run.",
        "",
        "Mean normalised regret (0 the best of the table, 1 its median) and mean rank:",
        "",
    ]
    head = ["arm", *(f"{suite} @{mark}" for suite in suites for mark in marks)]
    head += [*(f"rank @{mark}" for mark in marks), "CPU ms a trial"]
    lines += ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    ranked = [arm for arm in results.arms if not arm.startswith("adviser")]
    ranks = {mark: results.mean_ranks(ranked, mark) for mark in marks}
    for arm in results.arms:
        cells = [arm]
        cells += [f"{results.suite_means(arm, mark)[suite]:.3f}" for suite in suites for mark in marks]
        cells += [f"{ranks[mark][arm]:.2f}" if arm in ranks[mark] else "" for mark in marks]
        lines.append("| " + " | ".join([*cells, f"{results.cpu[arm]:.1f}"]) + " |")
    for arm in [arm for arm in ("ours", "ours+default") if arm in results.arms]:
        rivals = [*peers, *(["tpe+default"] if "tpe+default" in results.arms else [])]
        lines += ["", f"`{arm}` against its peers (Wilcoxon over the tasks, Holm-corrected; worst task):", ""]
        lines += ["| peer | " + " | ".join(f"better on, p @{mark}" for mark in marks) + " | worst ratio |"]
        lines += ["|" + " --- |" * (len(marks) + 2)]
        p_values = {mark: results.p_values(arm, rivals, mark) for mark in marks}
        for peer in rivals:
            cells = []
            for mark in marks:
                better = int((results.means(arm, mark) < results.means(peer, mark)).sum())
                cells.append(f"{better} of {len(results.tasks)}, {p_values[mark][peer]:.3f}")
            ratio, where = results.worst_ratio(arm, peer, marks[-1])
            lines.append(f"| {peer} | " + " | ".join(cells) + f" | {ratio:.2f} ({where}) |")
    advisers = [arm for arm in results.arms if arm.startswith("adviser")]
    if advisers and "ours" in results.arms:
        lines += ["", f"Regret with a useless adviser over that without one, at {marks[-1]} trials:", ""]
        lines += ["| adviser | " + " | ".join(suites) + " |", "|" + " --- |" * (len(suites) + 1)]
        plain = results.suite_means("ours", marks[-1])
        for arm in advisers:
            ratios = [results.suite_means(arm, marks[-1])[suite] / plain[suite] for suite in suites]
            lines.append(f"| {arm} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")
    return "\n".join(lines) + "\n"


def figure(results: Results, path: Path) -> None:
    """Mean regret over the trials, one panel per suite."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    suites = sorted({suite for suite, _ in results.tasks})
    canvas, axes = pyplot.subplots(1, len(suites), figsize=(4 * len(suites), 3.4), squeeze=False)
    for axis, suite in zip(axes[0], suites, strict=True):
        rows = [i for i, (name, _) in enumerate(results.tasks) if name == suite]
        for arm in [arm for arm in results.arms if not arm.startswith("adviser")]:
            mean = results.regret[arm][rows].mean(axis=(0, 1))
            style = {"color": "black", "linewidth": 2} if arm == "ours" else {"linewidth": 1}
            axis.plot(np.arange(1, len(mean) + 1), mean, label=arm, **style)
        axis.set(title=suite, xlabel="trials", yscale="log")
    axes[0][0].set_ylabel("mean normalised regret (lower is better)")
    axes[0][-1].legend(fontsize=7)
    canvas.tight_layout()
    canvas.savefig(path, dpi=120)
