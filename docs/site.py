"""The documentation as a web site: ``python -m docs site`` builds it in ``build/site``, strictly and offline.

The documents stay plain Markdown whose links lead from file to file, so that a forge shows them as they are.
For the site they are staged in the same tree, with every file of the repository that they link to, and built
by Sphinx: a link that leads nowhere, a page that the navigation misses or any other warning fails the build.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STAGE, SITE = ROOT / "build" / "site-source", ROOT / "build" / "site"
HOME = "docs/README"
NAVIGATION = {
    "Use": [
        "start",
        "installing",
        "library",
        "models",
        "batch",
        "trackers",
        "terminal",
        "client",
        "embedding",
        "devices",
        "limits",
    ],
    "What it computes": [
        "methods/README",
        "metrics",
        "human-agreement",
        "support",
        "architectures",
        "../benchmarks/README",
        "glossary",
    ],
    "Change it": ["architecture", "../CONTRIBUTING", "../training/README", "../CHANGELOG"],
}
"""Captions of the navigation → pages, seen from ``docs/``."""
_FOREIGN = re.compile(
    r"""<(?:script|link|img|iframe|source)\b[^>]*?\s(?:src|href)=["']?(?:https?:)?//[^"'>]*|(?:url\(|@import\s)["']?(?:https?:)?//[^)"']*"""
)
"""What a browser would fetch from another host."""
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")


def contents() -> dict[str, dict[str, list[str]]]:
    """Document → caption → the documents below it, as paths from the root without their ending."""
    methods = [f"docs/methods/{path.stem}" for path in sorted((ROOT / "docs" / "methods").glob("[!R]*.md"))]
    cards = sorted((ROOT / "bundled").glob("*/README.md"))
    return {
        HOME: {caption: [_from_root(page) for page in pages] for caption, pages in NAVIGATION.items()},
        "docs/methods/README": {"Methods": methods},
        "docs/models": {"Bundled models": [str(path.relative_to(ROOT).with_suffix("")) for path in cards]},
    }


def _from_root(page: str) -> str:
    return page.removeprefix("../") if page.startswith("../") else f"docs/{page}"


def documents() -> list[Path]:
    """The Markdown files of the site."""
    names = {HOME, *(page for trees in contents().values() for pages in trees.values() for page in pages)}
    return sorted(ROOT / f"{name}.md" for name in names)


def links(document: Path) -> list[Path]:
    """The files that a document links to or shows. They need not exist."""
    return [
        (document.parent / link).resolve() for link in _LINK.findall(document.read_text(encoding="utf-8"))
    ]


def stage() -> None:
    """Copy the documents, and what they link to, into a tree of their own."""
    shutil.rmtree(STAGE, ignore_errors=True)
    for document in documents():
        for path in (document, *links(document)):
            target = STAGE / path.relative_to(ROOT)
            if path.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


def foreign(folder: Path) -> list[str]:
    """Everything that the pages and styles of a site would load from other hosts, each with its file."""
    files = (*sorted(folder.rglob("*.html")), *sorted(folder.rglob("*.css")))
    return [
        f"{path.relative_to(folder)}: {match}"
        for path in files
        for match in _FOREIGN.findall(path.read_text(encoding="utf-8"))
    ]


def build() -> int:
    """Build the site.

    Returns 0, or 1 where a document is wrong or a page would load something from another host.
    """
    from sphinx.cmd.build import main as sphinx  # installed for development only

    stage()
    shutil.rmtree(SITE, ignore_errors=True)
    settings = str(Path(__file__).parent)
    if sphinx(["-q", "-W", "--keep-going", "-b", "html", "-c", settings, str(STAGE), str(SITE)]):
        return 1
    # The sample lesson is a page of its own, and the site begins at its home page.
    shutil.copytree(ROOT / "docs" / "course", SITE / "docs" / "course")
    (SITE / "index.html").write_text(
        f'<!doctype html><meta charset="utf-8"><title>Documentation</title>\n'
        f'<meta http-equiv="refresh" content="0; url={HOME}.html"><a href="{HOME}.html">Documentation</a>\n',
        encoding="utf-8",
    )
    if loads := foreign(SITE):
        print("\n".join(["These come from other hosts:", *loads]), file=sys.stderr)
        return 1
    print(f"{SITE.relative_to(ROOT)}/index.html", file=sys.stderr)
    return 0
