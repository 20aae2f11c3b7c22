"""An evaluator on its way to the worker processes of an executor: what was written in a notebook goes along.

Pickle names a function or class of ``__main__`` and leaves it to the worker to have it. A worker that was
forked before has what stood there then, so that it would evaluate the code from before an edit; one that was
started anew has nothing of that name. cloudpickle sends the code itself.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from sllmbo_magic.evaluation import Evaluation
from sllmbo_magic.evaluation import Evaluator
from sllmbo_magic.evaluation.causes import error_text


def pickled(value: Any) -> bytes:
    """The pickle of an object, with what it holds of ``__main__``.

    Raises:
        Exception: It cannot be pickled; foreign code may raise anything.
    """
    from joblib.externals.loky.backend.reduction import dumps  # cloudpickle, where joblib has it

    return bytes(dumps(value))


def arrived(data: bytes) -> Evaluator:
    """The evaluator that was pickled, in the process that it was sent to."""
    try:
        evaluator: Evaluator = pickle.loads(data)
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything
        return NotLoaded(error)
    return evaluator


class NotLoaded:
    """What arrives in the place of an evaluator that cannot be unpickled there: each trial says why. An error
    on the way would end the process, and be lost with it.

    Args:
        error: Was raised by the evaluator's pickle.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error

    def evaluate(self, params: Mapping[str, Any], **options: Any) -> Evaluation:
        """A failure with the cause."""
        cause = f"the process of the trial could not load what is tuned: {error_text(self.error)}"
        name = type(self.error).__name__
        return Evaluation(None, error="executor-failed", error_class=name, cause=cause)

    def close(self) -> None:
        """Nothing to free."""


class SentEvaluator:
    """The evaluator in this process; in another one it is unpickled to what it was when it was first sent.

    Args:
        evaluator: Scores configurations.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._pickle: bytes | None = None

    def evaluate(self, params: Mapping[str, Any], **options: Any) -> Evaluation:
        """See :class:`~sllmbo_magic.evaluation.base.Evaluator`."""
        return self._evaluator.evaluate(params, **options)

    def close(self) -> None:
        """Free what the evaluator holds in this process."""
        self._evaluator.close()

    def __reduce__(self) -> tuple[Callable[[bytes], Evaluator], tuple[bytes]]:
        if self._pickle is None:  # once: a trial is sent with the data each time
            self._pickle = pickled(self._evaluator)
        return arrived, (self._pickle,)
