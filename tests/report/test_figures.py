"""Figures: what they show, that they look after themselves, and that they touch nothing but themselves."""

from __future__ import annotations

import base64
import copy
import io
import re
import sys
import threading
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.collections import LineCollection  # noqa: E402
from matplotlib.collections import PathCollection  # noqa: E402
from matplotlib.collections import PolyCollection  # noqa: E402
from matplotlib.colors import to_rgb  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.text import Text  # noqa: E402
from PIL import Image  # noqa: E402
from sklearn.metrics import get_scorer_names  # noqa: E402

from sllmbo_magic import attrs  # noqa: E402
from sllmbo_magic.errors import InputError  # noqa: E402
from sllmbo_magic.report import figures  # noqa: E402
from sllmbo_magic.report.figures import canvas  # noqa: E402
from sllmbo_magic.report.figures import style  # noqa: E402
from sllmbo_magic.task.display_metric import display_metric  # noqa: E402
from tests.bundles import make_bundle  # noqa: E402
from tests.bundles import make_hostile_bundle  # noqa: E402
from tests.bundles import make_multi_objective_bundle  # noqa: E402

NAMES = [name for name in figures.__all__ if name != "plot_comparison"]  # that one shows several runs
PLOTS: list[Callable[..., Any]] = [getattr(figures, name) for name in NAMES]
HOSTILE = (
    'x_$\\frac{1}$ <b onmouseover="p()">\x1b[31mred\x1b[0m\u202egnirts\u2066 {}%s\nnext line ' + "W" * 300
)
CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "no trial": lambda: make_bundle(0),
    "one trial": lambda: make_bundle(1),
    "five trials": lambda: make_bundle(5),
    "all failed": lambda: make_bundle(12, fail=1),
    "all pruned but a few": lambda: make_bundle(12, prune=0.9),
    "several objectives": make_multi_objective_bundle,
    "minimize, rulebook": lambda: make_bundle(60, direction="minimize", llm="rulebook"),
    "50 parameters": lambda: make_bundle(30, extra_params=40),
    "a pipeline": lambda: make_bundle(30, prefix="prep__clf__"),
    "hostile text": lambda: make_hostile_bundle(HOSTILE),
    "nothing known": lambda: {"schema": 1, "run": {}, "space": {}, "trials": [], "chat": []},
    "1,000 trials": lambda: make_bundle(1000, chat=False),
}


