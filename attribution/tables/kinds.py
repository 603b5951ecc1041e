"""Kinds of files that hold a table, by their endings."""

from __future__ import annotations

from typing import Literal, get_args

from attribution.errors import BadTable, quote

Kind = Literal["csv", "tsv", "jsonl", "json", "parquet"]
ENDINGS: dict[str, Kind] = {
    "tab": "tsv",
    "ndjson": "jsonl",
    "pq": "parquet",
    **{kind: kind for kind in get_args(Kind)},
}


def kind_of(name: str) -> Kind:
    """The kind of a file by the ending of its name. Raises ``BadTable``."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    if ending not in ENDINGS:
        raise BadTable(
            f"{quote(name)} does not say what kind of table it is.",
            f"Tables are {', '.join(get_args(Kind))}: save it as one of these, or name its kind.",
        )
    return ENDINGS[ending]
