"""`make mutants`: small faults, put in one at a time. Does a test notice each of them?

The list is `mutants.toml`. Each mutant goes into a private copy of the tree, where the tests run
that should notice. Those that survive are printed, and the exit code is 1; so it is if a mutant's
text is not in its file exactly once, or if a test fails without any fault. Kernels are interpreted
(`interpreted.py`), which takes seconds; with --compiled they are compiled, which takes a minute for
each.
"""

import argparse
import difflib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("mutants.toml")
#: What the tests need of the tree.
COPIED = ("decoder", "docs", "emu", "encoder", "etrace", "specs", "tests", "pyproject.toml")
#: Few of the random programs: what they find is mostly found by the first of them.
SEEDS = {"ETRACE_TRIALS": "100", "ETRACE_MODES_TRIALS": "1", "ETRACE_CONTEXT_TRIALS": "1"}
SURVIVED, NOTICED = 0, 1


@dataclass(frozen=True)
class Mutant:
    """A fault: where in `file` the text `old` stands, `new` is wrong, because of `why`; `tests` (as
    pytest takes them) should notice. `compiled`: they need kernels that are compiled, as those do
    that call one from Python: NumPy's words would be mixed with Python's there.
    """

    file: str
    old: str
    new: str
    why: str
    tests: tuple[str, ...]
    compiled: bool = False

    def source(self) -> str:
        """The file as it is."""
        return (ROOT / self.file).read_text()

    def changed(self) -> str:
        """The file with the fault."""
        return self.source().replace(self.old, self.new)

    def problem(self) -> str:
        """What is wrong with this entry of the list; or nothing."""
        count = self.source().count(self.old) if (ROOT / self.file).is_file() else 0
        if count != 1:
            return f"the text is there {count} times, not once; look at the change of the file"
        missing = [each for each in self.tests if not (ROOT / each.split("::")[0]).is_file()]
        if missing or not self.tests:
            return f"no such test: {missing[0] if missing else 'none is named'}"
        return ""

    @property
    def line(self) -> int:
        """Number of the line where the text begins."""
        return self.source()[: self.source().index(self.old)].count("\n") + 1

    def diff(self) -> str:
        """The fault as a patch."""
        old, new = (text.splitlines() for text in (self.source(), self.changed()))
        return "\n".join(difflib.unified_diff(old, new, self.file, self.file, n=2, lineterm=""))

    def __str__(self) -> str:
        return f"{self.file}: {self.why}"


