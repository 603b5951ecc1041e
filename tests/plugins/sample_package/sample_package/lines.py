"""A tracker that appends what it is sent to a file."""

import json
from pathlib import Path
from typing import Annotated

from attribution.registry import Length
from attribution.trackers import tracker


class File:
    """One run as lines of JSON."""

    lasting = True

    def __init__(self, path: Path) -> None:
        self.path = path

    def _add(self, kind: str, data: object) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([kind, data]) + "\n")

    def parameters(self, item) -> None:
        self._add("parameters", item.data["values"])

    def figures(self, items) -> None:
        for item in items:
            self._add("figures", item.data["values"])

    def table(self, item, columns, rows) -> None:
        self._add("table", list(columns))

    def artifact(self, item, path) -> None:
        self._add("artifact", item.data["name"])

    def finish(self, status) -> None:
        self._add("finish", status)


@tracker(title="Lines", package="sample_package", summary="Lines in a file.", sign_in="nothing")
def lines(run, *, path: Annotated[str, Length(1000), "The file."] = "run.jsonl"):
    """Append to ``path``."""
    return File(Path(path))
