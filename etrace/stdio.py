"""Standard output that cannot be written to any more. (Apart: every verb needs it, at once.)"""

import os
import sys


def discard_output() -> None:
    """Nothing more can be written to standard output: drop the rest, and what is buffered."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
