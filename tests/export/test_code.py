"""A request as code: it is executed, and asks for the same thing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import attribution
from attribution.export.writing.code import LONGEST_ARGUMENT, SERVER, as_code
from attribution.methods import find
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.types import Request

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = [
    "It's \"quoted\"; $(touch x) `touch y` ${HOME} !! \\ \\' '\"'\"' '; touch z; '",
    "\"\"\"'''\n#{x}\r\n\tend\\",
    "مرحبا 电影 👩\u200d👧 é \u202eabc\u2028\u2029\x7f\x9b\x1b[2J\0",
    "\ud800 half",
    "@file",
    "-d",
    "%s %n %%",
]


def request(text: str, **changes: Any) -> Request:
    return Request(text, DEFAULT_MODEL, DEFAULT_METHOD, **changes)


def complete_request(text: str) -> Request:
    options = find("lime").check_options({"samples": 300, "hide": "delete"})
    return Request(
        text,
        "some/model",
        "lime",
        (text, 1),
        quantity="probability",
        max_new_tokens=8,
        contrast="runner-up",
        position=(0, 2),
        continuation=text,
        options=options,
        task="sentiment",
        second=text,
    )


def changed_options(original: Request) -> dict[str, Any]:
    defaults = {option.name: option.default for option in find(original.method).options}
    return {name: value for name, value in original.options if defaults[name] != value}


def expected_arguments(original: Request) -> dict[str, Any]:
    """The request as the arguments that make it, written down field by field."""
    every = {
        "model": (original.model, DEFAULT_MODEL),
        "method": (original.method, DEFAULT_METHOD),
        "target": (list(original.target) if isinstance(original.target, tuple) else original.target, None),
        "quantity": (original.quantity, "logit"),
        "max_new_tokens": (original.max_new_tokens, 16),
        "contrast": (original.contrast, None),
        "position": (
            list(original.position) if isinstance(original.position, tuple) else original.position,
            None,
        ),
        "continuation": (original.continuation, None),
        "second": (original.second, None),
        "task": (original.task, None),
    }
    return {name: value for name, (value, default) in every.items() if value != default}


REQUESTS = [
    *(make(text) for text in HOSTILE for make in (request, complete_request)),
    request("x", position="sequence"),
]


def library_call(original: Request) -> mock._Call:
    with mock.patch.object(attribution, "attribute") as recorded:
        exec(as_code(original)["library"], {})
    return recorded.call_args


@pytest.mark.parametrize("original", REQUESTS, ids=range(len(REQUESTS)))
def test_the_library_code_asks_for_the_same(original: Request) -> None:
    assert library_call(original) == mock.call(
        original.text, **expected_arguments(original), **changed_options(original)
    )


@pytest.mark.parametrize("original", REQUESTS, ids=range(len(REQUESTS)))
def test_the_client_code_asks_for_the_same(original: Request) -> None:
    with mock.patch("attribution.client.Client") as client:
        exec(as_code(original, "https://owner-space.hf.space")["client"], {})
    assert client.call_args == mock.call("https://owner-space.hf.space")
    assert client.return_value.attribute.call_args == mock.call(
        original.text, **expected_arguments(original), **changed_options(original)
    )


def body(original: Request) -> dict[str, Any]:
    options = changed_options(original)
    return {
        "text": original.text,
        **expected_arguments(original),
        **({"options": options} if options else {}),
    }


@pytest.mark.parametrize("original", REQUESTS, ids=range(len(REQUESTS)))
def test_the_rest_code_posts_the_same(original: Request) -> None:
    requests = mock.MagicMock()
    with mock.patch.dict(sys.modules, {"requests": requests}):
        exec(as_code(original)["rest"], {})
    (address,), given = requests.post.call_args
    assert address == f"{SERVER}/api/attribute"
    assert given["json"] == body(original)
    requests.post.return_value.raise_for_status.assert_called_once()


def run_curl(original: Request, folder: Path, server: str = SERVER) -> tuple[list[str], str]:
    """The arguments and the body that ``curl`` gets from a shell."""
    fake = folder / "curl"
    fake.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        "body = sys.stdin.buffer.read().decode() if '--data-binary' in sys.argv else ''\n"
        "print(json.dumps([sys.argv[1:], body]))\n"
    )
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONUTF8": "1"}
    command = as_code(original, server)["curl"]
    completed = subprocess.run(
        ["sh"],
        input=command.encode(),
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert completed.returncode == 0 and not completed.stderr, completed.stderr
    assert [path.name for path in folder.iterdir()] == ["curl"]
    arguments, piped = json.loads(completed.stdout)
    return arguments, piped


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize("original", REQUESTS, ids=range(len(REQUESTS)))
def test_the_shell_gives_curl_the_same(original: Request, tmp_path: Path) -> None:
    arguments, piped = run_curl(original, tmp_path)
    assert arguments[:-1] == [
        "-sS",
        f"{SERVER}/api/attribute",
        "-H",
        "content-type: application/json",
        "--data-raw",
    ]
    assert piped == "" and json.loads(arguments[-1]) == body(original)


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_a_long_body_is_piped(tmp_path: Path) -> None:
    original = request("电影's " * 40_000)
    arguments, piped = run_curl(original, tmp_path)
    assert len(piped.encode()) > LONGEST_ARGUMENT and arguments[-2:] == ["--data-binary", "@-"]
    assert json.loads(piped) == body(original)


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_an_address_is_quoted_too(tmp_path: Path) -> None:
    server = "http://x/'$(touch y);"
    arguments, _ = run_curl(request("x"), tmp_path, server)
    assert arguments[1] == f"{server}/api/attribute"


@given(st.text(max_size=60), st.text(max_size=20) | st.none())
@settings(deadline=None, max_examples=100)
def test_any_text_survives(text: str, second: str | None) -> None:
    original = request(text, second=second)
    code = as_code(original)
    assert library_call(original) == mock.call(text, **expected_arguments(original))
    for part in code.values():
        assert all(c.isprintable() or c == "\n" for c in part)


def test_only_what_differs_is_written() -> None:
    original = Request("Good.", DEFAULT_MODEL, DEFAULT_METHOD, options=find(DEFAULT_METHOD).check_options({}))
    code = as_code(original)
    assert code["library"] == 'from attribution import attribute\n\nresult = attribute("Good.")\n'
    assert """--data-raw '{"text": "Good."}'""" in code["curl"]
    assert set(code) == {"library", "client", "rest", "curl"}


def test_a_revision_is_for_the_library_alone() -> None:
    code = as_code(request("x", revision="abc123"))
    assert 'revision="abc123"' in code["library"]
    assert not any("abc123" in code[name] for name in ("client", "rest", "curl"))


def test_an_unknown_method_and_odd_names_do_no_harm() -> None:
    original = Request(
        "x", DEFAULT_MODEL, "theirs", options=(("a); import os; (b", 1), ("class", True), ("steps", 2.5))
    )
    assert library_call(original) == mock.call(
        "x", method="theirs", steps=2.5, **{"a); import os; (b": 1, "class": True}
    )


def test_needs_no_torch() -> None:
    script = (
        "import sys\nfor name in ('torch', 'transformers', 'gradio'): sys.modules[name] = None\n"
        "from attribution.export.writing.code import as_code\nfrom attribution.types import Request\n"
        "print(as_code(Request('x', 'm', 'lime', options=(('samples', 5),)))['library'])"
    )
    completed = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=False, capture_output=True, text=True, timeout=120
    )
    assert completed.returncode == 0 and "samples=5" in completed.stdout, completed.stderr
