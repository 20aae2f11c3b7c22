"""Which of the programs on a study are alive, wherever they run: each renews a stamp in the storage.

A stamp holds no time: clocks of machines differ. A program is taken for dead when its stamp has not changed
while the observer looked at it for so long by its own clock. A gap between two looks counts as one interval
at most: when the storage or the observer itself was away, so may the renewals have been.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from optuna.study import Study

EVERY = 30.0
"""Seconds between two renewals."""
MISSED = 10
"""Renewals that a program misses before it is taken for dead. A thread renews; a fit that holds Python's lock
can keep it waiting, and a machine can be suspended for a while.
"""
_KEY = "sllmbo:heartbeat:"
_log = logging.getLogger(__name__)


@dataclass
class _Seen:
    """The last stamp of a program, when it was looked at, and for how long it has not changed."""

    stamp: Any
    looked: float
    silent: float = 0.0


class Heartbeat:
    """Renews the stamp of this program while it is open, and watches those of the others.

    Args:
        study: That several programs share.
        owner: This program, as trials name it.
        every: Seconds between two renewals; None: :data:`EVERY`.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        study: Study,
        owner: Mapping[str, Any],
        *,
        every: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study = study
        self._key = _key(owner)
        self._owner = {part: owner.get(part) for part in ("host", "token")}
        self._every = EVERY if every is None else every
        self._clock = clock
        self._token = secrets.token_hex(4)
        self._n = 0
        self._seen: dict[str, _Seen] = {}
        self._closed = threading.Event()

    def __enter__(self) -> Heartbeat:
        self.beat()
        self.look()
        threading.Thread(target=self._work, name="sllmbo-heartbeat", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()

    def _work(self) -> None:
        while not self._closed.wait(self._every):
            try:
                self.beat()
                self.look()
            except Exception:  # noqa: BLE001 - the storage is away; the run's own calls say so
                _log.debug("the heartbeat could not be written", exc_info=True)

    def move_to(self, study: Study) -> None:
        """Go on in another study, which takes the place of the first one."""
        self._study = study
        self.beat()

    def beat(self) -> None:
        """Renew the stamp of this program."""
        self._n += 1
        stamp: dict[str, Any] = {"by": self._token, "n": self._n, "every": self._every, **self._owner}
        study = self._study
        study._storage.set_study_system_attr(study._study_id, self._key, stamp)

    def look(self) -> None:
        """Look at the stamps of the other programs."""
        study = self._study
        stamps = study._storage.get_study_system_attrs(study._study_id)
        now = self._clock()
        for key, stamp in stamps.items():
            if not key.startswith(_KEY) or key == self._key:
                continue
            seen = self._seen.get(key)
            if seen is None or seen.stamp != stamp:
                self._seen[key] = _Seen(stamp, now)
                continue
            seen.silent += min(max(0.0, now - seen.looked), float(stamp["every"]))
            seen.looked = now

    def is_dead(self, owner: Mapping[str, Any] | None) -> bool:
        """Whether a program has stopped to renew its stamp; False for one that never had any."""
        seen = None if not owner else self._seen.get(_key(owner))
        return seen is not None and seen.silent >= MISSED * float(seen.stamp["every"])


def stamps(study: Study) -> list[dict[str, Any]]:
    """The last stamp of each program that has worked on a study, with its ``host`` and ``token``."""
    found = study._storage.get_study_system_attrs(study._study_id)
    return [stamp for key, stamp in found.items() if key.startswith(_KEY)]


def _key(owner: Mapping[str, Any]) -> str:
    return _KEY + "/".join(str(owner.get(part)) for part in ("host", "root", "folder"))
