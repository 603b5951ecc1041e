"""The command line: ``python -m attribution "This movie is fantastic!"``.

Exit codes: 0 answered, 2 the request cannot be answered as it stands (text, names, options), 1 anything else, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import shutil
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from attribution import commands, export
from attribution.commands import track
from attribution.commands.common import arguments
from attribution.errors import (
    AttributionError,
    BadFile,
    BadOption,
    InputError,
    TrackerError,
    UnknownMethod,
    UnknownMetric,
    UnknownModel,
    Unsupported,
    nearest,
    quote,
)
from attribution.export.drawing import terminal
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL, DEFAULTS, VERSION

if TYPE_CHECKING:
    from attribution.types import Attribution

ASKED_BADLY = (InputError, TrackerError, UnknownMethod, UnknownMetric, UnknownModel, Unsupported)
"""The errors that are the caller's to mend."""
TERMINAL = "terminal"
_TEXT = re.compile(r"text/|application/(json|x-tex)\b|.*\+xml\b")


def kinds() -> dict[str, export.Format]:
    """The file types by all names that the command line takes: ``tex`` and ``latex``, ``md`` and ``markdown``."""
    formats = export.list_formats().values()
    return {kind.alias: kind for kind in formats if kind.alias} | {kind.extension: kind for kind in formats}


def parser() -> argparse.ArgumentParser:
    """The arguments: those of ``attribution.attribute`` and where the answer goes."""
    found = argparse.ArgumentParser(
        prog="python -m attribution",
        description="Which tokens drive a language model's prediction.",
        epilog=f"Commands with arguments of their own, each with --help: {', '.join(commands.names())}.",
        allow_abbrev=False,
    )
    add = found.add_argument
    add("text", nargs="?", help="what the model reads; - reads it from standard input")
    add(
        "--model",
        default=DEFAULT_MODEL,
        help="a bundled, catalogue or Hub name, or a folder (default: %(default)s)",
    )
    add("--method", default=DEFAULT_METHOD, help="see --list-methods (default: %(default)s)")
    add(
        "--beside",
        nargs="+",
        default=[],
        metavar="METHOD",
        help="other methods, with their defaults, shown with it",
    )
    add("--target", action="append", help="a label's name or index; '*' for all; may be given several times")
    add("--second", help="the other text of a pair")
    add("--contrast", help="why the target rather than this; runner-up is the next best")
    add("--position", help="which token of the text or of the answer: 3, or 0,2,5, or sequence")
    add("--continuation", help="explain this text instead of what the model would write")
    add("--quantity", default="logit", help="logit, log_probability or probability (default: %(default)s)")
    add("--max-new-tokens", type=int, default=16, help="for models that write (default: %(default)s)")
    add("--task", help="for a family name such as bert-base-uncased, e.g. sentiment")
    add(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the method; may be given several times",
    )
    add("--format", help=f"{TERMINAL} (default), {', '.join(sorted(kinds()))}")
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="write there; its ending says the format if --format does not",
    )
    track.add_track(found)
    size = found.add_mutually_exclusive_group()
    size.add_argument("--words", dest="words", action="store_true", default=None, help="one score a word")
    size.add_argument("--tokens", dest="words", action="store_false", help="one score a token")
    what = found.add_mutually_exclusive_group()
    what.add_argument("--estimate", action="store_true", help="say what it would take, and compute nothing")
    what.add_argument("--list-methods", action="store_true", help="every method with its options")
    what.add_argument("--list-models", action="store_true", help="the models with names of their own")
    add("--version", action="version", version=VERSION)
    return found


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Answer one command; the exit code. Nothing but the answer goes to standard output, one line for an error to standard error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given and given[0] in commands.names():
            return commands.run(given[0], given[1:], environment)
        return _answer(parser().parse_args(given), environment)
    except AttributionError as error:
        return _failed(str(error), 2 if isinstance(error, ASKED_BADLY) else 1)
    except BrokenPipeError:
        # The reader has gone: nothing is left to say, also not while Python closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _failed(f"{error.strerror or error}: {error.filename}" if error.filename else str(error), 1)
    except KeyboardInterrupt:
        return _failed("interrupted", 130)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        return _failed(f"This is a bug ({type(error).__name__}: {error}); python -X dev shows where.", 1)


def _answer(asked: argparse.Namespace, environment: Mapping[str, str]) -> int:
    if asked.list_methods or asked.list_models:
        _say("\n".join(_methods() if asked.list_methods else _models()) + "\n")
        return 0
    if asked.text is None:
        raise InputError(
            "There is no text.", 'Give it as in python -m attribution "A wonderful film.", or - to read it.'
        )
    # What can be refused is refused before a model is loaded.
    kind = _kind(asked)
    request = _request(asked)
    tracker = track.settings(asked) if asked.track else None
    if asked.estimate:
        from attribution import estimate

        _say(estimate(**request).sentence + "\n")
        return 0
    from attribution import attribute

    options = request.pop("options")
    results = [
        attribute(**request, **options),
        *(attribute(**{**request, "method": name}) for name in asked.beside),
    ]
    if asked.output is not None:
        _save(results, asked, kind)
    elif kind is None:
        _say(_drawn(results, asked.words, environment, sys.stdout.isatty()))
    else:
        cut, cutting = _cut(results, kind, asked.words)
        _write(kind.write(*cut, **cutting))
    if tracker is not None:
        _track(results, asked.track, tracker)
    return 0


