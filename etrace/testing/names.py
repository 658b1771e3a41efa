"""Names of tests as names of files."""

import hashlib
import re
from pathlib import PurePath

#: A reference is a trace file, or a hash alone.
SUFFIXES = (".etrace", ".flow")
_UNSAFE = re.compile(r"[^\w.+=,@-]|^[.-]", re.ASCII)
#: Of a part of the path: file systems take 255 bytes, and what writes a file takes some of them.
_LONGEST = 120


def file_name(name: str) -> str:
    """The path of the reference `name` in the directory of references.

    Parts that `/` separates are directories. Without a suffix of `SUFFIXES` it gets the first one.
    What is not safe in a file's name is replaced, and a hash keeps different names different.
    """
    suffix = next((each for each in SUFFIXES if name.endswith(each)), "")
    *directories, last = name.removesuffix(suffix).split("/")
    return "/".join([*map(_safe, directories), _safe(last) + (suffix or SUFFIXES[0])])


def of_test(nodeid: str) -> str:
    """The name of the reference of the test `nodeid`: file, class, function and parameters."""
    # The parameters may have "::" and "/" as well.
    function, bracket, parameters = nodeid.partition("[")
    file, *names = function.split("::")
    name = ".".join([PurePath(file).stem, *names])
    return (name + bracket + parameters).replace("/", "\\")


def _safe(part: str) -> str:
    # A function's name has no "-", so that of a parametrised test stays apart from all others.
    plain = re.sub(r"\[([^][]*)\]$", r"-\1", part) if part.endswith("]") else part
    safe = _UNSAFE.sub("_", plain)
    if safe == plain and 0 < len(safe) <= _LONGEST:
        return safe
    digest = hashlib.sha256(part.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{safe[:_LONGEST] or '_'}-{digest}"
