"""`python -m etrace`: the command."""

from etrace.cli import main

main()
