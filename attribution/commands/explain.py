"""Explain one prediction: which tokens of a text drive it.

python -m attribution "This movie is fantastic!"
python -m attribution "What a waste." --method lime --option samples=2000 --target positive
python -m attribution - --model bundled/dates-t5 --method saliency --output dates.tex < date.txt
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attribution import export, request
from attribution.commands import track
from attribution.commands.common import process, streams
from attribution.commands.common.arguments import parse_options
from attribution.errors import BadFile, BadOption, InputError, nearest, quote
from attribution.export.drawing import terminal
from attribution.settings import DEFAULTS, VERSION

if TYPE_CHECKING:
    from attribution.types import Attribution

TERMINAL = "terminal"
"""The format that draws in the terminal instead of writing a file."""


def formats() -> dict[str, export.Format]:
    """File formats by each name that the command line takes: ``tex`` and ``latex``, ``md``, ``markdown``."""
    registered = export.list_formats().values()
    aliases = {entry.alias: entry for entry in registered if entry.alias}
    return aliases | {entry.extension: entry for entry in registered}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``attribution.attribute``, and of the output."""
    add = parser.add_argument
    add("text", nargs="?", help="the text to explain; - reads it from standard input")
    request.add_arguments(parser, without=["text"])
    add(
        "--beside",
        nargs="+",
        default=[],
        metavar="METHOD",
        help="other methods, with default options, to show as well",
    )
    add("--format", help=f"{TERMINAL} (default), {', '.join(sorted(formats()))}")
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="write there; the ending sets the format unless --format does",
    )
    track.add_tracker_arguments(parser)
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--words", dest="words", action="store_true", default=None, help="one score for each word"
    )
    size.add_argument("--tokens", dest="words", action="store_false", help="one score for each token")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--estimate", action="store_true", help="show the estimated time and memory, and compute nothing"
    )
    what.add_argument("--list-methods", action="store_true", help="every method with its options")
    what.add_argument("--list-models", action="store_true", help="the models that have short names")
    add("--version", action="version", version=VERSION)


def run(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Explain, estimate or list. Arguments are checked before a model is loaded."""
    if arguments.list_methods or arguments.list_models:
        streams.write("\n".join(_describe_methods() if arguments.list_methods else _describe_models()) + "\n")
        return 0
    if arguments.text is None:
        raise InputError(
            "There is no text.", 'Give it as in python -m attribution "A wonderful film.", or - to read it.'
        )
    file_format = _choose_format(arguments)
    values = _build_request(arguments)
    tracker = track.read_settings(arguments) if arguments.track else None
    from attribution import attribute, estimate

    process.resume_collection()
    if arguments.estimate:
        streams.write(estimate(**values).sentence + "\n")
        return 0
    results = [
        attribute(**values),
        *(attribute(**{**values, "method": name, "options": None}) for name in arguments.beside),
    ]
    if arguments.output is not None:
        _save(results, arguments, file_format)
    elif file_format is None:
        streams.write(_draw(results, arguments.words, environment, sys.stdout.isatty()))
    else:
        selected, options = _select_units(results, file_format, arguments.words)
        streams.write_file(file_format.write(*selected, **options))
    if tracker is not None:
        _track(results, arguments.track, tracker)
    return 0


def _track(results: list[Attribution], name: str, settings: Mapping[str, Any]) -> None:
    """Log the results as one run; what the tracker did not accept is reported on standard error."""
    from attribution import trackers

    with trackers.track(name, **settings) as session:
        for result in results:
            trackers.log_attribution(session, result, result.method if len(results) > 1 else "attribution")
    if session.status.problem:
        streams.write(f"{session.status.sentence}\n", sys.stderr)


def _choose_format(arguments: argparse.Namespace) -> export.Format | None:
    """The file type, None for the terminal's picture. Raises ``BadFile``, ``BadOption``."""
    name = (
        arguments.format.lower().lstrip(".")
        if arguments.format
        else TERMINAL
        if arguments.output is None
        else arguments.output.suffix.lower()[1:]
    )
    if name == TERMINAL:
        return None
    registered = formats()
    if name not in registered:
        raise BadFile(f"There is no format {quote(name)}.", nearest(name, [TERMINAL, *sorted(registered)]))
    if arguments.output is None and registered[name].is_binary and sys.stdout.isatty():
        raise BadOption(
            f"A {name.upper()} file cannot be shown in a terminal.", "Please name a file with --output."
        )
    return registered[name]


def _build_request(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of ``attribute``, with ``options`` as a dictionary."""
    from attribution.methods import find

    for name in arguments.beside:
        find(name)
    method = find(arguments.method)
    values = request.from_arguments(
        arguments, read_options=lambda items: parse_options(arguments.method, method.options, items)
    )
    values["text"] = _read_input() if arguments.text == "-" else arguments.text
    request.Request.of(**values).checked()
    return values


def _read_input() -> str:
    """Read standard input as UTF-8 without its last line break, up to the largest accepted size."""
    content = sys.stdin.buffer.read(DEFAULTS.max_body_bytes).decode("utf-8", "replace")
    return content.removesuffix("\n").removesuffix("\r")


def _select_units(
    results: list[Attribution], file_format: export.Format, words: bool | None
) -> tuple[list[Attribution], dict[str, bool]]:
    """The results and the options of ``write`` for words or tokens; None leaves it to the format."""
    if words is None:
        return results, {}
    if any(option.name == "words" for option in file_format.options()):
        return results, {"words": words}
    return [result.words() for result in results] if words else results, {}


def _draw(
    results: list[Attribution], words: bool | None, environment: Mapping[str, str], is_terminal: bool
) -> str:
    return "\n".join(
        terminal.draw(
            result,
            colours=terminal.detect_colours(environment, is_terminal),
            width=shutil.get_terminal_size().columns,
            words=words is not False,
            theme=terminal.detect_theme(environment),
        )
        for result in results
    )


def _save(
    results: list[Attribution], arguments: argparse.Namespace, file_format: export.Format | None
) -> None:
    if file_format is None:
        arguments.output.write_text(_draw(results, arguments.words, {}, False), encoding="utf-8")
        return
    selected, options = _select_units(results, file_format, arguments.words)
    if arguments.output.suffix.lower() != f".{file_format.extension}":
        arguments.output.write_bytes(file_format.write(*selected, **options))
        return
    try:
        export.save(selected, arguments.output, **options)
    except BadFile as error:
        cause = error.__cause__
        if isinstance(cause, OSError):  # the disk, not the arguments: another exit code
            raise OSError(cause.errno, cause.strerror, str(arguments.output)) from error
        raise


def _describe_methods() -> list[str]:
    from attribution.methods import list_methods

    lines = []
    for method in list_methods().values():
        lines += [
            f"{method.name}: {method.summary}",
            f"    cost: {method.cost}; {'signed' if method.signed else 'unsigned'}",
        ]
        for option in method.options:
            allowed = "|".join(option.choices) if option.choices else option.kind
            bounds = f" from {option.minimum:g} to {option.maximum:g}" if option.minimum is not None else ""
            example = f"{option.name}={json.dumps(option.default)}"
            lines.append(f"    --option {example} ({allowed}{bounds}) {option.help}".rstrip())
    return lines


def _describe_models() -> list[str]:
    from attribution.models.sources import catalogue, hub

    offline = set(hub.available_offline())
    return [
        f"{e.name} ({e.task}{', available offline' if e.name in offline else ''}): {e.description}"
        for e in catalogue.entries()
    ]
