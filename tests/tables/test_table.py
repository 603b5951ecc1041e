"""Tables: reading them, and the errors of those that cannot be read."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution import attribute_many, evaluate, load, run_batch
from attribution.batch import Run
from attribution.errors import BadOption, BadTable
from attribution.export.csv import guard
from attribution.tables import Columns, Row, Sample, open_table, read_texts, requests, suggest_columns

CELLS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "\nx",
    "\0x",
    "＝1",
    "'=1",
    "''@",
    "'plain",
    '"',
    '""',
    ",",
    ";",
    "a\r\nb",
    "",
    " ",
]


def values(source: Any, **options: Any) -> list[dict[str, Any]]:
    return [dict(row.values) for row in open_table(source, **options)]


def csv_bytes(rows: list[list[str]], delimiter: str = ",") -> bytes:
    """A CSV file as written by Python, with all cells quoted."""
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    return file.getvalue().encode()


class TestCsv:
    def test_rows_have_their_place_and_line(self) -> None:
        rows = list(open_table(b'text,label\none,1\n"two\nlines",0\n\n\nthree,1\n', kind="csv"))
        assert [(row.place, row.line, row.values["text"]) for row in rows] == [
            (0, 2, "one"),
            (1, 3, "two\nlines"),
            (2, 7, "three"),
        ]

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_any_line_end_and_the_delimiter_of_the_header(self, end: str, delimiter: str) -> None:
        content = end.join(delimiter.join(row) for row in (["text", "label"], ["good", "1"], ["bad", "0"]))
        assert values(content.encode(), kind="csv") == [
            {"text": "good", "label": "1"},
            {"text": "bad", "label": "0"},
        ]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    def test_an_encoding_is_detected(self, encoding: str) -> None:
        assert values("text,label\nétoile 星,1\n".encode(encoding), kind="csv") == [
            {"text": "étoile 星", "label": "1"}
        ]

    def test_another_encoding_is_refused_with_its_line_and_read_when_it_is_named(self) -> None:
        content = "text,label\ngood,1\ncafé,0\n".encode("latin-1")
        with pytest.raises(BadTable, match=r"Line 3 is not utf-8: byte 0xE9 after 'caf'.*latin-1"):
            values(content, kind="csv")
        assert values(content, kind="csv", encoding="latin-1")[1] == {"text": "café", "label": "0"}

    @pytest.mark.parametrize("encoding", ["klingon", "hex"])
    def test_an_unknown_encoding_is_refused(self, encoding: str) -> None:
        with pytest.raises(BadOption, match=encoding):
            open_table(b"text\na\n", kind="csv", encoding=encoding)

    def test_a_byte_order_mark_is_not_part_of_the_first_column_even_with_utf_8(self) -> None:
        assert open_table(b"\xef\xbb\xbftext\na\n", kind="csv", encoding="utf-8").columns == ("text",)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b'text,label\na,1\nb,"c\nd\n', "Line 3, column 2: a quote opens here and is never closed"),
            (b'text,label\na,1\n"b"c,1\n', "Line 3, column 1: text follows a closing quote"),
            (
                b'text,label\n"' + b"a\n" * 100_000,
                "Line 2, column 1: the cell has more than 131,072 characters",
            ),
            (
                b"text,label\n" + b"," * 5_000_000,
                "row that begins in line 2 has more than 1,048,576 characters",
            ),
            (
                b'text,label\n"' + b"a" * 8_000_000,
                "row that begins in line 2 has more than 1,048,576 characters",
            ),
        ],
    )
    def test_a_syntax_error_names_line_and_column(self, content: bytes, message: str) -> None:
        csv.field_size_limit(
            131_072
        )  # the default of Python, which some libraries raise for the entire process
        tracemalloc.start()
        with pytest.raises(BadTable, match=message):
            values(content, kind="csv")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 64 * 2**20

    def test_a_million_empty_lines_are_no_rows(self) -> None:
        assert values(b"text\na\n" + b"\n" * 1_000_000 + b"b\n", kind="csv") == [{"text": "a"}, {"text": "b"}]

    def test_a_ragged_row_has_an_error_and_the_rows_after_it_are_read(self) -> None:
        rows = list(open_table(b"text,label\na\nb,1,2\nc,1\n", kind="csv"))
        assert "Row 1 (line 2) has 1 cell: there is none for column 'label'" in str(rows[0].error)
        assert "Row 2 (line 3) has 3 cells, 1 after the last column, 'label'" in str(rows[1].error)
        assert rows[2].error is None and len(rows) == 3

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"text,label,text\n", "Columns 1 and 3 of the table are both called 'text'"),
            (b"", "is empty"),
            (b"\n\n", "is empty"),
            (b"," * 2000 + b"\n", "2,001 columns"),
        ],
    )
    def test_a_bad_header_is_refused(self, content: bytes, message: str) -> None:
        with pytest.raises(BadTable, match=message):
            open_table(content, kind="csv")

    def test_a_column_without_a_name_has_its_number(self) -> None:
        assert open_table(b",text\n0,a\n", kind="csv").columns == ("column 1", "text")

    @given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5))
    def test_any_cells_are_read_back(self, rows: list[tuple[str, str]]) -> None:
        content = csv_bytes([["text", "label"], *([guard(cell) for cell in row] for row in rows)])
        assert [tuple(row.values()) for row in values(content, kind="csv")] == rows

    def test_guarded_cells_are_read_back(self) -> None:
        content = csv_bytes([["text"], *([guard(cell)] for cell in HOSTILE)])
        assert [row["text"] for row in values(content, kind="csv")] == HOSTILE

    @given(st.binary(max_size=200), st.sampled_from(["csv", "tsv", "jsonl", "json", "parquet"]))
    def test_any_bytes_are_read_or_refused(self, content: bytes, kind: Any) -> None:
        with suppress(BadTable):
            table = open_table(content, kind=kind)
            for place, row in enumerate(table):
                assert row.place == place and (
                    row.error is not None
                    or kind not in ("csv", "tsv")
                    or set(row.values) == set(table.columns)
                )


class TestTsv:
    def test_a_quote_is_a_character(self) -> None:
        assert values(b'text\tlabel\n"good" he said\t1\n"open\t0\n', kind="tsv") == [
            {"text": '"good" he said', "label": "1"},
            {"text": '"open', "label": "0"},
        ]

    def test_quotes_are_syntax_if_the_caller_says_so(self) -> None:
        assert values(b'text\tlabel\n"a\tb"\t1\n', kind="tsv", quoted=True) == [
            {"text": "a\tb", "label": "1"}
        ]


class TestJson:
    def test_lines_with_an_error_are_rows_with_an_error(self) -> None:
        rows = list(open_table(b'{"text": "a"}\n\n{"text":\n[1]\n{"text": "b", "more": [1]}\n', kind="jsonl"))
        assert [(row.place, row.line, row.values.get("text"), row.error is None) for row in rows] == [
            (0, 1, "a", True),
            (1, 3, None, False),
            (2, 4, None, False),
            (3, 5, "b", True),
        ]
        assert "Row 2 (line 3) is not JSON: character 9" in str(rows[1].error)

    def test_a_list_of_objects(self) -> None:
        table = open_table(b'[{"text": "a"}, {"text": "b", "label": 1}]', kind="json")
        assert table.columns == ("text", "label") and table.count == 2 and len(list(table)) == 2

    def test_lines_under_the_name_of_json(self) -> None:
        assert values(b'{"text": "a"}\n{"text": "b"}\n', kind="json") == [{"text": "a"}, {"text": "b"}]

    @pytest.mark.parametrize(
        "content", [b'[{"text": "a"', b"[" * 100_000, b'["\xff"]', b"[" + b"1" * 5000 + b"]", b"3"]
    )
    def test_anything_else_is_refused(self, content: bytes) -> None:
        with pytest.raises(BadTable):
            open_table(content, kind="json")

    def test_a_large_file_is_refused_before_it_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "large.json"
        with path.open("wb") as file:
            file.truncate(200 * 10**6)
        with pytest.raises(BadTable, match=r"has 200\.0 MB; the limit is 67\.1 MB.*JSON Lines"):
            open_table(path)


class TestParquet:
    def test_types_and_count_are_those_of_the_file(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"text": ["a", None, "c"] * 300, "label": [0, 1, 2] * 300})
        frame.to_parquet(tmp_path / "table.parquet")
        table = open_table(tmp_path / "table.parquet")
        assert table.columns == ("text", "label") and table.count == 900
        assert [row.values["label"] for row in table] == [0, 1, 2] * 300
        assert [row.place for row in table] == list(range(900))

    def test_anything_else_is_refused(self) -> None:
        with pytest.raises(BadTable, match="cannot be read as Parquet"):
            open_table(b"PAR1 no", kind="parquet")


class TestRows:
    def test_mappings_texts_and_frames(self) -> None:
        assert values([{"text": "a", "n": 1}, {"text": "b"}]) == [{"text": "a", "n": 1}, {"text": "b"}]
        assert values(["a", "b"]) == [{"text": "a"}, {"text": "b"}]
        assert values(pd.DataFrame({"text": ["a"], "label": [1]})) == [{"text": "a", "label": 1}]

    def test_a_generator_is_read_once(self) -> None:
        table = open_table({"text": str(i)} for i in range(200))
        assert [row.place for row in table] == list(range(200))
        with pytest.raises(BadTable, match="only once"):
            list(table)

    @pytest.mark.parametrize("source", [3, None, b"a", {"text": "a"}, {"text": ["a"], "n": [1, 2]}])
    def test_anything_else_is_refused(self, source: object) -> None:
        with pytest.raises(BadTable):
            open_table(source)  # type: ignore[arg-type]

    @pytest.mark.parametrize("name", ["table.xlsx", "table.csv.gz", "table", "missing.csv", "\0.csv"])
    def test_a_name_that_is_not_a_table_is_refused(self, name: str) -> None:
        with pytest.raises(BadTable):
            open_table(name)

    def test_bytes_need_a_kind(self) -> None:
        with pytest.raises(BadTable, match="kind"):
            open_table(b"text\na\n")
        with pytest.raises(BadOption, match="kind"):
            open_table(b"text\na\n", kind="xlsx")  # type: ignore[arg-type]


class TestColumns:
    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (["idx", "sentence", "label"], ("sentence", None, "label")),
            (["premise", "hypothesis", "gold_label"], ("premise", "hypothesis", "gold_label")),
            (["Text", "Sentiment"], ("Text", None, "Sentiment")),
            (["whatever"], ("whatever", None, None)),
            (["a", "b"], (None, None, None)),
        ],
    )
    def test_are_guessed_by_their_names(self, names: list[str], expected: tuple[str | None, ...]) -> None:
        roles = suggest_columns(names)
        assert (roles["text"], roles["second"], roles["label"]) == expected

    def test_named_columns_are_used_and_no_others_are_guessed(self) -> None:
        table = open_table(b"text,body,label\na,b,1\n", kind="csv")
        assert table.pick_columns() == Columns("text", label="label")
        assert table.pick_columns(label="") == Columns("text")
        assert table.pick_columns("body") == Columns("body")

    def test_a_missing_column_names_the_nearest(self) -> None:
        with pytest.raises(
            BadTable, match=r"no column 'txet' for text.*Did you mean 'text'.*It has: text, label"
        ):
            open_table(b"text,label\n", kind="csv").pick_columns("txet")
        with pytest.raises(BadTable, match="None of the columns"):
            open_table(b"a,b\n", kind="csv").pick_columns()

    @pytest.mark.parametrize(
        ("cells", "expected"),
        [
            ({"text": "a", "label": 1}, Sample("a", label=1)),
            ({"text": "a", "label": 1.0}, Sample("a", label=1)),
            ({"text": "a", "label": float("nan")}, Sample("a")),
            ({"text": "a", "label": ""}, Sample("a")),
            ({"text": "a", "label": "pos"}, Sample("a", label="pos")),
        ],
    )
    def test_a_row_is_a_sample(self, cells: dict[str, Any], expected: Sample) -> None:
        assert Columns("text", label="label").read(Row(0, 0, cells)) == expected

    @pytest.mark.parametrize(
        "cells", [{}, {"text": None}, {"text": 3}, {"text": float("nan")}, {"text": "a", "label": [1]}]
    )
    def test_a_bad_row_names_row_and_column(self, cells: dict[str, Any]) -> None:
        with pytest.raises(BadTable, match=r"Row 5 \(line 9\), column '(text|label)'"):
            Columns("text", label="label").read(Row(4, 9, cells))


def test_requests_of_rows_texts_and_tables() -> None:
    table = open_table([{"premise": "a", "hypothesis": "b"}, {"premise": None, "hypothesis": "c"}])
    first, second = requests(table)
    assert first == {"text": "a", "second": "b"} and isinstance(second, BadTable)
    assert list(requests([{"body": "a"}], {"text": "body"})) == [{"text": "a"}]
    assert list(requests(["a", "b"])) == ["a", "b"]
    with pytest.raises(BadTable):
        requests(3)  # type: ignore[arg-type]


def test_a_file_is_read_row_by_row(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    line = json.dumps({"text": "word " * 200}) + "\n"
    with path.open("w") as file:
        for _ in range(20_000):
            file.write(line)
    tracemalloc.start()
    assert sum(1 for _ in open_table(path)) == 20_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 20 * 10**6 > 10 * peak


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("text\n" + "a\n" * 1000)
    with pytest.raises(BadTable, match=r"the limit is 0\.0 MB"):
        open_table(path, limit_bytes=1000)
    assert len(list(open_table(path, limit_bytes=5000))) == 1000


class Polars:
    """A frame of polars, as far as it is read: ``to_dict`` takes no "records"."""

    columns = ("text", "label")

    def to_dict(self, *, as_series: bool = True) -> Any:
        raise AssertionError

    def to_dicts(self) -> list[dict[str, Any]]:
        return [{"text": "a", "label": 1}, {"text": "b", "label": 0}]


class Lazy:
    columns = ("text", "label")

    def collect(self) -> Polars:
        return Polars()


COLUMNS = {"text": ["a", "b"], "label": [1, 0]}


@pytest.mark.parametrize(
    "make",
    [
        lambda: COLUMNS,
        lambda: {"text": np.array(["a", "b"]), "label": pd.Series([1, 0])},
        lambda: pd.DataFrame(COLUMNS),
        lambda: pa.table(COLUMNS),
        lambda: pa.RecordBatch.from_pydict(COLUMNS),
        Polars,
        Lazy,
        lambda: iter([{"text": "a", "label": 1}, {"text": "b", "label": 0}]),
    ],
)
def test_a_table_in_memory_is_rows_and_not_the_names_of_its_columns(make: Callable[[], Any]) -> None:
    assert list(requests(make())) == [{"text": "a"}, {"text": "b"}]
    assert read_texts(make()).texts == ("a", "b")
    assert [row.values for row in open_table(make())] == [
        {"text": "a", "label": 1},
        {"text": "b", "label": 0},
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.Series(["a", "b "]),
        lambda: pa.array(["a", "b "]),
        lambda: pa.chunked_array([["a"], ["b "]]),
        lambda: np.array(["a", "b "]),
        lambda: io.StringIO("a\nb \n"),
        lambda: io.StringIO("a\r\nb \r\n", newline=""),
        lambda: (text for text in ("a", "b ")),
        lambda: ("a", "b "),
    ],
)
def test_texts_in_any_form_are_as_they_are(make: Callable[[], Any]) -> None:
    assert list(requests(make())) == ["a", "b "]
    assert read_texts(make()).texts == ("a", "b ")
    assert [row.values["text"] for row in open_table(make())] == ["a", "b "]


def test_fields_of_a_row_are_its_own() -> None:
    rows = [{"text": "a", "second": "c", "target": 1, "idx": 7}, {"text": "b", "second": "d", "target": None}]
    expected = [{"text": "a", "second": "c", "target": 1}, {"text": "b", "second": "d"}]
    assert list(requests(rows)) == list(requests(pd.DataFrame(rows))) == expected
    read = read_texts(rows)
    assert read.seconds == ("c", "d") and read.fields == ({"target": 1}, {})
    # In a file such a column is data, usually the gold label, unless the caller says so.
    table = open_table(b"text,target\na,1\n", kind="csv")
    assert list(requests(table)) == [{"text": "a"}]
    assert list(requests(table, {"text": "text", "target": "target"})) == [{"text": "a", "target": "1"}]
    assert list(requests(rows, {"text": "text", "target": ""})) == [{"text": "a"}, {"text": "b"}]


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"sentence": "text"}, r"wrong way round: 'sentence' is no role. Write \{'text': 'sentence'\}"),
        ({"txt": "sentence"}, "no role 'txt'. Did you mean 'text'"),
        ("sentence", "columns is the text"),
        (["sentence"], "columns is a list"),
        ({"text": 3}, "The column for text is a number"),
        ({"text": "sentence", "target": "gold"}, "no column 'gold' for target"),
    ],
)
def test_columns_that_are_no_roles_are_refused(columns: Any, match: str) -> None:
    with pytest.raises((BadOption, BadTable), match=match):
        requests([{"sentence": "a"}], columns)


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ({"text": "a"}, r"column 'text' is the text.*a single row into a list"),
        ({"text": ["a"], "n": [1, 2]}, "'text' 1, 'n' 2"),
        ({"train": pa.table(COLUMNS), "test": pa.table(COLUMNS)}, r"parts train, test.*data\['train'\]"),
        (io.BytesIO(b"a"), "Open it as text"),
        (b"a", "texts is bytes"),
    ],
)
def test_what_is_no_table_says_why(source: Any, match: str) -> None:
    with pytest.raises(BadTable, match=match):
        list(requests(source))


def test_the_functions_take_tables(tmp_path: Path) -> None:
    def rule(texts: list[str]) -> list[list[float]]:
        return [[0.4, 0.6] if "good" in text else [0.7, 0.3] for text in texts]

    rows = pd.DataFrame({"text": ["good film", "bad film"], "target": ["positive", "positive"]})
    model = load(rule, labels=("negative", "positive"), name="rule")
    results = list(attribute_many(rows, model, "occlusion"))
    assert [result.outputs[0].text for result in results] == ["positive"] * 2  # type: ignore[union-attr]
    measured = evaluate(rows, model, ["occlusion"], ["comprehensiveness"], bootstrap=100)
    assert measured.texts == ("good film", "bad film") and not measured.failures
    run = run_batch(rows, tmp_path / "run", model, "occlusion")
    assert [result.attribution.outputs[0].text for result in run.results()] == ["positive"] * 2
    with Run.open(tmp_path / "run") as opened:
        assert opened.plan == run.plan and dict(opened.plan.columns.fields) == {"target": "target"}
