"""What the documents say is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from attribution import export
from attribution.settings import DEFAULTS, VERSION

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"tex": "latex", "md": "markdown"}
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_fits_a_screen_or_three() -> None:
    assert len(README.splitlines()) <= 150


def test_the_stated_limits_hold() -> None:
    stated = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    for value in (
        f"{DEFAULTS.max_characters:,} characters",
        f"{DEFAULTS.max_tokens} tokens",
        f"{DEFAULTS.max_new_tokens} tokens",
        f"{DEFAULTS.max_body_bytes >> 20} MB",
    ):
        assert value in stated
    assert f"{DEFAULTS.deadline_seconds:g} seconds" in stated


def test_versions_agree() -> None:
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    assert f"sdk_version: {pinned['gradio']}\n" in README
    assert pinned["torch"] == "2.13.0"
    assert f"version: {VERSION}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {VERSION} " in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("name", ["start.md", "library.md", "client.md"])
def test_documents_name_every_file_format(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8").lower()
    assert [
        kind for kind in export.list_formats() if kind not in text and NAMES.get(kind, kind) not in text
    ] == []


def test_nothing_writes_markup_from_text() -> None:
    banned = re.compile(
        r"innerHTML|insertAdjacentHTML|outerHTML|document\.write|torch\.load\(|pickle\.|trust_remote_code=True"
    )
    for folder in ("attribution", "components"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".js") and "vendor" not in path.parts:
                assert not banned.search(path.read_text(encoding="utf-8")), path
