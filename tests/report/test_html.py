"""The HTML report as a file: self-contained, safe to open, written whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from sllmbo_magic._utils import atomic_write
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.report import html
from sllmbo_magic.report.bundle import RunView
from sllmbo_magic.report.summary import summary_text
from tests.sample_run import run_events


@pytest.fixture
def bundle() -> dict[str, Any]:
    view = RunView()
    for event in run_events(8):
        view.apply(event)
    return view.snapshot()


@pytest.fixture(autouse=True)
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page does not depend on what its script does; a small one stands for it."""
    monkeypatch.setattr(html, "static_file", lambda name: "mount('</script>', '&');")


def test_the_bundle_comes_back_from_the_page(bundle: dict[str, Any]) -> None:
    bundle["run"]["name"] = "</script><!-- <script> & é 漢"
    bundle["importances"]["odd"] = float("nan")
    page = html.render_report(bundle)
    data = re.search(r'<script type="application/json" id="sllmbo-bundle">(.*?)</script>', page, re.S)
    assert data is not None
    assert json.loads(data.group(1)) == {**bundle, "importances": {**bundle["importances"], "odd": None}}
    assert "<" not in data.group(1)
    assert page.count("<script") == page.count("</script>") == 2, "no text ends a script or starts one"


def test_the_policy_allows_the_one_script_and_nothing_from_outside(bundle: dict[str, Any]) -> None:
    page = html.render_report(bundle)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    script = page.rsplit("<script>", 1)[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy.group(1)
    assert "default-src 'none'" in policy.group(1)
    assert "unsafe" not in policy.group(1)
    assert not re.search(r"(src|href)=|url\(|@import|https?://", page.replace(policy.group(0), ""))


def test_a_reader_without_scripts_sees_the_outcome(bundle: dict[str, Any]) -> None:
    bundle["run"]["metric"] = "<img src=y>"
    bundle["trials"][bundle["run"]["best_number"]]["params"] = {"<b>x</b>": "<img src=x>"}
    page = html.render_report(bundle)
    fallback = page.split("<noscript>")[1].split("</noscript>")[0]
    assert f"<p>{summary_text(bundle)}</p>" in unescape(fallback)
    assert "Best parameters: &lt;b&gt;x&lt;/b&gt;=&lt;img src=x&gt;" in fallback
    assert "<img" not in fallback


@pytest.mark.parametrize("wrong", [None, [], {}, {"schema": 2, "run": {}}, {"schema": 1}])
def test_what_is_no_bundle_is_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"no bundle of a run \(schema 1\)"):
        html.render_report(wrong)


def test_the_file_is_written_whole_or_not_at_all(
    bundle: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "new" / "run.html"
    assert html.write_report(bundle, target) == target
    before = target.read_text(encoding="utf-8")
    monkeypatch.setattr(
        atomic_write.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    with pytest.raises(StorageError, match="cannot be written: No space left"):
        html.write_report({**bundle, "trials": []}, target)
    assert target.read_text(encoding="utf-8") == before
    assert [p.name for p in target.parent.iterdir()] == ["run.html"], "nothing half-written is left"


def test_a_folder_is_no_file(bundle: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        html.write_report(bundle, tmp_path)


def test_a_package_without_its_front_end_says_how_to_build_it(
    bundle: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(html.resources, "files", lambda _: Path("/nowhere"))
    with pytest.raises(StorageError, match=r"front end \(report.js\) is not built.*npm run build"):
        html.render_report(bundle)
