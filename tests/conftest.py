"""Shared by all tests: one thread per numeric library, no key, an own folder, and a child process to kill."""

from __future__ import annotations

import gc
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
from pathlib import Path

import pytest

from sllmbo_magic.evaluation import fold_processes
from tests.small_task import data  # noqa: F401  (fixtures of the small task, for all folders)
from tests.small_task import model  # noqa: F401
from tests.small_task import provider  # noqa: F401
from tests.small_task import server  # noqa: F401

# read by numpy, scikit-learn and LightGBM when they are imported: tests on two cores must not fight for them
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
# Threads of fits that take all cores (LightGBM's own default) sleep while they wait: beside other tests they
# would keep the cores busy with waiting, and a fit of a second took ten.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# left out in the processes that tests start, and in this one: the module there says why
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(Path(__file__).parent / "no_grammar"), os.environ.get("PYTHONPATH")])
)
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY")
ADDRESSES = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_HOST")


@pytest.fixture(autouse=True)
def clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in its own folder and knows no key and no server of the machine it runs on.

    Ctrl-C raises ``KeyboardInterrupt``, also where the shell that started the tests ignores it, as it does
    for jobs in the background.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.chdir(tmp_path)
    for name in (*KEYS, *ADDRESSES):
        monkeypatch.delenv(name, raising=False)


def pytest_collection_finish() -> None:
    """Tests and modules stay to the end: the garbage collector need not look at them again and again, which
    took an eighth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


@pytest.fixture(autouse=True, scope="session")
def quiet_optuna() -> None:
    """Optuna's line per trial stays out of the test log."""
    logging.getLogger("optuna").setLevel(logging.WARNING)


@pytest.fixture(autouse=True, scope="session")
def folds_stay_in_this_process() -> Iterator[None]:
    """Folds go to other processes only in the tests that are about that.

    Beside other tests the threads of folds wait for a core, which looks like waiting for Python's lock. Each
    run that took it for that started two processes, seconds of work on imports.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold_processes, "_START_SECONDS", math.inf)
        yield


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; without one the test is skipped."""
    for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium here: install it, or run make test as root, which does")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI=true a skipped test of the browser or a service has failed: it would go unnoticed."""
    report = yield
    if (
        report.skipped
        and os.environ.get("CI") == "true"
        and any(map(item.get_closest_marker, ("browser", "service")))
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI=true: {report.longrepr}"
    return report


@pytest.fixture
def child() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start Python code in a process of its own, which can be killed; it talks by lines on stdout."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", textwrap.dedent(code)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
