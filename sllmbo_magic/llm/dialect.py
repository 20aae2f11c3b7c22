"""What one server understands of OpenAI's protocol: learned from its refusals, kept for the process."""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import field
from typing import Any

_REASONING = re.compile(r"^(o\d|gpt-[5-9])(?!.*chat)")
_MODES = ("json_schema", "json_object", "text")


@dataclass
class Dialect:
    """What one server understands of one model; starts hopeful and is corrected by refusals."""

    mode: str = "json_schema"
    limit: str = "max_completion_tokens"
    effort: bool = False
    responses: bool = False
    refused: list[str] = field(default_factory=list)

    def learn(self, said: str, had_schema: bool) -> bool:
        """Adapt to the words of a 400-like refusal.

        Returns:
            Whether the request is worth sending again.
        """
        said = said.lower()
        if not self.responses and re.search(r"v1/responses|responses api|not a chat model", said):
            return self._set(responses=True)
        if self.effort and "reasoning" in said:
            return self._set(effort=False)
        if "max_tokens" in said and "max_completion_tokens" in said and self.limit == "max_tokens":
            return self._set(limit="max_completion_tokens")
        if "max_completion_tokens" in said and self.limit == "max_completion_tokens":
            return self._set(limit="max_tokens")
        about_format = re.search(r"response_format|text\.format|json|schema|structured|grammar|guided", said)
        if had_schema and self.mode != "text" and (about_format or not said):
            return self._set(mode=_MODES[_MODES.index(self.mode) + 1])
        return False

    def _set(self, **change: Any) -> bool:
        for name, value in change.items():
            if f"{name}={value}" in self.refused:
                return False  # already tried: two refusals contradict each other
            self.refused.append(f"{name}={getattr(self, name)}")
            setattr(self, name, value)
        return True


_learned: dict[tuple[str, str], Dialect] = {}


def dialect_of(base_url: str, model: str, *, official: bool) -> Dialect:
    """The dialect of a model at a server, shared by all who ask it in this process.

    Args:
        base_url: The server.
        model: The model's name.
        official: Whether the protocol's owner is asked, whose newer fields other servers may not know.
    """
    start = Dialect()
    if not official:
        start.limit = "max_tokens"
    start.effort = official and bool(_REASONING.match(model))
    return _learned.setdefault((base_url, model), start)
