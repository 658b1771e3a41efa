"""What must be right before anything else is imported.

Our rooms have common names. A directory `encoder` of the user's in the current directory, which
comes first on `sys.path` with `python -m` and in scripts, is imported in the place of ours.
"""

import os
import signal
import sys

TYPE_CHECKING = False  # `typing` takes longer to import than the rest of this
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

ROOMS = ("emu", "encoder", "decoder", "specs")
_USAGE, _INTERRUPTED = 2, 130


def begin() -> None:
    """Check that all rooms are ours; raises `ImportError`. Of the command: say so, and exit."""
    command = _is_command()
    if command and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
    problem = _hidden()
    if problem and command:
        print(f"etrace: {problem}", file=sys.stderr)
        sys.exit(_USAGE)
    if problem:
        raise ImportError(problem)


def leave(*_: object) -> None:
    """Ctrl-C while there is nothing to end properly: imports are no place for an exception."""
    os._exit(_INTERRUPTED)


def _is_command() -> bool:
    """Whether this process is the `etrace` command: `python -m etrace`, or the script."""
    # While Python looks for what `-m` names, that is all there is.
    return sys.argv[:1] == ["-m"] or os.path.basename(sys.argv[0] if sys.argv else "") == "etrace"


def _hidden() -> str:
    """What hides one of our rooms, and what to do; or nothing."""
    from importlib.util import find_spec

    home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    for room in ROOMS:
        try:
            spec = find_spec(room)
        except ValueError:  # something without a specification stands in sys.modules
            spec = None
        found = _place(spec)
        if found != os.path.join(home, room):
            return (
                f"{found or room}: hides the package {room!r} of etrace, which is in {home}; "
                "rename it, or start in another directory"
            )
    return ""


def _place(spec: "ModuleSpec | None") -> str:
    """The directory of a package, or the file of a module."""
    if spec is None:
        return ""
    places = spec.submodule_search_locations
    if places is None:
        return os.path.realpath(spec.origin or "")
    return next((os.path.realpath(each) for each in places), "")