def _track(results: list[Attribution], name: str, settings: Mapping[str, Any]) -> None:
    """Log the results as one run; what the tracker did not take is told on standard error."""
    from attribution import trackers

    with trackers.track(name, **settings) as session:
        for result in results:
            trackers.log_attribution(session, result, result.method if len(results) > 1 else "attribution")
    if session.standing.problem:
        _say(f"{session.standing.sentence}\n", sys.stderr)


def _kind(asked: argparse.Namespace) -> export.Format | None:
    """The file type, None for the terminal's picture. Raises ``BadFile``, ``BadOption``."""
    name = (
        asked.format.lower().lstrip(".")
        if asked.format
        else TERMINAL
        if asked.output is None
        else asked.output.suffix.lower()[1:]
    )
    if name == TERMINAL:
        return None
    known = kinds()
    if name not in known:
        raise BadFile(f"There is no format {quote(name)}.", nearest(name, [TERMINAL, *sorted(known)]))
    if asked.output is None and not _TEXT.match(known[name].media_type) and sys.stdout.isatty():
        raise BadOption(
            f"A {name.upper()} file would only garble this terminal.", "Please name a file with --output."
        )
    return known[name]


def _request(asked: argparse.Namespace) -> dict[str, Any]:
    """What ``attribute`` takes by name, and ``options`` as a dictionary."""
    from attribution.methods import find

    for name in asked.beside:
        find(name)
    target = asked.target
    return {
        "text": _read() if asked.text == "-" else asked.text,
        "model": asked.model,
        "method": asked.method,
        "target": target[0] if target and len(target) == 1 else target,
        "second": asked.second,
        "contrast": asked.contrast,
        "position": arguments.position(asked.position),
        "continuation": asked.continuation,
        "quantity": asked.quantity,
        "max_new_tokens": asked.max_new_tokens,
        "task": asked.task,
        "options": arguments.options(asked.method, find(asked.method).options, asked.option),
    }


def _read() -> str:
    """Standard input as UTF-8 without its last line break; not more of it than could ever be taken."""
    content = sys.stdin.buffer.read(DEFAULTS.max_body_bytes).decode("utf-8", "replace")
    return content.removesuffix("\n").removesuffix("\r")


def _cut(
    results: list[Attribution], kind: export.Format, words: bool | None
) -> tuple[list[Attribution], dict[str, bool]]:
    """The results and the options of ``write`` for words or tokens; None leaves it to the format."""
    if words is None:
        return results, {}
    if any(option.name == "words" for option in kind.options()):
        return results, {"words": words}
    return [result.words() for result in results] if words else results, {}


def _drawn(
    results: list[Attribution], words: bool | None, environment: Mapping[str, str], is_terminal: bool
) -> str:
    return "\n".join(
        terminal.draw(
            result,
            colours=terminal.colours(environment, is_terminal),
            width=shutil.get_terminal_size().columns,
            words=words is not False,
            theme=terminal.theme(environment),
        )
        for result in results
    )


def _save(results: list[Attribution], asked: argparse.Namespace, kind: export.Format | None) -> None:
    if kind is None:
        asked.output.write_text(_drawn(results, asked.words, {}, False), encoding="utf-8")
        return
    cut, options = _cut(results, kind, asked.words)
    if asked.output.suffix.lower() != f".{kind.extension}":
        asked.output.write_bytes(kind.write(*cut, **options))
        return
    try:
        export.save(cut, asked.output, **options)
    except OSError as error:  # which names a temporary file
        raise OSError(error.errno, error.strerror, str(asked.output)) from error


def _write(content: bytes) -> None:
    """A file's bytes to standard output; to a terminal only as text that cannot act on it."""
    if sys.stdout.isatty():
        _say(terminal.harmless(content.decode("utf-8", "replace").replace("\r\n", "\n"), keep="\n\t"))
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def _say(text: str, stream: TextIO | None = None) -> None:
    """Text in whatever encoding the stream has: a sign that it lacks becomes a question mark."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()


def _failed(message: str, code: int) -> int:
    _say(f"error: {terminal.harmless(' '.join(message.split()))}\n", sys.stderr)
    return code


def _methods() -> list[str]:
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
            lines.append(
                f"    --option {option.name}={json.dumps(option.default)} ({allowed}{bounds}) {option.help}".rstrip()
            )
    return lines


def _models() -> list[str]:
    from attribution.models.sources import catalogue

    at_hand = set(catalogue.available_offline())
    return [
        f"{e.name} ({e.task}{', at hand' if e.name in at_hand else ''}): {e.description}"
        for e in catalogue.entries()
    ]


def quiet() -> None:
    """No progress bars and no warnings of the libraries beside the answer. Called before any of them is imported."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "critical")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")
    if not sys.flags.dev_mode:
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)


if __name__ == "__main__":
    quiet()
    sys.exit(main())
