"""The one command for the documentation.

``python -m docs`` rewrites everything that is generated: method pages, metrics, the list of methods in the
README, the JSON schema, the table of what works with what (it runs every method on every family, about two
minutes), and missing pictures. ``--pictures`` also draws the pictures of all methods and pages anew; the
pages need Debian's ``chromium``. ``--check`` writes nothing and fails where something is stale. ``python -m
docs site`` builds the web site in ``build/site``.
"""

from __future__ import annotations

import argparse
import sys

from docs import site


def main(arguments: list[str]) -> int:
    """Returns the exit code: 1 where something is stale or could not be made."""
    parser = argparse.ArgumentParser(prog="python -m docs", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["site"], help="build the web site instead")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something is stale")
    parser.add_argument("--pictures", action="store_true", help="draw the pictures of methods and pages anew")
    options = parser.parse_args(arguments)
    if options.what == "site":
        return site.build()
    from docs import generated, screenshots, support  # torch and the app, which the site does without

    if options.check:
        stale = [str(path.relative_to(generated.ROOT)) for path in (*generated.stale(), *screenshots.stale())]
        if stale:
            print(
                f"Stale: {', '.join(stale)}. Run {generated.COMMAND} (--pictures for page*.png)",
                file=sys.stderr,
            )
        return int(bool(stale))
    complete = generated.write(pictures=options.pictures)
    if options.pictures:
        screenshots.draw()
    return support.main([]) or int(not complete)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
