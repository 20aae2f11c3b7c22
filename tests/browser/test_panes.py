"""Panes that compare and explain: slice, Pareto, compare, the story of the search space, notes, exports."""

from __future__ import annotations

import gc
import json
import random
import re
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sllmbo_magic import events as ev
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.dashboard import runs
from sllmbo_magic.dashboard.live import LiveRun
from sllmbo_magic.report.bundle import RunView
from sllmbo_magic.report.html import write_report
from tests.browser.conftest import OPEN_PANE
from tests.marks import long
from tests.sample_run import run_events


@pytest.fixture(autouse=True)
def _no_other_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runs, "_entries", [])
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def report(tmp_path: Any) -> str:
    view = RunView()
    for event in run_events(50):
        view.apply(event)
    return write_report(view.snapshot(), tmp_path / "run.html").as_uri()


def open_pane(root: Any, name: str) -> Any:
    root.get_by_role("tab", name=name, exact=True).click()
    return root.get_by_role("tabpanel")


def several_objectives(n: int = 12) -> Iterator[ev.Event]:
    rng = random.Random(3)
    yield ev.RunStarted(
        run={"name": "two", "metric": "objective", "direction": "maximize, minimize", "n_trials": n}
    )
    for i in range(n):
        a, b = rng.random(), rng.random()
        yield ev.TrialStarted(number=i, params={"a": a}, source="tpe")
        yield ev.TrialFinished(
            number=i, state="COMPLETE", value=None, values=[a, b], params={"a": a}, source="tpe"
        )


def wide_run(n_params: int, n_trials: int = 20) -> Iterator[ev.Event]:
    rng = random.Random(1)
    names = [f"classifier__step__parameter_number_{i}" for i in range(n_params)]
    params = [{"name": name, "type": "float", "low": 0.0, "high": 1.0} for name in names]
    yield ev.RunStarted(run={"name": "wide", "metric": "accuracy", "direction": "maximize"})
    yield ev.SpaceChanged(version=0, trial_number=0, params=params, reason="r", by="user", outer=params)
    for i in range(n_trials):
        values = {name: rng.random() for name in names}
        yield ev.TrialStarted(number=i, params=values, source="tpe")
        score = values[names[7]] + 0.01 * rng.random()
        yield ev.TrialFinished(number=i, state="COMPLETE", value=score, params=values, source="tpe")


# ---------------------------------------------------------------- the story of the search space


def test_a_change_of_a_range_leads_to_its_reason_in_the_chat_and_back(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    pane = open_pane(page, "Search space")
    panel = pane.locator("figure", has=page.get_by_text("num_leaves", exact=True))
    marks = panel.get_by_role("button", name=re.compile(r"^Trial \d+: .* to .*\. .*Show it in the chat"))
    assert marks.count() == 3, "one for each new range"
    unchanged = pane.locator("figure", has=page.get_by_text("max_depth", exact=True))
    assert unchanged.locator(".change").count() == 0
    assert unchanged.locator(".band").count() == 1, "no edge where nothing changed"
    marks.nth(1).press("Enter")
    message = page.locator(".message.is-focused")
    message.get_by_text("num_leaves").wait_for()
    assert message.evaluate("m => m.matches(':focus')")
    page.get_by_role("tab", name="Scores", exact=True).click()
    message.get_by_role("button", name="Show in the search space").click()
    panel.locator(".change.is-focused").wait_for()
    focused = panel.locator(".change.is-focused title").text_content()
    assert focused == marks.nth(1).locator("title").text_content()


def test_a_change_leads_to_the_chat_on_a_narrow_page_too(new_page: Any, report: str) -> None:
    page = new_page(viewport={"width": 420, "height": 900}).page
    page.goto(report)
    pane = open_pane(page, "Search space")
    pane.locator(".newest-change button").first.click()
    page.locator(".chat .message.is-focused").wait_for()


@pytest.mark.parametrize(("n_params", "drawn"), [(20, 20), (60, 24)])
def test_many_parameters_are_ordered_filtered_and_drawn_on_request(
    new_widget: Any, n_params: int, drawn: int
) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*wide_run(n_params))
    pane = open_pane(widget.root, "Search space")
    names = pane.locator(".param-name")
    assert names.count() == drawn
    assert names.first.inner_text().endswith("_7"), "what explains the score comes first"
    more = pane.get_by_role("button", name=re.compile("more parameters"))
    if drawn < n_params:
        more.click()
    assert pane.locator(".param-name").count() == n_params
    pane.get_by_label("Filter the parameters").fill("number_19")
    (name,) = pane.locator(".param-name").all()
    assert name.get_attribute("title") == "classifier__step__parameter_number_19"
    assert name.inner_text().endswith("number_19"), "a long name keeps its end"


def test_a_new_category_is_typed(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*run_events(10, finish=False))
    open_pane(widget.root, "Search space")
    field = widget.root.get_by_label("Another choice of boosting_type, typed")
    field.fill("rf")
    field.press("Enter")
    widget.pump()
    (command,) = widget.control.take()
    assert command.value == {"param": "boosting_type", "choices": ["gbdt", "dart", "rf"]}


# ---------------------------------------------------------------- slice, Pareto, compare


