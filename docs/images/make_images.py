"""Make the pictures of the README from a real run, the quickstart's: ``python docs/images/make_images.py``.

Needs Chromium and playwright (``make test`` installs both). No key, no network; takes about two minutes.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from lightgbm import LGBMRegressor
from PIL import Image
from playwright.sync_api import sync_playwright
from sklearn.datasets import load_diabetes

from sllmbo_magic import tune

HERE = Path(__file__).parent
PANES = {"scores": "Scores", "space": "Search space"}


def main() -> None:
    """Tune, write the report, photograph it."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
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
        report = result.report(Path(folder) / "run.html")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=browser_path, args=["--headless", "--no-sandbox"]
            )
            for scheme in ("light", "dark"):
                page = browser.new_page(
                    color_scheme=scheme, viewport={"width": 1280, "height": 820}, device_scale_factor=1.5
                )
                page.goto(report.as_uri())
                for key, name in PANES.items():
                    page.get_by_role("tab", name=name, exact=True).click()
                    page.evaluate(
                        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
                    )
                    suffix = "" if key == "scores" else f"-{key}"
                    path = HERE / f"dashboard{suffix}-{scheme}.png"
                    page.locator(".sllmbo-run").screenshot(path=path)
                    Image.open(path).convert("RGB").quantize(256).save(
                        path, optimize=True
                    )  # a third of the size
            browser.close()


if __name__ == "__main__":
    main()
