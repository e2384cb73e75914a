"""Chat templates that loop, fill memory or show a clock: one line, or nothing that checks compare."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures import chat
from fixtures.checkpoint import Checkpoint
from fixtures.errors import UserError

pytestmark = pytest.mark.meta

ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
TEMPLATES = {
    "endless": ENDLESS,
    "endless for tools": f"{{% if messages[-1].role == 'tool' %}}{ENDLESS}{{% endif %}}",
    "endless for documents": f"{{% if documents %}}{ENDLESS}{{% endif %}}",
    "long": "{{ 'a' * 10 ** 10 }}",
    "wide": "{{ 'a'|center(999999999) }}",
    "many": "{% for a in range(99999) %}{{ 'a' * 999 }}{% endfor %}",
    "escaping": "{{ ''.__class__.__mro__[1].__subclasses__()[0]() }}",
    "failing": "{{ 1 / 0 }}",
    "garbled": "{% for %}",
    "refusing": "{{ raise_exception('translates, no more') }}",
}
TAKING = {
    "endless": "more than 0.3 s given a question",
    "endless for tools": "more than 0.3 s given a tool's answer",
    "endless for documents": "more than 0.3 s given a question",
    "long": "computes",
    "wide": "computes",
    "many": "renders more than",
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_hostile_template_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A template that loops, fills memory, fails or reaches for the interpreter renders nothing."""
    monkeypatch.setattr(chat, "PATIENCE", 0.3)
    (tmp_path / "chat_template.jinja").write_text(TEMPLATES[name])
    checkpoint = Checkpoint(name, tmp_path, "path", frozenset({"chat-template"}))
    if name in TAKING:
        with pytest.raises(UserError, match=TAKING[name]):
            chat.require_end(checkpoint)
        return
    chat.require_end(checkpoint)
    assert chat.accepted(checkpoint, False) == []
    assert not chat.converses(checkpoint)
    assert chat.refuses_all(checkpoint) is (name == "refusing")


@pytest.mark.parametrize(("form", "kept"), [("%d %b %Y", True), ("%H:%M:%S", False)])
def test_a_clock_is_not_compared(tmp_path: Path, form: str, kept: bool) -> None:
    """A template that shows a day is checked, one that shows seconds renders otherwise a second later."""
    template = f"{{{{ strftime_now('{form}') }}}}{{{{ messages[0].content }}}}"
    (tmp_path / "chat_template.jinja").write_text(template)
    checkpoint = Checkpoint("clock", tmp_path, "path", frozenset({"chat-template"}))
    assert chat.timeless(checkpoint) is chat.converses(checkpoint) is kept
