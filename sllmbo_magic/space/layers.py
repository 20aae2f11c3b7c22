"""Tuples of whole numbers as choices, such as the layers of a network: as text, and back.

Optuna stores ``(64, 32)`` as the text ``"(64, 32)"`` (see ``choices.py``). The text says all of the tuple, so
that a new one, from a language model or a user, needs no table of what it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_MOST = 20
"""Numbers of a tuple at most."""
_TEXT = re.compile(r"[(\[]\s*(\d{1,9}(?:\s*,\s*\d{1,9})*)\s*,?\s*[)\]]", re.ASCII)


def layers_of(value: object) -> tuple[int, ...] | None:
    """The tuple that ``(64, 32)``, ``[64, 32]``, ``"(64, 32)"`` or ``"[64,32]"`` means; else None."""
    if isinstance(value, str):
        match = _TEXT.fullmatch(value.strip()) if len(value) <= 200 else None
        layers = tuple(map(int, match[1].split(","))) if match else ()
    elif isinstance(value, tuple | list) and all(type(item) is int and item >= 0 for item in value):
        layers = tuple(value)
    else:
        return None
    return layers if 0 < len(layers) <= _MOST else None


def label(layers: tuple[int, ...]) -> str:
    """The text that stands for a tuple: ``"(64, 32)"``, ``"(64,)"``."""
    return str(tuple(int(width) for width in layers))


def canonical(value: object) -> object:
    """The text of the tuple that a value means; any other value as it is."""
    layers = layers_of(value)
    return value if layers is None else label(layers)


def are_layers(choices: Iterable[object]) -> bool:
    """Whether there are choices, all of them texts of tuples as :func:`label` writes them."""
    texts = list(choices)
    return bool(texts) and all(isinstance(text, str) and _is_label(text) for text in texts)


def _is_label(text: str) -> bool:
    layers = layers_of(text)
    return layers is not None and label(layers) == text
