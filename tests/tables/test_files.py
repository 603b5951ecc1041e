"""Files of tables are closed as soon as they are read."""

from pathlib import Path
from typing import BinaryIO

import pytest

from attribution.errors import BadTable
from attribution.tables.files import File


def test_a_file_of_json_lines_whose_columns_cannot_be_read_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[BinaryIO] = []
    open_file = File.open

    def record(self: File) -> BinaryIO:
        opened.append(open_file(self))
        return opened[-1]

    monkeypatch.setattr(File, "open", record)
    path = tmp_path / "rows.jsonl"
    path.write_text("not JSON\n" * 300, encoding="utf-8")
    with pytest.raises(BadTable) as caught:
        File("rows.jsonl", path, "jsonl").table()
    assert caught.value.__traceback__ is not None  # its frames keep what they refer to alive
    assert [file.closed for file in opened] == [True]
