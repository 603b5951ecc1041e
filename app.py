"""Start the app from a checkout: ``python app.py`` is ``python -m attribution serve``."""

import sys

from attribution.__main__ import run

if __name__ == "__main__":
    run(["serve", *sys.argv[1:]])
