"""``--llm manual``: the prompt is shown with a button that copies it, and is only text."""

from __future__ import annotations

from sllmbo_magic.magic.ask import copy_box


def test_the_prompt_is_text_and_nothing_else() -> None:
    box = copy_box("</textarea><script>alert(1)</script> & <b>bold</b>")
    assert "&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;" in box
    assert box.count("<textarea") == box.count("</textarea>") == 1
    assert "<script" not in box
    assert "clipboard.writeText" in box
