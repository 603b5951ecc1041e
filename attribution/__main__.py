"""The command line: ``attribution "This movie is fantastic!"``, or ``python -m attribution "..."``.

Exit codes: 0 answered, 1 failed, 2 the request is wrong as it stands (text, names, options, a missing
package), 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from attribution import commands
from attribution.commands.common import process, streams
from attribution.errors import (
    AttributionError,
    InputError,
    NotInstalled,
    TrackerError,
    UnknownMethod,
    UnknownMetric,
    UnknownModel,
    Unsupported,
)

CALLER_ERRORS = (
    InputError,
    NotInstalled,
    TrackerError,
    UnknownMethod,
    UnknownMetric,
    UnknownModel,
    Unsupported,
)
"""The errors that the caller can correct."""


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Run one command and return its exit code.

    Only the answer goes to standard output; an error is one line on standard error.
    """
    name, rest = commands.split(sys.argv[1:] if arguments is None else arguments)
    try:
        return commands.run(name, rest, environment)
    except AttributionError as error:
        return _fail(str(error), 2 if isinstance(error, CALLER_ERRORS) else 1)
    except BrokenPipeError:
        # The reader has gone. Python must not fail either when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(f"{error.strerror or error}: {error.filename}" if error.filename else str(error), 1)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        return _fail(f"This is a bug ({type(error).__name__}: {error}); python -X dev shows where.", 1)


def run(arguments: Sequence[str] | None = None) -> NoReturn:
    """The console script: ``main`` in a process of its own."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with process.command(logging=commands.keeps_logs(arguments)):
        code = main(arguments)
    sys.exit(code)


def _fail(message: str, code: int) -> int:
    streams.write(f"error: {streams.one_line(message)}\n", sys.stderr)
    return code


if __name__ == "__main__":
    run()
