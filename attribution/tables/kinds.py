"""The kinds of table files, by their extensions."""

from __future__ import annotations

from typing import Literal, get_args

from attribution.errors import BadTable, quote

Kind = Literal["csv", "tsv", "jsonl", "json", "parquet"]
EXTENSIONS: dict[str, Kind] = {
    "tab": "tsv",
    "ndjson": "jsonl",
    "pq": "parquet",
    **{kind: kind for kind in get_args(Kind)},
}


def kind_of(name: str) -> Kind:
    """The kind of a file by the extension of its name. Raises ``BadTable``."""
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    if extension not in EXTENSIONS:
        raise BadTable(
            f"{quote(name)} has no extension of a table.",
            f"Supported kinds are {', '.join(get_args(Kind))}: save it as one of these, or name its kind.",
        )
    return EXTENSIONS[extension]
