"""What a hostile or broken LLM could write. Each must be shown as text or be dropped, and never do anything.

A payload that runs sets ``window.hacked`` or asks the host ``evil.invalid``; the tests look for both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sllmbo_magic import events as ev

SCRIPT = (
    "<script>window.hacked=1</script>",
    "</script><script>window.hacked=2</script>",
    "<img src=x onerror='window.hacked=3'>",
    "<svg onload='window.hacked=4'><animate onbegin='window.hacked=4' attributeName=x dur=1s></svg>",
    "<iframe srcdoc='<script>parent.hacked=5</script>'></iframe>",
    "<a href='javascript:window.hacked=6'>link</a>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=hacked=7&gt;'>",
    "<details open ontoggle='window.hacked=8'><summary>x</summary></details>",
    "<form action='https://evil.invalid'><button formaction='javascript:hacked=9'>x</button></form>",
    "<style>@import 'https://evil.invalid/x.css'; * { background: url(https://evil.invalid/y) }</style>",
    "<link rel=stylesheet href='https://evil.invalid/z.css'><base href='https://evil.invalid/'>",
    "<meta http-equiv=refresh content='0;url=https://evil.invalid'>",
    "<noscript><p title='</noscript><img src=x onerror=window.hacked=10>'>",
    "<template><img src=x onerror='window.hacked=11'></template>",
)
MARKDOWN = (
    "[click](javascript:window.hacked=20)",
    "[click](JaVaScRiPt&colon;window.hacked=21)",
    "[click](data:text/html;base64,PHNjcmlwdD5wYXJlbnQuaGFja2VkPTIyPC9zY3JpcHQ+)",
    "![pixel](https://evil.invalid/pixel.png)",
    "![x](x 'onerror=window.hacked=23')",
    "<https://evil.invalid/autolink>",
    "[a]: javascript:window.hacked=24\n\n[a][a]",
    "```html\n<script>window.hacked=25</script>\n```",
    "`<img src=x onerror=window.hacked=26>`",
    "| a | b |\n|---|---|\n| <img src=x onerror=window.hacked=27> | [x](vbscript:msgbox) |",
    "# heading <img src=x onerror=window.hacked=28>",
)
TEXT = (
    "\x1b[31mred\x1b[0m \x1b]8;;https://evil.invalid\x07click\x1b]8;;\x07 \x9b2J",
    "\u202egnp.exe\u202c \u2066hidden\u2069 \u200fright",
    "zero\u200bwidth \ufeff \x00\x08\x7f",
    "${window.hacked=30} {{constructor.constructor('window.hacked=31')()}}",
    '"],"x":"</script><script>window.hacked=32</script>',
    "\u2028\u2029 line separators",
    "__proto__ constructor toString",
)
ALL = (*SCRIPT, *MARKDOWN, *TEXT)
NAMES = (
    SCRIPT[1],
    SCRIPT[2],
    SCRIPT[9],
    MARKDOWN[0],
    MARKDOWN[9],
    TEXT[1],
    TEXT[3],
    "__proto__",
    "constructor",
)


def hostile_events(*, finish: bool = True) -> Iterator[ev.Event]:
    """A run in which all that an LLM, a user or an estimator may name or write is a payload: model name,
    parameters, choices, reasons, errors, hints and every other wish.
    """
    yield ev.RunStarted(
        run={
            "name": "hostile",
            "estimator": SCRIPT[2],
            "metric": SCRIPT[0],
            "direction": "maximize",
            "n_trials": len(ALL),
            "sampler": "llm-tpe",
            "llm": SCRIPT[1],
            "llm_ratio": 0.5,
            "description": "\n".join(ALL),
        }
    )
    space: list[dict[str, Any]] = [
        *({"name": name, "type": "float", "low": 0.0, "high": 1.0} for name in NAMES),
        {"name": "kind", "type": "categorical", "choices": list(ALL)},
    ]
    yield ev.SpaceChanged(
        version=0, trial_number=0, params=space, reason="\n".join(ALL), by="llm", outer=space
    )
    for i, payload in enumerate(ALL):
        params = {**{name: i / len(ALL) for name in NAMES}, "kind": payload}
        yield ev.RequestSent(
            request=i, purpose=payload, trial_number=i, provider=payload, text=f"{payload}\n" * 20
        )
        yield ev.ReplyReceived(
            request=i,
            purpose="propose",
            trial_number=i,
            provider=payload,
            text=payload,
            reasoning=payload,
            candidates=[
                {"params": params, "reason": payload, "expected": payload, "status": "accepted"},
                {"params": {payload: payload}, "reason": payload, "status": "rejected", "why": payload},
            ],
        )
        yield ev.TrialStarted(number=i, params=params, source="llm", reason=payload, request=i)
        failed = i % 7 == 6
        yield ev.TrialFinished(
            number=i,
            state="FAIL" if failed else "COMPLETE",
            value=None if failed else i / 100,
            params=params,
            source="llm",
            reason=payload,
            expected=payload,
            error=payload if failed else None,
            request=i,
            best_number=i,
            best_value=i / 100,
        )
        yield ev.Note(text=payload)
        yield ev.Fallback(trial_number=i, category=payload, message=payload)
        yield ev.WishApplied(wish="hint", value=payload, trial_number=i)
        wish, value = (
            ("range", {"param": payload, "choices": [payload]}),
            ("lock", payload),
            ("enqueue", {payload: payload}),
            ("sampler", payload),
            (payload, payload),
        )[i % 5]
        yield ev.WishApplied(wish=wish, value=value, trial_number=i)
    if finish:
        yield ev.RunFinished(status="finished", reason="\n".join(ALL), summary={"text": "\n".join(ALL)})