def test_a_slice_shows_the_score_against_any_parameter(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    pane = open_pane(page, "Slice")
    pane.get_by_text("f1_weighted, higher is better").wait_for()
    before = pane.locator(".marks path").first.get_attribute("d")
    pane.get_by_label("Parameter").select_option("max_depth")
    pane.get_by_text("max_depth", exact=True).last.wait_for()
    assert pane.locator(".marks path").first.get_attribute("d") != before
    pane.get_by_role("group", name=re.compile("Score against max_depth")).press("End")
    pane.locator(".tip").get_by_text("Trial 49").wait_for()


def test_the_pareto_pane_rings_the_trials_that_no_other_beats(
    new_widget: Any, serious: Callable[..., list[str]]
) -> None:
    widget = new_widget()
    widget.show()
    events = list(several_objectives())
    widget.sink(*events)
    pane = open_pane(widget.root, "Pareto")
    done = [e.values for e in events if isinstance(e, ev.TrialFinished) and e.values]
    front = [v for v in done if not any(o[0] >= v[0] and o[1] <= v[1] and o != v for o in done)]
    assert pane.locator(".incumbent").count() == len(front)
    pane.get_by_text("objective 1, higher is better").wait_for()
    pane.get_by_text("objective 2, lower is better").wait_for()
    assert widget.root.get_by_role("radiogroup", name="Sampler").count() == 0
    assert serious(widget.page, OPEN_PANE) == []


def test_a_run_with_one_objective_has_no_pareto_pane(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    assert page.get_by_role("tab", name="Pareto").count() == 0
    assert page.get_by_role("tab", name="Compare").count() == 0, "a page has no kernel to ask"


def beside(name: str, metric: str = "f1_weighted", seed: int = 8) -> None:
    entry = runs.add(LiveRun(Control()))
    for event in run_events(30, seed=seed, name=name):
        if isinstance(event, ev.RunStarted):
            event = ev.RunStarted(run={**event.run, "metric": metric}, time=event.time)
        entry.sink(event)


@pytest.mark.parametrize("scheme", [long("light"), "dark"])
def test_runs_of_the_kernel_are_compared(
    new_widget: Any, serious: Callable[..., list[str]], scheme: str
) -> None:
    beside("other")
    beside("another metric", metric="neg_mean_absolute_error")
    widget = new_widget(color_scheme=scheme)
    widget.live.others = lambda: [entry.live for entry in runs.entries()]
    widget.show()
    widget.sink(*run_events(40, finish=False))
    pane = open_pane(widget.root, "Compare")
    widget.pump()
    assert pane.locator("path.run-line").count() == 2 + 2, "a line in the chart, and its key in the table"
    assert pane.get_by_label("other", exact=True).is_checked()
    assert pane.get_by_label("another metric (MAE)").is_disabled(), "scores of two metrics do not compare"
    best = pane.get_by_role("row", name=re.compile("Best f1_weighted"))
    assert best.locator("td").count() == 2
    assert pane.get_by_role("row", name=re.compile("^learning_rate")).count() == 1
    trials = pane.locator(".chart path.run-line").nth(0).get_attribute("d")
    pane.get_by_label("over seconds").check()
    pane.get_by_text("seconds in trials").wait_for()
    assert pane.locator(".chart path.run-line").nth(0).get_attribute("d") != trials
    assert serious(widget.page, OPEN_PANE) == []
    pane.get_by_label("other", exact=True).uncheck()
    assert pane.locator(".chart path.run-line").count() == 1


# ---------------------------------------------------------------- marks on trials, taking back


def test_a_star_and_a_note_are_sent_shown_and_kept(new_widget: Any, tmp_path: Path) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*run_events(50, finish=False))
    widget.root.get_by_role("button", name=re.compile("Star trial 47")).click()
    widget.pump()
    (star,) = widget.control.take()
    assert (star.name, star.value) == ("note", {"trial": 47, "star": True, "text": ""})
    field = widget.root.get_by_label("Note on trial 47")
    field.fill("the one <b>to keep</b>")
    field.press("Enter")
    widget.pump()
    (note,) = widget.control.take()
    assert note.value == {"trial": 47, "star": True, "text": "the one <b>to keep</b>"}
    widget.sink(ev.WishApplied(wish="note", value=note.value, trial_number=50, id=note.id))
    pane = open_pane(widget.root, "Trials")
    pane.get_by_role("cell", name="★ 47").wait_for()
    pane.get_by_role("cell", name="the one <b>to keep</b>").wait_for()
    chat = widget.root.get_by_role("log", name="Conversation")
    chat.get_by_text("Star and “the one <b>to keep</b>” on trial 47").wait_for()
    page = widget.page.context.new_page()
    page.goto(write_report(widget.live.snapshot(), tmp_path / "noted.html").as_uri())
    page.locator("p.trial-note", has_text="the one <b>to keep</b>").wait_for()
    assert page.get_by_role("img", name="Starred").count() == 1


def test_the_note_of_a_trial_with_many_parameters_is_seen_whole(new_widget: Any) -> None:
    widget = new_widget()
    widget.page.set_viewport_size({"width": 700, "height": 900})
    widget.show()
    params = {f"step_{i}__a_long_parameter": 0.123456 + i for i in range(14)}
    widget.sink(*run_events(20, finish=False))
    widget.sink(ev.TrialStarted(number=20, params=params, source="tpe"))
    best = {"state": "COMPLETE", "value": 0.99, "best_number": 20, "best_value": 0.99}
    widget.sink(ev.TrialFinished(number=20, params=params, source="tpe", **best))
    field = widget.root.get_by_label("Note on trial 20")
    field.wait_for()
    box, whole = field.bounding_box(), widget.root.locator(".inspector").bounding_box()
    parameters = widget.root.locator(".inspector-body").bounding_box()
    assert box["y"] >= parameters["y"] + parameters["height"], "it covers no parameter"
    assert box["y"] + box["height"] <= whole["y"] + whole["height"]


def test_after_the_end_trials_are_marked_while_the_kernel_lives(
    new_widget: Any, data: Any, model: Any
) -> None:
    widget = new_widget()
    widget.show()
    options: dict[str, Any] = {"seed": 1, "verify": False, "judge": False, "sampler": "tpe"}
    result = tune(model, *data, n_trials=3, control=widget.control, sinks=[widget.sink], **options)
    root = widget.root
    root.get_by_text("finished", exact=True).wait_for()
    assert root.get_by_role("button", name=re.compile("Star trial")).count() == 0, "nobody would keep it"
    widget.live.keep(result)
    widget.pump()
    open_pane(root, "Trials").get_by_role("row").filter(has_text="default").click()
    root.get_by_role("button", name="Star trial 0").click()
    field = root.get_by_label("Note on trial 0")
    field.fill("where it began")
    field.press("Enter")
    widget.pump()
    root.get_by_role("cell", name="★ 0").wait_for()
    assert result.bundle()["trials"][0]["note"] == "where it began"
    widget.page.evaluate("window.models.w.emit('comm:close')")
    root.get_by_role("img", name="Starred").wait_for()
    assert root.get_by_label("Note on trial 0").count() == 0, "without a kernel it is not offered"
    assert root.get_by_text("where it began").count() >= 1
    assert root.get_by_text("disconnected").count() == 0, "a run that has ended has lost nothing"
    assert root.get_by_role("alert").count() == 0


def test_a_mark_that_cannot_be_kept_says_why(new_widget: Any, data: Any, model: Any) -> None:
    widget = new_widget()
    widget.show()
    options: dict[str, Any] = {"seed": 1, "verify": False, "judge": False, "sampler": "tpe", "folder": ""}
    result = tune(model, *data, n_trials=2, control=widget.control, sinks=[widget.sink], **options)
    widget.live.keep(result)
    widget.pump()
    del result
    gc.collect()
    widget.root.get_by_role("button", name=re.compile("Star trial")).click()
    widget.pump()
    widget.root.get_by_text("Not kept: The run has ended, and its result is gone.").wait_for()
    assert widget.root.get_by_role("button", name=re.compile("Star trial"), pressed=True).count() == 0


def test_importances_of_both_kinds_with_their_uncertainty_come_on_request(
    new_widget: Any, data: Any, model: Any, serious: Callable[..., list[str]]
) -> None:
    widget = new_widget()
    widget.show()
    space = {"C": (1e-3, 1e3, "log"), "tol": (1e-6, 1e-2, "log")}
    options: dict[str, Any] = {"seed": 1, "verify": False, "judge": False, "sampler": "tpe", "folder": ""}
    result = tune(
        model, *data, search_space=space, n_trials=14, control=widget.control, sinks=[widget.sink], **options
    )
    pane = open_pane(widget.root, "Importance")
    pane.get_by_text("(PED-ANOVA)").wait_for()
    assert pane.get_by_role("button", name="How sure is that?").count() == 0, "nobody would answer"
    widget.live.keep(result)
    widget.pump()
    for kind, name in (("ped-anova", "PED-ANOVA"), ("surrogate", "Surrogate")):
        if kind == "ped-anova":
            pane.get_by_role("button", name="How sure is that?").click()
        else:
            pane.get_by_role("radio", name=name).check(force=True)
        pane.get_by_text("The kernel computes 20 resamples").wait_for()
        for _ in range(600):
            widget.pump()
            if pane.get_by_text("The kernel computes 20 resamples").count() == 0:
                break
            widget.page.wait_for_timeout(100)
        intervals = result.importance_intervals(kind)
        for parameter, (low, high) in intervals.items():
            row = pane.locator(".importance-row", has_text=parameter)
            assert f"{100 * low:.0f} to {100 * high:.0f} %" in row.inner_text()
            line, bar = row.locator(".whisker").bounding_box(), row.locator(".bar").bounding_box()
            most = max(high for _, high in intervals.values())
            assert line["x"] == pytest.approx(bar["x"] + bar["width"] * low / most, abs=1.5)
            assert line["width"] == pytest.approx(max(1, bar["width"] * (high - low) / most), abs=1.5)
        assert pane.get_by_text("where 90 % of 20 resamples of the trials lie").count() == 1
    assert serious(widget.page, OPEN_PANE) == []


def test_an_enqueued_configuration_is_taken_back(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*run_events(50, finish=False))
    widget.root.get_by_role("button", name="Enqueue again: trial 47").first.click()
    widget.pump()
    widget.root.get_by_role("button", name="Undo: Configuration enqueued").click()
    widget.pump()
    enqueued, dequeued = widget.control.take()
    assert (enqueued.name, dequeued.name) == ("enqueue", "dequeue")
    assert enqueued.value == dequeued.value
    widget.root.get_by_text("Configuration taken back").wait_for()


# ---------------------------------------------------------------- exports


@pytest.mark.parametrize(
    "name", ["Scores", long("Search space"), long("Slice"), "Parallel coordinates", long("Contour")]
)
def test_a_pane_is_taken_away_as_svg_and_png(new_page: Any, report: str, name: str) -> None:
    watched = new_page()
    page = watched.page
    page.goto(report)
    pane = open_pane(page, name)
    charts = pane.locator(".chart > svg").count()
    with page.expect_download() as got:
        page.get_by_role("button", name="Download SVG of this pane").click()
    svg = Path(got.value.path()).read_text(encoding="utf-8")
    assert svg.startswith("<svg")
    assert svg.count("<svg") == 1 + charts
    assert "var(" not in svg, "colours are written out"
    assert "rgb" in svg
    with page.expect_download() as got:
        page.get_by_role("button", name="Download PNG of this pane").click()
    png = Path(got.value.path()).read_bytes()
    assert png.startswith(b"\x89PNG")
    assert len(png) > 10_000, "not an empty picture"
    assert watched.errors == []


def test_a_pane_without_a_chart_says_so(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    open_pane(page, "Cost")
    page.get_by_role("button", name="Download PNG of this pane").click()
    page.get_by_text("This pane has no chart.").wait_for()


def test_the_report_is_downloaded_while_the_run_goes_on(new_widget: Any, tmp_path: Path) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*run_events(20, finish=False))
    with widget.page.expect_download() as got:
        widget.root.get_by_role("button", name="Download HTML report of the run").click()
        widget.pump()
    page = Path(got.value.path()).read_text(encoding="utf-8")
    data = re.search(r'id="sllmbo-bundle">(.*?)</script>', page, re.S)
    assert data is not None
    assert len(json.loads(data.group(1))["trials"]) == 20
    got.value.save_as(tmp_path / "run.html")
    saved = widget.page.context.new_page()
    saved.goto((tmp_path / "run.html").as_uri())
    saved.get_by_text("running when this was saved", exact=True).wait_for()
    assert saved.locator(".doing").inner_text().strip() == "", "a file does nothing"


# ---------------------------------------------------------------- warnings of libraries


@pytest.mark.parametrize("scheme", [long("light"), "dark"])
def test_warnings_of_libraries_are_counted_and_shown_on_request(
    new_widget: Any, serious: Callable[..., list[str]], scheme: str
) -> None:
    widget = new_widget(color_scheme=scheme)
    widget.show()
    *events, end = run_events(12)
    rows = [
        {
            "category": "ConvergenceWarning",
            "text": "lbfgs <b>failed</b>",
            "count": 40,
            "n_trials": 9,
            "trial": 2,
        },
        {"category": "UserWarning", "text": "w" * 300, "count": 2, "n_trials": 0, "trial": None},
    ]
    summary = {**end.summary, "warnings": rows}
    widget.sink(*events, ev.RunFinished(status="finished", reason="", summary=summary, time=end.time))
    text = widget.root.get_by_text("lbfgs <b>failed</b>")
    fold = widget.root.get_by_text("42 warnings of libraries, 2 texts")
    fold.wait_for()
    assert not text.is_visible()
    fold.click()
    assert text.is_visible()
    row = widget.root.get_by_role("row", name=re.compile("ConvergenceWarning"))
    assert row.locator("td").all_inner_texts()[:2] == ["40", "9"]
    widget.page.set_viewport_size({"width": 360, "height": 900})
    widget.page.wait_for_function("document.documentElement.scrollWidth <= 360")  # drawn at its new size
    assert serious(widget.page) == []


# ---------------------------------------------------------------- axes of the parallel coordinates


def names_outside(pane: Any) -> list[str]:
    """Names of axes that lie outside of their drawing, or that cross another name."""
    found: list[str] = pane.locator("svg").evaluate(
        """svg => {
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('.axis-name')].filter(name => {
                const box = name.getBoundingClientRect();
                return box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1;
            }).map(name => name.firstChild.data);
        }"""
    )
    return found


@pytest.mark.parametrize("width", [360, long(820), 1500])
@pytest.mark.parametrize("metric", ["MAE", "neg_mean_poisson_deviance_of_weighted"])
def test_no_name_of_an_axis_is_cut_and_ends_are_kept(new_widget: Any, width: int, metric: str) -> None:
    widget = new_widget(viewport={"width": width, "height": 900})
    widget.show()
    start, *rest = wide_run(20)
    widget.sink(ev.RunStarted(run={**start.run, "metric": metric}), *rest)
    pane = open_pane(widget.root, "Parallel coordinates")
    names = pane.locator(".axis-name")
    assert names_outside(pane) == []
    shown = names.evaluate_all("names => names.map(name => name.firstChild.data)")
    assert len(set(shown)) == len(shown), "the names differ"
    assert all(re.search(r"_\d+$", name) for name in shown[:-1])


@pytest.mark.parametrize("scheme", [long("light"), "dark"])
def test_the_axes_are_chosen(new_widget: Any, serious: Callable[..., list[str]], scheme: str) -> None:
    widget = new_widget(color_scheme=scheme)
    widget.show()
    widget.sink(*wide_run(20))
    pane = open_pane(widget.root, "Parallel coordinates")
    before = pane.locator(".axis-name").count()
    assert before < 21
    pane.get_by_text(re.compile(r"Axes: \d+ of 20 parameters")).click()
    boxes = pane.get_by_role("checkbox")
    assert boxes.count() == 20
    assert pane.locator(".axis-choice label").first.inner_text().strip().endswith("_7"), "what matters first"
    for box in boxes.all():
        box.check()
    assert pane.locator(".axis-name").count() == 21, "all, and the score"
    assert pane.locator(".chart").evaluate("chart => chart.scrollWidth > chart.clientWidth")
    assert names_outside(pane) == []
    assert widget.page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert serious(widget.page, OPEN_PANE) == []
    for box in boxes.all()[1:]:
        box.uncheck()
    assert pane.locator(".axis-name").count() == 2
    assert boxes.first.is_disabled(), "one is left"
    pane.get_by_role("button", name="Those that fit").click()
    assert pane.locator(".axis-name").count() == before


# ---------------------------------------------------------------- words and figures of the head


def test_the_verdict_stands_as_it_was_written_and_a_bare_reason_as_a_sentence(new_widget: Any) -> None:
    *events, end = run_events(12)
    sentence = "Tuning raised roc_auc from 0.81 to 0.84 (trial 9, tpe)."
    for summary, shown in (
        ({**end.summary, "verdict": sentence}, sentence),
        ({}, "The time limit is reached."),
    ):
        widget = new_widget()
        widget.show()
        reason = "the time limit is reached"
        widget.sink(*events, ev.RunFinished(status="finished", reason=reason, summary=summary, time=end.time))
        assert widget.root.locator(".verdict-text").inner_text() == shown


@pytest.mark.parametrize("width", [360, long(480), long(640), long(820), 900, long(1000), long(1200), 1500])
def test_no_figure_of_the_head_and_no_tab_leaves_its_place(new_widget: Any, width: int) -> None:
    widget = new_widget(viewport={"width": width, "height": 900})
    widget.show()
    widget.sink(*run_events(50))
    beyond = widget.root.locator(".figure").evaluate_all(
        """figures => figures.flatMap(figure => {
            const right = figure.getBoundingClientRect().right;
            const range = document.createRange();
            range.selectNodeContents(figure);
            return range.getBoundingClientRect().right > right + 0.5 ? [figure.textContent] : [];
        })"""
    )
    assert beyond == []
    hidden = widget.root.get_by_role("tablist").first.evaluate(
        "tabs => [...tabs.children].filter(t => t.getBoundingClientRect().right > "
        "tabs.getBoundingClientRect().right + 0.5).map(t => t.textContent)"
    )
    assert hidden == []
    moved = widget.root.get_by_role("tablist").first.evaluate(
        """tabs => {
            const places = () => JSON.stringify([...tabs.children].map(t => [t.offsetLeft, t.offsetTop]));
            const [before, moved] = [places(), []];
            return new Promise(done => {
                const choose = ([tab, ...rest]) => {
                    if (!tab) return done(moved);
                    tab.click();
                    requestAnimationFrame(() => requestAnimationFrame(() => {
                        if (places() !== before) moved.push(tab.textContent);
                        choose(rest);
                    }));
                };
                choose([...tabs.children]);
            });
        }"""
    )
    assert moved == [], "a tab that is chosen pushes others away"


def mse_run() -> Iterator[ev.Event]:
    """A run with scores as wide as they get, checked on fresh folds."""
    about = {
        "name": "mse",
        "metric": "mse",
        "direction": "minimize",
        "n_trials": 3,
        "n_rows": 300,
        "n_folds": 5,
    }
    yield ev.RunStarted(run=about)
    for n, value in enumerate((7.59e10, 4.45e10, 4.97e10)):
        params = {f"a_parameter_{i}_of_the_model": 0.123456 + n for i in range(12)}
        source = "tpe" if n else "default"
        best = {"best_number": min(n, 1), "best_value": value if n < 2 else 4.45e10}
        yield ev.TrialFinished(
            number=n,
            state="COMPLETE",
            value=value,
            std=5.8e9,
            params=params,
            source=source,
            seconds=0.1,
            **best,
        )
    check = {"verdict": "real", "text": "t", "gain": 1.91e10, "noise": 6.2e9, "n_folds": 10, "fresh": True}
    check |= {"default_mean": 6.39e10, "best_mean": 4.48e10}
    summary = {"verification": check, "text": "Tuning lowered MSE. More."}
    yield ev.RunFinished(status="finished", reason="done", summary=summary)


def test_the_figures_stand_in_one_row_in_a_cell_of_a_notebook(new_widget: Any) -> None:
    widget = new_widget(viewport={"width": 1067, "height": 900})
    widget.show()
    widget.sink(*mse_run())
    boxes = widget.root.locator(".figure").evaluate_all(
        """figures => figures.map(figure => {
            const range = document.createRange();
            range.selectNodeContents(figure);
            const [box, text] = [figure, range].map(x => x.getBoundingClientRect());
            return [box.top, text.right - box.right];
        })"""
    )
    assert len(boxes) == 6
    assert len({top for top, _ in boxes}) == 1
    assert max(over for _, over in boxes) <= 0.5


def test_the_closing_table_is_whole_on_a_narrow_page(new_widget: Any) -> None:
    widget = new_widget(viewport={"width": 320, "height": 900})
    widget.show()
    widget.sink(*mse_run())
    table = widget.root.locator(".closing-scores")
    assert table.evaluate("table => table.scrollWidth - table.clientWidth") <= 0


@pytest.mark.parametrize("width", [360, 1067])
def test_no_line_of_the_trial_in_focus_is_cut_in_half(new_widget: Any, width: int) -> None:
    widget = new_widget(viewport={"width": width, "height": 900})
    widget.show()
    widget.sink(*list(mse_run())[:-1])
    body = widget.root.locator(".inspector-body")
    cut = body.evaluate(
        """body => {
            const end = body.getBoundingClientRect().bottom;
            const lines = [...body.querySelectorAll('li')].map(line => line.getBoundingClientRect());
            return [lines.length, lines.filter(r => r.top < end - 1 && r.bottom > end + 1).length];
        }"""
    )
    assert cut == [12, 0]


# ---------------------------------------------------------------- what overlapped or was cut off

RIM = """chart => {
    const box = e => e.getBoundingClientRect();
    const hits = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const values = [...chart.querySelectorAll('.rim-value')];
    const lines = [...chart.querySelectorAll('.grid line, .reference line')];
    const texts = [...chart.querySelectorAll('text')];
    const clash = [];
    for (const value of values) {
        for (const other of [...lines, ...texts.filter(t => t !== value)]) {
            if (hits(box(value), box(other))) clash.push(value.textContent + ' ' + other.outerHTML);
        }
    }
    return [values.map(v => v.textContent), clash];
}"""


def with_outliers(direction: str, far: dict[int, float]) -> Iterator[ev.Event]:
    """A default near the worse end of the scores, and trials that are far beyond it."""
    sign = 1 if direction == "maximize" else -1
    yield ev.RunStarted(run={"name": "far", "metric": "score", "direction": direction, "n_trials": 40})
    for i in range(40):
        value = 0.5 if i == 0 else far.get(i, 0.5 + sign * (0.02 + 0.002 * (i * 7 % 31)))
        source = "default" if i == 0 else "tpe"
        yield ev.TrialStarted(number=i, params={"a": i / 40}, source=source)
        yield ev.TrialFinished(
            number=i, state="COMPLETE", value=value, params={"a": i / 40}, source=source, best_number=0
        )


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_values_at_the_rim_stand_clear_of_every_line_and_of_each_other(
    new_widget: Any, direction: str, width: int
) -> None:
    widget = new_widget(viewport={"width": width, "height": 900})
    widget.show()
    sign = 1 if direction == "maximize" else -1
    widget.sink(*with_outliers(direction, {n: 0.5 - sign * (3 + n / 10) for n in (8, 9, 10, 30)}))
    for name in ("Scores", "Slice"):
        chart = open_pane(widget.root, name).locator(".chart")
        values, clash = chart.evaluate(RIM)
        assert clash == [], name
        assert len(values) >= 3, name
        assert all(re.fullmatch(r"[\u2212]?[3-7]\.\d+", value) for value in values)
        assert chart.locator("path.rim-arrows").get_attribute("d").count("M") == 4


def test_a_run_of_one_trial_keeps_every_chart_in_its_place_and_says_what_is_there(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    space = [{"name": name, "type": "float", "low": 0.0, "high": 1.0} for name in "ab"]
    best = {"best_number": 0, "best_value": 1.0}
    widget.sink(
        ev.RunStarted(run={"name": "one", "direction": "maximize", "n_trials": 1}),
        ev.SpaceChanged(version=0, trial_number=0, params=space, reason="given", by="user", outer=space),
        ev.TrialFinished(
            number=0, state="COMPLETE", value=1.0, params={"a": 0.2, "b": 1}, source="tpe", **best
        ),
        ev.RunFinished(status="finished", reason="done", summary={}),
    )
    pane = open_pane(widget.root, "Search space")
    beyond = """all => all.map(band => band.getBoundingClientRect().right
        - band.closest('figure').getBoundingClientRect().right)"""
    assert max(pane.locator("figure .band").evaluate_all(beyond)) <= 0, "a range reaches into the next chart"
    legend = pane.get_by_role("list", name="What the charts show").inner_text()
    assert legend.split("\n") == ["range in force", "best trial"], "what is not drawn is not explained"
    assert "While the run goes on" not in open_pane(widget.root, "Importance").inner_text()


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize(("offset", "size"), [(4.3e10, 5e9), (0.0, 5e-9), (-5e-9, 3e-9), (1e9, 1e-3)])
def test_no_number_of_an_axis_is_cut_off_or_stands_there_twice(
    new_widget: Any, offset: float, size: float, width: int
) -> None:
    widget = new_widget(viewport={"width": width, "height": 900})
    widget.show()
    values = [offset + size * (0.05 + n * 7 % 9) for n in range(9)]
    widget.sink(ev.RunStarted(run={"name": "far", "metric": "m", "direction": "minimize", "n_trials": 9}))
    for n, value in enumerate(values):
        best = {"best_number": 0, "best_value": values[0]}
        widget.sink(
            ev.TrialFinished(number=n, state="COMPLETE", value=value, params={"a": n}, source="tpe", **best)
        )
    for name in ("Scores", "Slice"):
        chart = open_pane(widget.root, name).locator(".chart")
        labels = chart.locator(".grid text").all_text_contents()
        assert len(set(labels)) == len(labels) > 2, name
        assert texts_outside(chart) == [], name


def test_the_axes_of_a_pareto_front_have_short_numbers(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(ev.RunStarted(run={"name": "two", "direction": "minimize, minimize", "n_trials": 9}))
    for n in range(9):
        values = (5e8 * n, 1e-9 * (8 - n))
        widget.sink(
            ev.TrialFinished(
                number=n, state="COMPLETE", value=None, values=values, params={"a": n}, source="tpe"
            )
        )
    chart = open_pane(widget.root, "Pareto").locator(".chart")
    assert texts_outside(chart) == []
    labels = chart.locator(".grid text, .axis text:not(.axis-title)").all_text_contents()
    assert max(map(len, labels)) <= 6, labels


def texts_outside(chart: Any) -> list[str]:
    """The texts of a chart that reach beyond it."""
    return chart.locator("text").evaluate_all(
        """texts => texts.filter(t => {
            const [box, frame] = [t, t.closest('svg')].map(e => e.getBoundingClientRect());
            return box.left < frame.left - 0.5 || box.right > frame.right + 0.5;
        }).map(t => t.textContent)"""
    )


def test_long_names_are_told_apart_in_every_pane(new_widget: Any) -> None:
    for width in (1500, 900, 360):
        widget = new_widget(viewport={"width": width, "height": 900})
        widget.show()
        widget.sink(*wide_run(20, n_trials=45))
        names = open_pane(widget.root, "Search space").locator(".param-name")
        assert len(set(names.all_inner_texts())) == 20
        assert names.evaluate_all("all => all.filter(e => e.scrollWidth > e.clientWidth).length") == 0, width
        for pane in ("Slice", "Contour"):
            choice = open_pane(widget.root, pane).get_by_role("combobox").first
            assert len(set(choice.locator("option").all_inner_texts())) == 20
        heads = open_pane(widget.root, "Trials").get_by_role("columnheader", name=re.compile("number_"))
        assert len(set(heads.all_inner_texts())) == 20
        rows = open_pane(widget.root, "Importance").locator(".importance-row")
        assert len(set(rows.locator(".importance-name span:first-child").all_inner_texts())) == 20
        cut = "row => row.firstChild.scrollWidth > row.firstChild.clientWidth"
        assert not any(row.evaluate(cut) for row in rows.all()), width


def test_no_number_of_the_table_is_cut_off_at_its_end(new_widget: Any) -> None:
    widget = new_widget(viewport={"width": 1280, "height": 900})
    widget.show()
    widget.sink(*wide_run(20))
    table = open_pane(widget.root, "Trials").locator(".table-scroll")
    shade = "e => getComputedStyle(e, '::before').backgroundImage"
    assert "gradient" in table.locator("td.acts").first.evaluate(shade), "what goes on below it fades"
    table.evaluate("e => { e.scrollLeft = e.scrollWidth; }")
    row = table.locator("tbody tr:not([aria-hidden])").first
    last, actions = row.locator("td").nth(-2), row.locator("td.acts")
    end = last.evaluate(
        """e => {
            const range = document.createRange();
            range.selectNodeContents(e);
            return range.getBoundingClientRect().right;
        }"""
    )
    faded = actions.bounding_box()["x"] - 28
    assert end <= faded, "the last one stands clear of it"


def test_the_words_below_the_parallel_coordinates_are_seen_on_a_narrow_page(new_widget: Any) -> None:
    widget = new_widget(viewport={"width": 360, "height": 900})
    widget.show()
    widget.sink(*wide_run(20))
    pane = open_pane(widget.root, "Parallel coordinates")
    frame, words = pane.bounding_box(), pane.locator(".legend-row").bounding_box()
    assert words["y"] + words["height"] <= frame["y"] + frame["height"]


def test_a_note_is_typed_in_a_field_that_is_seen_whole(new_widget: Any) -> None:
    widget = new_widget(viewport={"width": 360, "height": 900})
    widget.show()
    widget.sink(*run_events(20, finish=False))
    field = widget.root.get_by_placeholder("A note on this trial").bounding_box()
    frame = widget.root.locator(".inspector-body").bounding_box()
    assert frame["x"] <= field["x"]
    assert field["x"] + field["width"] <= frame["x"] + frame["width"]


def test_a_contour_names_both_of_its_axes(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*run_events(50, finish=False))
    pane = open_pane(widget.root, "Contour")
    across, up = (pane.get_by_label(name).input_value() for name in ("Across", "Up"))
    titles = [text.split(",")[0] for text in pane.locator(".axis-title").all_text_contents()]
    assert sorted(titles) == sorted([across, up])


def test_a_run_with_several_objectives_shows_no_pane_of_one_score(new_widget: Any) -> None:
    widget = new_widget(viewport={"width": 900, "height": 900})
    widget.show()
    events = list(several_objectives())
    space = [{"name": "a", "type": "float", "low": 0.0, "high": 1.0}]
    start = ev.SpaceChanged(version=0, trial_number=0, params=space, reason="r", by="user", outer=space)
    widget.sink(events[0], start, *events[1:])
    tabs = widget.root.get_by_role("tab").all_inner_texts()
    assert tabs == ["Pareto", "Chat", "Search space", "Trials", "Failures", "Cost", "Compare"]
    assert widget.root.get_by_role("tab", selected=True).inner_text() == "Pareto"
    front = widget.root.get_by_role("tabpanel").locator("circle.front, .front circle, circle").count()
    tile = widget.root.locator(".figure", has_text="On the Pareto front")
    n = int(re.search(r"(\d+) trials", tile.inner_text()).group(1))
    assert 0 < n <= front
    pane = open_pane(widget.root, "Search space")
    pane.get_by_text("on the Pareto front").wait_for()
    assert pane.get_by_text("worse", exact=True).count() == 0
    marks = pane.locator(".marks path")
    kinds = marks.evaluate_all(
        "all => all.map(e => [e.getAttribute('class'), e.getAttribute('d').split('M').length - 1])"
    )
    assert dict(kinds) == {"lev-6": n, "lev-1": 12 - n}


def test_the_parameters_that_matter_most_are_the_tables_first_and_the_best_is_copied(
    new_page: Any, report: str
) -> None:
    page = new_page().page
    page.goto(report)
    data = json.loads(page.locator("#sllmbo-bundle").text_content())
    pane = open_pane(page, "Trials")
    shown = [
        c for c in pane.get_by_role("columnheader").all_inner_texts() if c in data["trials"][0]["params"]
    ]
    share = data["importances"]
    assert shown[: len(share)] == sorted(share, key=lambda name: -share[name])
    best = data["run"]["best_number"]
    pane.get_by_role("button", name=f"Copy the best: parameters of trial {best}").wait_for()


def test_while_a_run_goes_on_the_tables_first_columns_are_those_that_seem_to_matter(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*wide_run(60, n_trials=45))
    heads = open_pane(widget.root, "Trials").get_by_role("columnheader", name=re.compile("number_"))
    assert heads.first.inner_text().endswith("_number_7"), "as in the pane of the search space"


@pytest.mark.parametrize("name", ["Slice", "Contour"])
def test_a_list_of_choices_has_the_colours_of_the_view(new_widget: Any, name: str) -> None:
    widget = new_widget(color_scheme="dark")
    widget.show()
    widget.sink(*run_events(30))
    colours = """e => {
        const [own, view] = [getComputedStyle(e), getComputedStyle(e.closest('.view'))];
        return [own.backgroundColor === view.backgroundColor, own.color === view.color, own.colorScheme];
    }"""
    for choice in open_pane(widget.root, name).get_by_role("combobox").all():
        assert choice.evaluate(colours) == [True, True, "dark"]


def test_one_message_is_one_message(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*wide_run(8, n_trials=1))
    status = widget.root.get_by_role("region", name="Chat").locator(".chat-bar [role=status]")
    assert status.inner_text() == "1 message"


# ---------------------------------------------------------------- a page that is zoomed in

CUT_OFF = """view => {
    const texts = [];
    const shown = { opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true };
    const walker = document.createTreeWalker(view, NodeFilter.SHOW_TEXT);
    const frameOf = element => {  // what the containers around it let through
        const frame = { left: -1, top: -1e6, right: innerWidth + 1, bottom: 1e6 };
        for (let e = element; e && e !== view; e = e.parentElement) {
            if (e instanceof HTMLElement && getComputedStyle(e).overflowX !== 'visible') {
                const box = e.getBoundingClientRect();
                frame.left = Math.max(frame.left, box.left);
                frame.right = Math.min(frame.right, box.right);
                frame.top = Math.max(frame.top, box.top);
                frame.bottom = Math.min(frame.bottom, box.bottom);
            }
        }
        return frame;
    };
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        // a table of more columns than fit scrolls; names that stand slanted have a test of their own
        if (!walker.currentNode.data.trim() || !element.checkVisibility(shown)
            || element.closest('.hidden, title, option, style, .table-scroll, .axis-name')) continue;
        const range = document.createRange();
        range.selectNodeContents(walker.currentNode);
        const frame = frameOf(element);
        for (const r of range.getClientRects()) {
            const seen = r.top < frame.bottom && r.bottom > frame.top;
            const cut = r.left < frame.left - 1 || r.right > frame.right + 1;
            if (seen) texts.push({
                text: walker.currentNode.data.trim(), element, cut: cut && !element.closest('.newest-change'),
                left: Math.max(r.left, frame.left), right: Math.min(r.right, frame.right),
                top: Math.max(r.top, frame.top), bottom: Math.min(r.bottom, frame.bottom)
            });
        }
    }
    const found = texts.filter(t => t.cut).map(t => `cut off: ${t.text}`);
    texts.forEach((a, i) => texts.slice(i + 1).forEach(b => {
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 2 && down > 4 && a.element !== b.element) found.push(`${a.text} over ${b.text}`);
    }));
    return found;
}"""


@pytest.mark.parametrize("window", [1280, long(1500)])
@pytest.mark.parametrize("finish", [False, True], ids=["running", "finished"])
def test_at_200_percent_nothing_is_cut_off_and_no_text_stands_on_another(
    new_widget: Any, window: int, finish: bool
) -> None:
    # what a browser's zoom does: half as many pixels of the page, each of twice the size
    widget = new_widget(viewport={"width": window // 2, "height": 450}, device_scale_factor=2)
    widget.show()
    widget.sink(*run_events(50, finish=finish))
    view = widget.root.locator(".view")
    for tab in widget.root.get_by_role("tab").all():
        tab.click()
        widget.pump()
        assert view.evaluate(CUT_OFF) == [], tab.inner_text()
        assert widget.page.evaluate("document.documentElement.scrollWidth") <= window // 2
    for control in widget.root.get_by_role("button").all():
        box = control.bounding_box()
        assert box["x"] >= 0, control.inner_text()
        assert box["x"] + box["width"] <= window // 2, control.inner_text()


# ---------------------------------------------------------------- some of the trials, and a log scale


def falling(n: int = 60, *, decades: float = 3.0) -> Iterator[ev.Event]:
    """A loss that falls by some powers of ten."""
    rng = random.Random(5)
    best = None
    yield ev.RunStarted(
        run={"name": "falling", "metric": "neg_mean_squared_error", "direction": "maximize", "n_trials": n}
    )
    for i in range(n):
        value = -(10 ** (4 - decades * min(1, i / 40) + 0.1 * rng.random()))
        best = i if best is None or i <= 40 else best
        yield ev.TrialStarted(number=i, params={"a": i / n}, source="default" if i == 0 else "tpe")
        yield ev.TrialFinished(
            number=i,
            state="COMPLETE",
            value=value,
            std=abs(value),  # its lower end is 0, which a log scale has no place for
            split_scores=[value * 2, 0.0],
            params={"a": i / n},
            source="default" if i == 0 else "tpe",
            best_number=best,
        )


def ticks_across(pane: Any) -> list[int]:
    """The numbers below the chart."""
    texts = pane.locator(".axis text:not(.axis-title)").all_text_contents()
    return [int(text) for text in texts]


@pytest.mark.parametrize("scheme", [long("light"), "dark"])
def test_some_of_the_trials_are_looked_at_with_the_keyboard_and_all_again(
    new_widget: Any, serious: Callable[..., list[str]], scheme: str
) -> None:
    widget = new_widget(color_scheme=scheme)
    widget.show()
    widget.sink(*falling())
    pane = open_pane(widget.root, "Scores")
    scores = pane.locator(".grid text")
    highest = scores.last.text_content()
    first, last = pane.get_by_label("First trial shown"), pane.get_by_label("Last trial shown")
    assert pane.get_by_role("button", name="All trials").count() == 0
    first.focus()
    for _ in range(45):
        widget.page.keyboard.press("ArrowRight")
    assert first.input_value() == "45"
    assert min(ticks_across(pane)) >= 45
    assert scores.last.text_content() != highest, "the axis of the scores fits what is shown"
    last.focus()
    for _ in range(30):
        widget.page.keyboard.press("ArrowLeft")
    assert (first.input_value(), last.input_value()) == ("45", "49"), "the ends do not pass each other"
    assert re.search(r"45 to 49 are shown", pane.locator(".chart p.hidden").text_content())
    chart = pane.locator(".chart > svg")
    chart.focus()
    widget.page.keyboard.press("End")
    assert "Trial 49" in pane.locator(".tip").inner_text(), "keys move among the trials that are shown"
    assert serious(widget.page, OPEN_PANE) == []
    pane.get_by_role("button", name="All trials").click()
    assert (first.input_value(), last.input_value()) == ("0", "59")
    assert min(ticks_across(pane)) == 0
    assert widget.watched.errors == []


def test_dragging_across_the_chart_shows_that_part_and_a_click_still_pins(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*falling())
    pane = open_pane(widget.root, "Scores")
    chart = pane.locator(".chart > svg")
    box = chart.bounding_box()
    across, y = (lambda share: box["x"] + 66 + share * (box["width"] - 140)), box["y"] + 100
    mouse = widget.page.mouse
    mouse.move(across(0.5), y)
    mouse.down()
    mouse.move(across(0.6), y)
    mouse.move(across(0.7), y)
    mouse.up()
    first, last = (int(pane.get_by_label(f"{end} trial shown").input_value()) for end in ("First", "Last"))
    assert (first, last) == pytest.approx((30, 41), abs=1)
    assert widget.root.locator(".ringed.pinned").count() == 0, "a drag is no click"
    drawn = pane.locator(".marks path").evaluate_all("all => all.map(e => e.getAttribute('d')).join('')")
    assert drawn.count("M") == last - first + 1
    bar = pane.locator(".zoom-part").bounding_box()
    middle = bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2
    mouse.move(*middle)
    mouse.down()
    mouse.move(middle[0] - 60, middle[1])
    mouse.up()
    moved = int(pane.get_by_label("First trial shown").input_value())
    assert moved < first, "the part is moved along the trials"
    assert int(pane.get_by_label("Last trial shown").input_value()) - moved == last - first
    chart.click(position={"x": box["width"] / 2, "y": 100})
    assert widget.root.locator(".ringed.pinned").count() == 1


def test_a_part_that_reaches_to_the_newest_trial_goes_on_with_the_run(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    events = list(falling(100))
    widget.sink(*events[: 1 + 2 * 30])
    pane = open_pane(widget.root, "Scores")
    pane.get_by_label("First trial shown").focus()
    for _ in range(20):
        widget.page.keyboard.press("ArrowRight")
    widget.sink(*events[1 + 2 * 30 :])
    assert pane.get_by_label("First trial shown").input_value() == "20"
    assert pane.get_by_label("Last trial shown").input_value() == "99"
    drawn = pane.locator(".marks path").evaluate_all("all => all.map(e => e.getAttribute('d')).join('')")
    assert drawn.count("M") == 80


@pytest.mark.parametrize("decades", [3.0, 0.3])
def test_a_log_scale_is_offered_where_it_shows_more(new_widget: Any, decades: float) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*falling(decades=decades))
    pane = open_pane(widget.root, "Scores")
    box = pane.get_by_label("Log scale")
    assert box.count() == (decades > 1)
    if decades < 1:
        return
    assert not box.is_checked(), "never by surprise"
    marks = pane.locator(".marks path").first
    before = marks.get_attribute("d")
    box.check()
    assert pane.locator(".grid text").all_text_contents() == ["10", "100", "1,000", "10,000"]
    assert marks.get_attribute("d") != before
    assert pane.locator("path.rim-arrows").get_attribute("d") == "", "no score is too far out for it"
    for part in (".best-line", ".spread", ".noise"):
        assert "NaN" not in pane.locator(part).first.evaluate("e => e.outerHTML"), part
    box.uncheck()
    assert marks.get_attribute("d") == before
