"""Warnings of a run's fits and of the libraries it uses: kept off the screen, counted by class and by text.

Python's warning filters belong to the process, so that a filter set in one thread is felt, and undone, in
others. Here one hook serves all evaluations and runs that overlap: it counts in threads that run a fold or a
run and passes on the warnings of all other threads. A thread that works for a run is started in a copy of its
context (``contextvars.copy_context``), and so counts for it. The filters that the hook needs hold in those
threads only: what other threads, a notebook's other cells, warn of meanwhile is shown as without a run.
"""

from __future__ import annotations

import re
import sysconfig
import threading
import warnings
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from contextvars import Token
from pathlib import Path
from typing import Any

from sllmbo_magic.llm.redact import redact

_KEPT = 3
"""Messages about undefined scores that are kept of a fold."""
MAX_TEXTS = 8
"""Different texts that are kept of one evaluation; warnings with further ones are counted by class only."""
_MAX_LENGTH = 400
_FOLDER = re.compile(r"(?<![\w:/\\.])(?:[A-Za-z]:)?[/\\](?:[^\s/\\:'\"]+[/\\])+")
"""The folders of an absolute path, in a message or a URL's way not included."""
_NUMBER = re.compile(r"[-+]?\d+(?:[.:]\d+)*(?:[eE][-+]?\d+)?")
_PACKAGE = str(Path(__file__).parent.parent)
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


class CountWarnings:
    """In one fold's thread: counts warnings. Nested, the inner one counts.

    Attributes:
        counts: Warnings by the name of their class.
        texts: Warnings by ``"Class: text"``, without folders and keys, and one entry for texts that differ in
            numbers only; at most :data:`MAX_TEXTS` of them.
        undefined: The metrics' warnings about scores that are not defined, in the order of the warnings.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.texts: Counter[str] = Counter()
        self.undefined: list[str] = []
        self._lock = threading.Lock()
        self._tokens: list[Token[CountWarnings | None]] = []

    def takes(self, filename: str) -> bool:
        """Whether a warning that is attributed to this file is counted here, and not shown."""
        return True

    def add(self, message: Warning | str, category: type[Warning]) -> None:
        """Count one warning."""
        with self._lock:
            self.counts[category.__name__] += 1
            add_texts(self.texts, {f"{category.__name__}: {warning_text(message)}": 1})
            if category.__name__ == "UndefinedMetricWarning" and len(self.undefined) < _KEPT:
                self.undefined.append(str(message))

    def add_all(self, counts: Mapping[str, int], texts: Mapping[str, int]) -> None:
        """Add what another counter counted."""
        with self._lock:
            self.counts.update(counts)
            add_texts(self.texts, texts)

    def __enter__(self) -> CountWarnings:
        self._tokens.append(_counter.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        _counter.reset(self._tokens.pop())


_counter: ContextVar[CountWarnings | None] = ContextVar("sllmbo_warnings", default=None)


class LibraryWarnings(CountWarnings):
    """In a run's own threads: counts the warnings of libraries, also those that a library attributes to a
    file of this package, and leaves those of the user's files (a callback, an evaluator) to be shown.
    """

    def takes(self, filename: str) -> bool:
        return filename.startswith((_PACKAGE, *_LIBRARIES))


def counting_libraries() -> CountWarnings:
    """The counter of the run that this thread works for, else one whose counts are not used."""
    counter = _counter.get()
    return LibraryWarnings() if counter is None else counter


class Quiet:
    """Around an evaluation or a run: installs the hook and our filters, and takes them away after the last
    one. Filters that the user sets or restores meanwhile stay.

    User and runtime warnings are counted each time and not once per line, unless the user has a filter for
    them; one that turns warnings into errors makes the fold fail, as in scikit-learn.
    """

    _lock = threading.Lock()
    _users = 0

    def __enter__(self) -> None:
        with Quiet._lock:
            Quiet._users += 1
            _install()  # each time: a block of the user's that ends restores what was before it

    def __exit__(self, *_: object) -> None:
        with Quiet._lock:
            Quiet._users -= 1
            if Quiet._users == 0:
                _remove()


def add_to_run(counts: Mapping[str, int], texts: Mapping[str, int]) -> None:
    """Add what an evaluation counted to the counter of the run that this thread works for, if any."""
    counter = _counter.get()
    if counter is not None:
        counter.add_all(counts, texts)


@contextmanager
def shown_to_user() -> Iterator[None]:
    """Around a warning that this package itself has for the user: within it no warning is counted."""
    token = _counter.set(None)
    try:
        yield
    finally:
        _counter.reset(token)


def warning_text(message: Warning | str) -> str:
    """The message in one line: without the folders of paths, without keys, at most 400 characters."""
    text = _FOLDER.sub("", redact(" ".join(str(message).split())))
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 2]} …"


def add_texts(total: Counter[str], more: Mapping[str, int]) -> None:
    """Add counts by text to ``total``, which keeps at most :data:`MAX_TEXTS` of them; texts that differ in
    numbers only are one.
    """
    keys = {same_text(text): text for text in total}
    for text, count in more.items():
        key = same_text(text)
        if key not in keys and len(keys) >= MAX_TEXTS:
            continue
        total[keys.setdefault(key, text)] += count


def same_text(text: str) -> str:
    """The text without its numbers: equal for texts that are counted as one."""
    return _NUMBER.sub("#", text)


class _InARun:
    """In the place of a filter's pattern for the message: fits in threads that count, and in no other."""

    pattern = ""
    """What scikit-learn sets the filter by in joblib's workers: there it fits all messages."""

    def match(self, text: str) -> bool:
        return _counter.get() is not None


_FILTERS: tuple[Any, ...] = tuple(
    ("always", _InARun(), category, None, 0) for category in (UserWarning, RuntimeWarning, FutureWarning)
)


class _Hook:
    """Counts a warning, or passes it on to what showed warnings before."""

    def __init__(self, show: Callable[..., Any]) -> None:
        self.show = show

    def __call__(
        self, message: Any, category: type[Warning], filename: str, *rest: Any, **options: Any
    ) -> None:
        counter = _counter.get()
        if counter is None or not counter.takes(filename):
            self.show(message, category, filename, *rest, **options)
        else:
            counter.add(message, category)


def _install() -> None:
    if _FILTERS[0] not in warnings.filters:
        warnings.filters.extend(_FILTERS)  # type: ignore[attr-defined]
        _filters_changed()
    if not isinstance(warnings.showwarning, _Hook):
        warnings.showwarning = _Hook(warnings.showwarning)


def _remove() -> None:
    for one in _FILTERS:
        if one in warnings.filters:
            warnings.filters.remove(one)  # type: ignore[attr-defined]
    _filters_changed()
    if isinstance(warnings.showwarning, _Hook):
        warnings.showwarning = warnings.showwarning.show


def _filters_changed() -> None:
    """Make Python look at the filters again where it has shown a warning once."""
    with warnings.catch_warnings():
        pass