def load() -> list[Mutant]:
    """The list."""
    entries = tomllib.loads(LIST.read_text())["mutant"]
    return [Mutant(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def copy_tree(target: Path) -> None:
    """A private copy of the tree, as far as tests need it."""
    leave_out = shutil.ignore_patterns(".*", "__pycache__")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=leave_out)
        else:
            shutil.copy(source, target / name)


class Place:
    """A copy of the tree where tests run, one run at a time."""

    def __init__(self, directory: Path) -> None:
        self._tree = directory / "tree"
        self._tree.mkdir(parents=True)
        copy_tree(self._tree)
        self._environment = os.environ | SEEDS | {
            "PYTHONPATH": str(self._tree),
            # a file changed twice within a second would be taken for the same
            "PYTHONDONTWRITEBYTECODE": "1",
            "ETRACE_CACHE_DIR": str(directory / "cache"),
        }  # fmt: skip

    def run(
        self, tests: Sequence[str], compiled: bool = False, timeout: float | None = None
    ) -> tuple[int | None, str]:
        """Exit code of pytest (None: it took more than `timeout` seconds), and its output."""
        options = ["-q", "-n", "0", "-p", "no:cacheprovider", "--tb=short"]
        if not compiled:
            options += ["-p", "tests.mutants.interpreted"]
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=self._tree,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return None, output.decode(errors="replace")
        return process.returncode, output.decode(errors="replace")

    def run_with(self, mutant: Mutant, timeout: float | None) -> tuple[int | None, str]:
        """The same with a fault in the tree."""
        file = self._tree / mutant.file
        source = file.read_text()
        file.write_text(source.replace(mutant.old, mutant.new))
        try:
            return self.run(["-x", *mutant.tests], mutant.compiled, timeout)
        finally:
            file.write_text(source)


def verdict(code: int | None, output: str) -> str:
    """What the exit code of pytest tells of a mutant: "noticed", "survived", or what went wrong.

    A hang and a crash are noticed; but a mutant that cannot even be imported is none.
    """
    if code is None or code < 0 or code == NOTICED:
        return "noticed"
    if code == SURVIVED:
        return "survived"
    return f"pytest ended with {code}:\n{output[-2000:]}"


def run_all(
    places: list[Place], mutants: list[Mutant], timeout: float | None
) -> Iterator[tuple[Mutant, str, float]]:
    """Each mutant with its verdict and the seconds that it took, as they come."""
    free: SimpleQueue[Place] = SimpleQueue()
    for place in places:
        free.put(place)

    def one(mutant: Mutant) -> tuple[Mutant, str, float]:
        place = free.get()
        begin = time.monotonic()
        try:
            told = verdict(*place.run_with(mutant, timeout))
        finally:
            free.put(place)
        return mutant, told, time.monotonic() - begin

    pool = ThreadPoolExecutor(len(places))
    try:
        for future in as_completed([pool.submit(one, mutant) for mutant in mutants]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C waits for those that run, for no others


def passes_without(places: list[Place], mutants: list[Mutant]) -> bool:
    """Do the tests pass without any fault? Otherwise they notice nothing."""
    runs = []
    for compiled in (False, True):
        of_kind = [mutant for mutant in mutants if mutant.compiled == compiled]
        tests = sorted({test for mutant in of_kind for test in mutant.tests})
        shares = [share for i in range(len(places)) if (share := tests[i :: len(places)])]
        runs += [(place, share, compiled) for place, share in zip(places, shares, strict=False)]
    with ThreadPoolExecutor(len(places)) as pool:
        results = pool.map(lambda run: run[0].run(run[1], run[2]), runs)
        failed = [output for code, output in results if code != 0]
    for output in failed:
        print(f"{output}\nthe tests do not pass without a fault", flush=True)
    return not failed


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time (2)")
    parser.add_argument("-k", default="", help="only those with this text in file or reason")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for each (300)")
    parser.add_argument("--compiled", action="store_true", help="compile the kernels")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    return parser.parse_args()


def main() -> int:
    """Exit code: 0 if all are noticed."""
    options = arguments()
    mutants = [
        replace(mutant, compiled=mutant.compiled or options.compiled)
        for mutant in load()
        if options.k in str(mutant)
    ]
    wrong = [f"{mutant}: {problem}" for mutant in mutants if (problem := mutant.problem())]
    if wrong or not mutants:
        print("\n".join(wrong) or f"no mutant has {options.k!r} in its file or reason")
        return 1
    if options.list:
        print("\n".join(f"{mutant.file}:{mutant.line}: {mutant.why}" for mutant in mutants))
        return 0
    left = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        places = [Place(Path(directory) / str(i)) for i in range(max(options.jobs, 1))]
        print("the tests without a fault ...", file=sys.stderr, flush=True)
        if not passes_without(places, mutants):
            return 1
        results = run_all(places, mutants, options.timeout)
        for number, (mutant, told, seconds) in enumerate(results, 1):
            word = told.partition("\n")[0]
            progress = f"{number}/{len(mutants)} {word} {seconds:.0f} s  {mutant}"
            print(progress, file=sys.stderr, flush=True)
            if told != "noticed":
                left.append((mutant, told))
    for mutant, told in left:
        print(f"\n{mutant.file}:{mutant.line}: {told}: {mutant.why}\n{mutant.diff()}")
        print(f"  tests: {' '.join(mutant.tests)}")
    print(f"{len(mutants)} mutants, {len(left)} not noticed")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
