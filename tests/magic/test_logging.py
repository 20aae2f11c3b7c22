"""A root logger at DEBUG gets no flood of other libraries' messages through a run, and no key."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Iterator

import pytest

from sllmbo_magic._utils.library_logs import quiet_while_used
from sllmbo_magic.report.static import mimebundle
from tests.loopback import LoopbackServer
from tests.magic.conftest import Shell
from tests.marks import long

KEY = "sk-test-0123456789abcdef"
CELL = """
def objective(params): return -(params["x"] - 1) ** 2
search_space = {"x": (-5.0, 5.0)}
"""


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.counts: Counter[str] = Counter()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.counts[record.name.partition(".")[0]] += 1
        self.text += record.getMessage()


@pytest.fixture
def records() -> Iterator[Records]:
    """All that reaches the root logger at DEBUG."""
    gc.collect()  # connections that other tests left would say here that they are closed
    root, handler = logging.getLogger(), Records()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("storage", ["", long("--storage sqlite:///s.db"), "--storage journal:s.log"])
def test_a_run_and_its_report_pass_on_no_messages_of_libraries(
    shell: Shell, records: Records, storage: str
) -> None:
    shell.ok(f"%%sllmbo best --direction maximize --trials 12 --seed 1 --no-widget {storage}\n{CELL}")
    best = shell.user_ns["best"]
    best.report("page.html")
    mimebundle(best.bundle())
    best.plot_history()._repr_png_()
    flood = {name: n for name, n in records.counts.items() if name not in ("asyncio", "sllmbo_magic")}
    assert flood == {}, f"messages of libraries: {records.text[:500]}"


def test_what_is_sent_to_an_llm_stays_out_of_logs_with_its_key(
    shell: Shell, records: Records, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    shell.ok(
        f"%%sllmbo best --direction maximize --trials 6 --seed 1 --no-widget --llm openai:gpt-4o "
        f"--base-url {server.url}\n{CELL}"
    )
    assert server.requests, "the LLM was asked"
    assert KEY not in records.text


def test_the_level_of_a_user_stays(records: Records) -> None:
    logger = logging.getLogger("matplotlib")
    logger.setLevel(logging.DEBUG)
    try:
        with quiet_while_used("matplotlib"):
            assert logger.level == logging.DEBUG
        assert logger.level == logging.DEBUG
    finally:
        logger.setLevel(logging.NOTSET)
    with quiet_while_used("matplotlib"), quiet_while_used("matplotlib"):
        assert not logger.isEnabledFor(logging.DEBUG)
    assert logger.isEnabledFor(logging.DEBUG), "back as it was"
