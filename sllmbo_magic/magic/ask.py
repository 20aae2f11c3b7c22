"""``--llm manual``: show a prompt in the notebook and take the pasted answer."""

from __future__ import annotations

from html import escape

from IPython import get_ipython
from IPython.core.error import StdinNotImplementedError
from IPython.display import display

from sllmbo_magic.errors import InputError


def ask(prompt: str) -> str:
    """The answer that a person pastes.

    Raises:
        InputError: Nobody can type here.
    """
    from sllmbo_magic.llm.providers.manual import ask_in_terminal
    from sllmbo_magic.llm.providers.manual import read_answer

    try:
        if getattr(get_ipython(), "kernel", None) is None:
            return ask_in_terminal(prompt)
        representations = {"text/html": copy_box(prompt), "text/plain": prompt}
        handle = display(representations, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        try:
            return read_answer()
        finally:
            handle.update({"text/plain": "A prompt was answered by hand."}, raw=True)
    except (StdinNotImplementedError, EOFError):
        raise InputError(
            "--llm manual needs somebody to paste the answers, and here nobody can type.",
            "Run the notebook in JupyterLab or a terminal, or use --llm rulebook.",
        ) from None


def copy_box(prompt: str) -> str:
    """The prompt with a button that copies it; the text can be selected where a button may not act."""
    box = "width:100%;box-sizing:border-box;font-family:monospace;font-size:12px"
    copy = (
        "navigator.clipboard.writeText(this.parentNode.querySelector('textarea').value);"
        "this.textContent='Copied'"
    )
    return (
        f'<div><textarea readonly rows="12" aria-label="Prompt" style="{box}">{escape(prompt)}</textarea>'
        f'<button type="button" onclick="{copy}">Copy the prompt</button></div>'
    )
