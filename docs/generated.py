"""What the documentation generates from the code: the files, their texts, and which are stale."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from attribution.export.writing.schema import build_schema
from docs import method_pages, metric_page, support
from docs.support import own_methods
from tests.families import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README, METHODS, PICTURES = ROOT / "README.md", DOCS / "methods", DOCS / "pictures"
SCHEMA = DOCS / "schema" / "attribution-1.json"
COMMAND = "python -m docs"
MARK = f"<!-- Written by `{COMMAND}`: do not edit. -->\n"
_METHOD_LINKS = re.compile(rf"(?<=<!-- methods: written by `{COMMAND}` -->\n).*?(?=<!-- end -->)", re.DOTALL)


def texts() -> dict[Path, str]:
    """Every generated text by its file, except for the support table, which is the result of a long run."""
    pages = {METHODS / f"{name}.md": MARK + method_pages.page(m) for name, m in own_methods().items()}
    return {
        README: _METHOD_LINKS.sub(lambda _: method_links(), README.read_text(encoding="utf-8")),
        METHODS / "README.md": MARK + method_pages.index(),
        DOCS / "metrics.md": MARK + metric_page.page(),
        SCHEMA: _schema(),
        **pages,
    }


def method_links() -> str:
    """The line of the README that names every method."""
    links = [f"[`{name}`](docs/methods/{name}.md)" for name in sorted(own_methods())]
    return " ·\n".join(" · ".join(links[i : i + 4]) for i in range(0, len(links), 4)) + "\n"


def _schema() -> str:
    comment = {"$comment": f"Written by `{COMMAND}`: do not edit."}
    return json.dumps({**comment, **build_schema()}, indent=2, ensure_ascii=False) + "\n"


def stale() -> list[Path]:
    """Files that differ from what would be written, are missing, or belong to a method that is gone."""
    different = [
        path
        for path, text in texts().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    missing = [path for path in _method_pictures() if not path.exists()]
    table = [] if _support_is_complete() else [support.FILE]
    return sorted({*different, *missing, *_orphans(), *table})


def write(*, pictures: bool) -> bool:
    """Write all texts, and the pictures that are missing or, with ``pictures``, all of them.

    False where one failed.
    """
    for path in _orphans():
        path.unlink()
    for path, text in texts().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    drawn = [_draw(path) for path in _method_pictures() if pictures or not path.exists()]
    return all(drawn)


def _draw(path: Path) -> bool:
    try:
        path.write_bytes(method_pages.picture(own_methods()[path.stem]))
    except Exception as error:  # The other pictures are drawn all the same.
        print(f"{path.stem}: no picture ({type(error).__name__}: {error})", file=sys.stderr)
        return False
    return True


def _support_is_complete() -> bool:
    """Whether the table has every method on every family. Whether it is true, only running them tells."""
    document = support.FILE.read_text(encoding="utf-8")
    table = support.parse(document)
    complete = all(table.get(family, {}).keys() == own_methods().keys() for family in FAMILIES)
    return complete and support.markdown(table) == document


def _method_pictures() -> list[Path]:
    return [PICTURES / f"{name}.svg" for name in own_methods() if name not in method_pages.NO_PICTURE]


def _orphans() -> list[Path]:
    """Pages and pictures of methods that no longer exist."""
    names = {"README", "architecture", *own_methods()}
    return [path for path in (*METHODS.glob("*.md"), *PICTURES.glob("*.svg")) if path.stem not in names]