@pytest.fixture(autouse=True)
def _no_warning() -> Iterator[None]:
    """A layout that does not work out, or a glyph that is missing, is only a warning in matplotlib."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    return make_bundle(50)


@pytest.fixture(scope="module")
def drawn(run: dict[str, Any]) -> dict[str, bytes]:
    """Every figure of the run as PNG, by name."""
    return {name: png(plot(run)) for name, plot in zip(NAMES, PLOTS, strict=True)}


def png(figure: Figure) -> bytes:
    return canvas.png(figure, scale=1)


def decoded(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)))


def pixels(figure: Figure) -> Any:
    return decoded(png(figure))


def axes_of(figure: Figure, title: str) -> Axes:
    return next(ax for ax in figure.axes if ax.get_title(loc="left") == title)


def texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text()]


def scattered(ax: Axes) -> list[PathCollection]:
    return [c for c in ax.collections if isinstance(c, PathCollection)]


def at(ax: Axes, n: int) -> list[PathCollection]:
    """The markers that stand at trial n."""
    return [c for c in scattered(ax) if n in c.get_offsets()[:, 0]]


@pytest.mark.parametrize("case", CASES)
def test_every_run_has_every_figure(case: str) -> None:
    bundle = CASES[case]()
    before = copy.deepcopy(bundle)
    for plot in PLOTS:
        figure = plot(bundle)
        image = pixels(figure)
        assert Image.fromarray(image).getcolors(5) is None, "nothing is drawn: at most five colors"
        width, height = figure.get_size_inches() * 100
        assert image.shape[:2] == (round(height), round(width))
    assert bundle == before


@pytest.mark.parametrize("name", NAMES)
def test_dark_figures_are_dark(name: str, run: dict[str, Any], drawn: dict[str, bytes]) -> None:
    light, dark = decoded(drawn[name]), pixels(getattr(figures, name)(run, theme="dark"))
    assert light.shape == dark.shape
    assert light.mean() > 200
    assert dark.mean() < 80


def test_an_unknown_theme_is_refused(run: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"'sepia' is not known. Allowed: light, dark\."):
        figures.plot_history(run, theme="sepia")


# ---------------------------------------------------------------- history


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_history_best_so_far_follows_the_direction(direction: str) -> None:
    bundle = make_bundle(40, direction=direction, seed=2)
    (ax,) = figures.plot_history(bundle).axes
    (line,) = [ln for ln in ax.lines if ln.get_drawstyle() == "steps-post"]
    best, expected = None, []
    for trial in bundle["trials"]:
        value = trial["value"]
        if value is not None and (
            best is None or (value > best if direction == "maximize" else value < best)
        ):
            best = value
            expected.append((trial["n"], value))
    # neg_log_loss is drawn as log loss: lower is better then as well
    sign = -1 if direction == "maximize" else 1
    expected = [(n, sign * value) for n, value in expected]
    drawn = list(zip(*line.get_data(), strict=True))
    assert drawn == [*expected, (39, sign * best)]
    rings = [c for c in scattered(ax) if not len(c.get_facecolors())]
    assert [tuple(c.get_offsets()[0]) for c in rings] == [expected[-1]]
    name = "log loss" if direction == "maximize" else "MAE"
    assert ax.get_ylabel() == f"{name} (lower is better ↓)"


def test_history_of_a_score_says_that_higher_is_better() -> None:
    bundle = make_bundle(10)
    bundle["run"]["metric"] = "f1_weighted"
    (ax,) = figures.plot_history(bundle).axes
    assert ax.get_ylabel() == "f1_weighted (higher is better ↑)"


def test_history_shows_default_spread_and_lost_trials(run: dict[str, Any]) -> None:
    (ax,) = figures.plot_history(run).axes
    default = -run["run"]["default_value"]  # neg_log_loss is drawn as log loss
    assert [ln for ln in ax.lines if list(ln.get_ydata()) == [default, default]], "no line for the default"
    spreads = {
        seg[0][0]: (seg[0][1], seg[1][1])
        for c in ax.collections
        if isinstance(c, LineCollection)
        for seg in c.get_segments()
    }
    for trial in run["trials"]:
        if trial["state"] == "COMPLETE":
            low, high = -trial["value"] - trial["std"], -trial["value"] + trial["std"]
            assert spreads[trial["n"]] == pytest.approx((low, high))
    legend = [t.get_text() for t in ax.get_legend().get_texts()]
    for state, word in (("FAIL", "failed"), ("PRUNED", "pruned")):
        lost = [t["n"] for t in run["trials"] if t["state"] == state]
        (marks,) = [c for c in scattered(ax) if c.get_label() == f"{word} ({len(lost)})"]
        assert list(marks.get_offsets()[:, 0]) == lost
        assert f"{word} ({len(lost)})" in legend
    assert {s.split(" (")[0] for s in legend} >= {t["source"] for t in run["trials"]}


def test_infeasible_trials_stand_with_those_that_have_no_score(run: dict[str, Any]) -> None:
    bundle = copy.deepcopy(run)
    best = bundle["trials"][bundle["run"]["best_number"]]
    best.update(state="INFEASIBLE")
    (ax,) = figures.plot_history(bundle).axes
    (marks,) = [c for c in scattered(ax) if c.get_label() == "infeasible (1)"]
    assert list(marks.get_offsets()[:, 0]) == [best["n"]]
    for ax in figures.plot_search_space(bundle).axes[:2]:
        crosses = [c for c in at(ax, best["n"]) if c.get_array() is None]
        assert len(crosses) == len(at(ax, best["n"])), "neither a rank nor a ring"


def test_history_keeps_a_terrible_trial_off_the_axis(run: dict[str, Any]) -> None:
    bundle = copy.deepcopy(run)
    bundle["trials"][7].update(value=-9.0, std=3.0, state="COMPLETE")
    (ax,) = figures.plot_history(bundle).axes
    low, high = ax.get_ylim()
    assert high < 1.0
    assert low < -run["run"]["best_value"] < -run["run"]["default_value"] < high
    assert "1 trial beyond the axis" in texts(ax.figure)
    (arrow,) = [c for c in at(ax, 7) if c.get_offsets()[0, 1] > 0.9]
    assert arrow.get_offsets()[0, 1] < 1, "the arrow stands inside the axes"


# ---------------------------------------------------------------- search space


def test_space_has_a_panel_per_parameter_on_its_own_scale(run: dict[str, Any]) -> None:
    figure = figures.plot_search_space(run)
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    assert titles == list(run["importances"]), "the most important first"
    for param in run["space"]["versions"][0]["params"]:
        ax = axes_of(figure, param["name"])
        assert ax.get_yscale() == ("log" if param.get("log") else "linear")
        if "choices" in param:
            assert [t.get_text() for t in ax.get_yticklabels()] == [str(c) for c in param["choices"]]


def test_space_band_moves_through_the_versions(run: dict[str, Any]) -> None:
    ax = axes_of(figures.plot_search_space(run), "num_leaves")
    bands = []
    for collection in ax.collections:
        if isinstance(collection, PolyCollection):
            (x0, y0), (x1, y1) = collection.get_paths()[0].get_extents().get_points()
            bands.append((x0, x1, round(y0), round(y1)))
    assert bands == [(-0.5, 19.5, 8, 128), (19.5, 49.5, 4, 48)]


def test_space_drops_the_lanes_of_a_fixed_parameter(run: dict[str, Any]) -> None:
    ax = axes_of(figures.plot_search_space(run), "extra_trees")
    ends = [c.get_paths()[0].get_extents().x1 for c in ax.collections if isinstance(c, PolyCollection)]
    assert ends == [34.5, 34.5], "two lanes, until the trial that fixed it"
    assert [tuple(ln.get_xdata()) for ln in ax.lines if list(ln.get_ydata()) == [1.0, 1.0]] == [
        (-0.5 + 35, 49.5)
    ]


def test_space_points_are_ranked_and_the_best_has_a_ring(run: dict[str, Any]) -> None:
    ax = axes_of(figures.plot_search_space(run), "learning_rate")
    scored = sorted((t for t in run["trials"] if t["state"] == "COMPLETE"), key=lambda t: t["value"])
    ranks: dict[int, float] = {}
    for collection in scattered(ax):
        if collection.get_array() is not None:
            ranks |= dict(
                zip(collection.get_offsets()[:, 0].astype(int), collection.get_array(), strict=True)
            )
    assert len(ranks) == len(scored)
    assert [ranks[t["n"]] for t in scored] == sorted(ranks.values())
    assert (ranks[scored[0]["n"]], ranks[scored[-1]["n"]]) == (0.0, 1.0)
    best = scored[-1]
    rings = [c for c in at(ax, best["n"]) if not len(c.get_facecolors())]
    assert [tuple(c.get_offsets()[0]) for c in rings] == [(best["n"], best["params"]["learning_rate"])]


def test_space_leaves_out_what_a_trial_does_not_use(run: dict[str, Any]) -> None:
    ax = axes_of(figures.plot_search_space(run), "drop_rate")
    users = {t["n"] for t in run["trials"] if "drop_rate" in t["params"]}
    shown = {int(x) for c in scattered(ax) for x in c.get_offsets()[:, 0]}
    assert shown == users
    assert users
    assert len(users) < 10


def test_space_limit_says_what_is_left_out(run: dict[str, Any]) -> None:
    figure = figures.plot_search_space(run, limit=3)
    assert [ax.get_title(loc="left") for ax in figure.axes][:3] == list(run["importances"])[:3]
    assert "Search space (3 of 10 parameters)" in texts(figure)


def test_a_parameter_that_was_never_searched_has_no_panel() -> None:
    bundle = make_bundle(12)
    for version in bundle["space"]["versions"]:
        version["params"].append({"name": "subsample_freq", "fixed": 1})
    for trial in bundle["trials"]:
        trial["params"]["subsample_freq"] = 1
    figure = figures.plot_search_space(bundle)
    assert "subsample" in texts(figure)
    assert "subsample_freq" not in texts(figure)
    assert "subsample_freq" not in texts(figures.plot_parallel(bundle))


def test_a_value_below_a_log_axis_stands_at_its_edge() -> None:
    bundle = make_bundle(8)
    bundle["trials"][0]["params"]["reg_lambda"] = 0.0
    ax = axes_of(figures.plot_search_space(bundle), "reg_lambda")
    assert at(ax, 0)[0].get_offsets()[0, 1] == pytest.approx(ax.get_ylim()[0])


# ---------------------------------------------------------------- importances, parallel, sources


def test_importances_of_too_few_trials_are_not_drawn() -> None:
    bundle = make_bundle(20, extra_params=30)
    bundle["importances"] = {f"p{i}": float(i) for i in range(30)}
    (ax,) = figures.plot_importances(bundle).axes
    assert not ax.patches
    assert "Not enough trials to tell which parameters matter." in texts(ax.figure)


def test_importances_are_sorted_and_the_rest_is_summed_up() -> None:
    bundle = make_bundle(70, extra_params=30)
    bundle["importances"] = {f"p{i}": float(i) for i in range(30)}
    (ax,) = figures.plot_importances(bundle).axes
    labels = [t.get_text() for t in ax.get_yticklabels()]
    widths = [bar.get_width() for bar in ax.patches]
    assert labels == [*(f"p{i}" for i in range(29, 14, -1)), "15 others"]
    assert widths[:15] == sorted(widths[:15], reverse=True)
    assert sum(widths) == pytest.approx(1.0)


def test_importances_of_a_short_run_say_so() -> None:
    figure = figures.plot_importances(make_bundle(5))
    assert "Not enough trials to tell which parameters matter." in texts(figure)


def test_a_run_whose_objective_suggests_for_itself_has_all_figures() -> None:
    """It has no versions of a search space; its parameters are those of its trials."""
    bundle = make_bundle(20)
    bundle["space"] = {"outer": [], "versions": []}
    figure = figures.plot_search_space(bundle)
    assert "learning_rate" in texts(figure)
    assert sum(len(c.get_offsets()) for c in figure.axes[0].collections) >= 10
    for plot in (figures.plot_history, figures.plot_importances, figures.plot_parallel, figures.plot_sources):
        assert plot(bundle).axes


def test_parallel_draws_the_best_trial_over_all_axes(run: dict[str, Any]) -> None:
    (ax,) = figures.plot_parallel(run).axes
    (best,) = [ln for ln in ax.lines if ln.get_linewidth() > 2]
    names = list(run["importances"])
    assert list(best.get_xdata()) == list(range(len(names) + 1))
    unused = [
        i for i, name in enumerate(names) if name not in run["trials"][run["run"]["best_number"]]["params"]
    ]
    assert [i for i, y in enumerate(best.get_ydata()) if y < 0] == unused == [names.index("drop_rate")]
    (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert len(lines.get_segments()) == sum(t["state"] == "COMPLETE" for t in run["trials"])
    assert np.array_equal(lines.get_segments()[-1][:, 1], best.get_ydata()), "the best is drawn last"


def test_parallel_limits_say_what_is_left_out(run: dict[str, Any]) -> None:
    figure = figures.plot_parallel(run, limit=4, best=9)
    assert (
        "4 of 10 parameters; the best 9 of 48 trials; darker: better score; thick: the best trial"
        in texts(figure)
    )


def test_sources_count_trials_and_new_bests(run: dict[str, Any]) -> None:
    figure = figures.plot_sources(run)
    best, news = None, dict.fromkeys((t["source"] for t in run["trials"]), 0)
    for trial in run["trials"]:
        if trial["value"] is not None and (best is None or trial["value"] > best):
            news[trial["source"]] += best is not None
            best = trial["value"]
    (ax,) = figure.axes
    assert [t.get_text() for t in ax.get_yticklabels()] == list(news)
    for lane, (source, n) in enumerate(news.items()):
        mine = [t for t in run["trials"] if t["source"] == source]
        best = max(t["value"] for t in mine if t["value"] is not None)
        share = f"{n} ({n / len(mine):.0%})" if n else "0"
        words = [t.get_text() for t in ax.texts if t.xy == (1, lane) and t.xycoords != "axes fraction"]
        assert words == [str(len(mine)), share, f"{-best:.4f}"]


# ---------------------------------------------------------------- reading by everyone


def luminance(color: Any) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(a: Any, b: Any) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", style.THEMES.values(), ids=style.THEMES)
def test_contrast_and_grey(theme: style.Theme) -> None:
    for color in (theme.text, theme.muted):
        assert contrast(color, theme.background) >= 4.5
    for source in style.MARKS:
        assert contrast(theme.color(source), theme.background) >= 2.5, source
    away = [contrast(theme.rank(i / 20), theme.background) for i in range(21)]
    assert away == sorted(away), "a better score stands out more, in grey too"
    assert away[-1] > 4 * away[0]


def test_two_sources_never_share_a_mark_in_the_figures_or_in_the_view() -> None:
    assert set(style.MARKS) == set(attrs.SOURCES)
    assert len({str(mark.marker) for mark in style.MARKS.values()}) == len(attrs.SOURCES)
    marks = Path(__file__).parents[2] / "labextension" / "src" / "view" / "marks.ts"
    (table,) = re.findall(r"SHAPES.*? = \{(.*?)\};", marks.read_text(encoding="utf-8"), re.S)
    shapes = dict(re.findall(r"'?([\w-]+)'?: '(\w+)'", table))
    assert set(shapes) == set(attrs.SOURCES)
    assert len(set(shapes.values())) == len(shapes)


# ---------------------------------------------------------------- alone in the world


def test_other_settings_of_matplotlib_change_nothing(run: dict[str, Any], drawn: dict[str, bytes]) -> None:
    hostile = {
        "text.usetex": True,
        "font.family": "serif",
        "font.size": 21,
        "font.weight": "bold",
        "axes.facecolor": "red",
        "axes.edgecolor": "red",
        "axes.grid": True,
        "axes.spines.bottom": False,
        "axes.titlesize": 30,
        "axes.titley": 0.5,
        "figure.facecolor": "red",
        "figure.dpi": 50,
        "legend.numpoints": 3,
        "lines.linewidth": 7,
        "lines.marker": "x",
        "lines.antialiased": False,
        "markers.fillstyle": "none",
        "xtick.direction": "in",
        "xtick.labelsize": 20,
        "xtick.top": True,
        "ytick.minor.visible": True,
        "ytick.labelright": True,
        "path.sketch": (10, 10, 10),
        "savefig.bbox": "tight",
    }
    with matplotlib.rc_context(hostile):
        changed = {name: png(plot(run)) for name, plot in zip(NAMES, PLOTS, strict=True)}
    for name in NAMES:
        assert np.array_equal(decoded(changed[name]), decoded(drawn[name])), name


def test_no_global_state_is_touched(run: dict[str, Any]) -> None:
    settings = dict(matplotlib.rcParams)
    seen = []
    real = matplotlib.RcParams.__setitem__
    try:
        matplotlib.RcParams.__setitem__ = lambda self, key, value: (seen.append(key), real(self, key, value))[
            1
        ]
        for plot in PLOTS:
            pixels(plot(run))
    finally:
        matplotlib.RcParams.__setitem__ = real
    assert seen == []
    assert dict(matplotlib.rcParams) == settings
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_threads_get_the_same_pictures(run: dict[str, Any], drawn: dict[str, bytes]) -> None:
    made: dict[int, list[bytes]] = {}

    def work(k: int) -> None:
        made[k] = [png(plot(run)) for plot in PLOTS]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [made[k] for k in range(2)] == [[*drawn.values()]] * 2


def test_a_notebook_shows_the_figure_without_a_backend(run: dict[str, Any]) -> None:
    formatters = pytest.importorskip("IPython.core.formatters")
    data, metadata = formatters.DisplayFormatter().format(figures.plot_history(run))
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    width, height = image.size
    assert metadata["image/png"] == {"width": width // 2, "height": height // 2}
    assert data["text/plain"].startswith("Scores of 50 trials by log loss: default 0.1911, best 0.1033")


@pytest.mark.parametrize("name", ["plot_history", "plot_importances", "plot_parallel", "plot_sources"])
def test_a_pane_draws_into_given_axes(name: str, run: dict[str, Any]) -> None:
    figure = Figure(figsize=(8, 4))
    left, right = figure.subplots(1, 2)
    left.set_title("mine", fontfamily="serif", usetex=False)
    assert getattr(figures, name)(run, ax=right) is figure
    assert right.has_data()
    assert not left.has_data()
    assert left.title.get_fontfamily() == ["serif"]


def test_a_figure_can_be_changed_and_saved(run: dict[str, Any], tmp_path: Any) -> None:
    figure = figures.plot_history(run)
    before = figure._repr_png_()
    figure.axes[0].set_ylabel("loss", color="#ff00ff")
    assert figure._repr_png_() != before
    figure.savefig(tmp_path / "history.pdf")
    figure.savefig(tmp_path / "history.svg")
    assert (tmp_path / "history.pdf").read_bytes().startswith(b"%PDF")
    assert figure.get_dpi() == 100


def test_names_are_text_and_nothing_else() -> None:
    for plot in PLOTS:
        figure = plot(make_hostile_bundle(HOSTILE))
        for text in figure.findobj(Text):
            assert not text.get_parse_math()
            assert not set(text.get_text()) & {"\x1b", "\u202e", "\u2066"}
            assert max(map(len, text.get_text().split("\n"))) < 100


def test_parallel_names_the_longest_of_scikit_learns_metrics_whole(run: dict[str, Any]) -> None:
    metric = max(get_scorer_names(), key=lambda scorer: len(display_metric(scorer).label))
    name = display_metric(metric).label
    named = {**run, "run": {**run["run"], "metric": metric}}
    figure = figures.plot_parallel(named)
    label = next(text for text in figure.findobj(Text) if text.get_text() == name)
    figure.canvas.draw()
    assert label.get_window_extent().x1 <= figure.bbox.x1
