"""Make the pictures of README and docs from real runs: ``python docs/images/make_images.py``.

``dashboard-*`` are of the quickstart's run, ``real-llm-*`` of the recorded run of a language model that the
example ``replay_a_real_llm`` shows, and so are the ten ``state-*``: its events are replayed to the live
widget, its panes are those of its report. Needs Chromium and playwright (``make test`` installs both). No
key, no network; takes about two minutes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightgbm import LGBMRegressor
from PIL import Image
from playwright.sync_api import sync_playwright
from sklearn.datasets import load_diabetes

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.dashboard.live import LiveRun
from sllmbo_magic.events import CheckProgress
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.report.html import static_file

HERE = Path(__file__).parent
PANES = {"scores": "Scores", "space": "Search space"}
STATES = {
    "scores": "Scores",
    "space": "Search space",
    "trials": "Trials",
    "importance": "Importance",
    "slice": "Slice",
    "parallel": "Parallel coordinates",
    "contour": "Contour",
}


def main() -> None:
    """Tune, write the reports, photograph them."""
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    with tempfile.TemporaryDirectory() as folder:
        result = tune(
            LGBMRegressor(verbose=-1),
            X,
            y,
            name="diabetes",
            scoring="neg_mean_absolute_error",
            n_trials=40,
            seed=7,
            description="How far does diabetes progress in a year? A few outliers should not decide.",
            folder=Path(folder) / "run",
        )
        photograph(result.report(Path(folder) / "run.html"), "dashboard", PANES)
    recorded()


def recorded() -> None:
    """The pictures of the recorded run alone."""
    result = TuneResult.load(HERE.parents[1] / "examples" / "data" / "breast_cancer-lightgbm.zip")
    with tempfile.TemporaryDirectory() as folder:
        report = result.report(Path(folder) / "run.html")
        photograph(report, "real-llm", {"scores": "Scores"})
        states(result, report)


def states(result: TuneResult, report: Path) -> None:
    """Ten states of the dashboard: running, checking, panes of the finished run, and a narrow page."""
    events = list(result.events)
    half = next(i for i, e in enumerate(events) if isinstance(e, TrialStarted) and e.number == 15)
    last = max(i for i, e in enumerate(events) if isinstance(e, TrialFinished))
    check = CheckProgress(done=6, total=20, time=events[last].time)
    for scheme, page in pages():
        show_live(page, events[: half + 1])
        save(page, f"state-running-{scheme}")
        show_live(page, [*events[: last + 1], check])
        save(page, f"state-checking-{scheme}")
        page.goto(report.as_uri())
        for key, name in STATES.items():
            open_pane(page, name)
            save(page, f"state-{key}-{scheme}")
        page.set_viewport_size({"width": 360, "height": 820})
        open_pane(page, "Search space")
        save(page, f"state-narrow-{scheme}")


def photograph(report: Path, stem: str, panes: dict[str, str]) -> None:
    """Pictures of panes of a report, in light and dark."""
    for scheme, page in pages(scale=1.5):
        page.goto(report.as_uri())
        for key, name in panes.items():
            open_pane(page, name)
            save(page, f"{stem}{'' if key == 'scores' else f'-{key}'}-{scheme}")


def pages(scale: float = 1.0) -> Iterator[tuple[str, Any]]:
    """A page in light and one in dark."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--headless", "--no-sandbox"]
        )
        for scheme in ("light", "dark"):
            size = {"width": 1280, "height": 820}
            yield scheme, browser.new_page(color_scheme=scheme, viewport=size, device_scale_factor=scale)
        browser.close()


def show_live(page: Any, events: list[Any]) -> None:
    """The widget as it stands after these events; a run that is stored has no kernel to ask."""
    live = LiveRun(Control())
    for event in events:
        live.sink(event)
    page.goto("about:blank")
    page.set_content("<!doctype html><html lang=en><title>t</title><body style='margin:0'>")
    page.evaluate(
        """async ([source, snapshot]) => {
            const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
            const { default: widget } = await import(url);
            const dark = matchMedia('(prefers-color-scheme: dark)').matches;
            document.body.style.background = dark ? '#14171b' : '#fff';
            const model = { get: () => snapshot, send: () => {}, on: () => {}, off: () => {} };
            widget.render({ model, el: document.body });
        }""",
        [static_file("widget.js"), live.snapshot()],
    )


def open_pane(page: Any, name: str) -> None:
    """Open a pane and wait until it is drawn."""
    page.get_by_role("tab", name=name, exact=True).click()
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def save(page: Any, name: str) -> None:
    """The view as a picture, in a third of the size that the browser gives."""
    path = HERE / f"{name}.png"
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.locator(".sllmbo-run").screenshot(path=path)
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    main()
