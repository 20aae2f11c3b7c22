"""The estimator's warnings: kept off the screen during folds, counted by class.

Python's warning filters belong to the process, so that a filter set in one thread is felt, and undone, in
others. Here one hook serves all evaluations that overlap: it counts in threads that run a fold and passes on
the warnings of all other threads.
"""

from __future__ import annotations

import threading
import warnings
from collections import Counter
from typing import Any

_fold = threading.local()


class CountWarnings:
    """In one fold's thread: counts warnings by the name of their class. Nested, the inner one counts."""

    def __enter__(self) -> Counter[str]:
        self.outer = getattr(_fold, "counts", None)
        self.counts: Counter[str] = Counter()
        _fold.counts = self.counts
        return self.counts

    def __exit__(self, *_: object) -> None:
        _fold.counts = self.outer


class Quiet:
    """Around an evaluation: installs the hook, and restores filters and hook after the last one.

    User and runtime warnings are counted each time and not once per line, unless the user has a filter for
    them; one that turns warnings into errors makes the fold fail, as in scikit-learn.
    """

    _lock = threading.Lock()
    _users = 0
    _saved: Any = None

    def __enter__(self) -> None:
        with Quiet._lock:
            if Quiet._users == 0:
                Quiet._saved = warnings.catch_warnings()
                Quiet._saved.__enter__()
                for category in (UserWarning, RuntimeWarning, FutureWarning):
                    warnings.simplefilter("always", category, append=True)
                _install()
            Quiet._users += 1

    def __exit__(self, *_: object) -> None:
        with Quiet._lock:
            Quiet._users -= 1
            if Quiet._users == 0:
                Quiet._saved.__exit__(None, None, None)
                Quiet._saved = None


def _install() -> None:
    show = warnings.showwarning

    def hook(message: Any, category: type[Warning], *rest: Any, **options: Any) -> None:
        counts = getattr(_fold, "counts", None)
        if counts is None:
            show(message, category, *rest, **options)
        else:
            counts[category.__name__] += 1

    warnings.showwarning = hook
