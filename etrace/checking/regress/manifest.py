"""Manifests: TOML files that say which cases there are, and what is expected of them.

    [defaults]                              # for all cases
    platform = "spike"
    [matrix.returns]                        # keys of a case, for those with a matrix
    modes = ["implicit_return"]
    [[case]]
    name = "boot"
    elf = "boot.elf"
    matrix = ["returns"]                    # or true: every one; the case is called boot[returns]
    reference = "refs/{name}.etrace"

Paths are as seen from the manifest. All problems of a file are told at once, each with its line.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from emu import ExitReason
from etrace.checking.diff.compare import IGNORABLE
from etrace.checking.reference import is_hash_name, refuse_ignored, writable
from etrace.errors import EtraceError, InputError, os_error, printable
from etrace.recording.choices import FRAMINGS
from etrace.recording.encoding import MODES
from etrace.trace.flowhash import PREFIX
from specs.configuration.parameters import ParametersError, from_dict

#: How a run can end.
ENDS = tuple(each.name.lower() for each in ExitReason)
_PLATFORMS = ("spike",)
_TIMES = ("instret", "mtime", "cycles")
#: Bytes of a manifest, cases of all together, and problems that are told of one.
_MOST_BYTES, _MOST_CASES, _MOST_PROBLEMS = 1 << 22, 20_000, 200
#: Tables in tables. A dotted key may not be longer either: reading it takes quadratic time.
_DEEPEST = 64
_LONG_KEY = re.compile(rf"(?<![\w\"'-])(?:[\w\"'-]++\s*+\.\s*+){{{_DEEPEST}}}")


class ManifestError(EtraceError):
    """Manifests that cannot be used: `problems`, each `FILE: line N: what`."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True, kw_only=True)
class Expect:
    """What must come out: None is not looked at. `bits`: an instruction, at most."""

    exit_code: int | None = None
    end: str | None = None
    instructions: int | None = None
    packets: int | None = None
    bits: float | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """A program to be recorded, or a stream of retirement events to be encoded.

    `elf`, `image`, `params` (a path, or the tables of a parameter file), `modes`, `protocol`,
    `tvec`, `framing`, `platform`, `isa`, `memory`, `max_instructions`, `semihosting`, `cmdline`,
    `tohost`, `context_csr`, `time`, `time_every`: as options of `etrace record`; `hart_modes`: its
    `--modes`. `stream`: an
    ingress CSV instead; `elf` is its program then, `xlen` its width without one. `reference`: a
    path, or `flow:HEX`. `verify`: run again and compare, too; the default
    where there is no reference.
    `ignore`: what not to compare. `timeout`: seconds.
    """

    name: str
    suite: str = ""
    file: str = ""
    line: int = 0
    elf: tuple[str, ...] = ()
    image: tuple[str, ...] = ()
    stream: str | None = None
    xlen: int | None = None
    params: str | Mapping[str, Any] | None = None
    modes: tuple[str, ...] = ()
    protocol: str | None = None
    tvec: tuple[str, ...] = ()
    framing: str | None = None
    platform: str | None = None
    isa: str | None = None
    hart_modes: str | None = None
    memory: tuple[tuple[int, int], ...] = ()
    max_instructions: int | None = None
    semihosting: str | None = None
    cmdline: str | None = None
    tohost: int | str | None = None
    context_csr: str | int | None = None
    time: str | None = None
    time_every: int | None = None
    reference: str | None = None
    verify: bool | None = None
    ignore: tuple[str, ...] = ()
    expect: Expect = field(default_factory=Expect)
    tags: tuple[str, ...] = ()
    timeout: float | None = None

    @property
    def reference_file(self) -> str | None:
        """The file that is its reference, if that is one."""
        given = self.reference
        return None if given is None or given.startswith(PREFIX) else given

    @property
    def inputs(self) -> list[str]:
        """The files that it needs, but for the reference."""
        files = [*self.elf, *(each.partition(":")[2] for each in self.image)]
        files += [each for each in (self.stream, self.params) if isinstance(each, str)]
        return files


def load(paths: Iterable[str]) -> list[Case]:
    """The cases of these manifests, in order. Raises `ManifestError`."""
    cases: list[Case] = []
    problems: list[str] = []
    for path in paths:
        manifest = _Manifest(path, _MOST_CASES - len(cases))
        cases += manifest.cases()
        problems += manifest.problems
    problems += _twice(cases)
    if problems:
        raise ManifestError(problems)
    return cases


def _twice(cases: Sequence[Case]) -> Iterator[str]:
    """Cases with one name, or with one trace as the reference of both."""
    names: dict[tuple[str, str], Case] = {}
    references: dict[str, Case] = {}
    for case in cases:
        where = f'{case.file}: line {case.line}: case "{case.name}"'
        first = names.setdefault((case.file, case.name), case)
        if first is not case:
            yield f"{where}: the name is that of line {first.line} as well; give each its own"
        if case.reference is None:
            continue
        if is_hash_name(case.reference):
            continue  # one flow, whatever the configuration
        first = references.setdefault(os.path.abspath(case.reference), case)
        if first is not case and _makes_other(first, case) and writable(case.reference):
            yield (
                f'{where}: reference {case.reference} is that of case "{first.name}" as well; put '
                "{name} or {config} into it"
            )


def _makes_other(one: Case, other: Case) -> bool:
    """Whether two cases make different traces."""
    plain: dict[str, Any] = {"name": "", "line": 0, "expect": Expect(), "tags": (), "timeout": None}
    return replace(one, **plain) != replace(other, **plain)


class _Lines:
    """Where tables and keys stand in the text, for messages."""

    def __init__(self, text: str) -> None:
        self.table: dict[str, int] = {}
        self.keys: dict[tuple[str, str], int] = {}
        self.cases: list[int] = []
        current, quote = "", ""
        for number, line in enumerate(text.splitlines(), 1):
            if quote:
                quote = "" if quote in line else quote
                continue
            if header := _HEADER.match(line):
                name = header[2].strip().replace('"', "").replace("'", "")
                if header[1] == "[[" and name == "case":
                    self.cases.append(number)
                    name = f"case {len(self.cases) - 1}"
                elif name.partition(".")[0] == "case":
                    name = f"case {len(self.cases) - 1}{name[4:]}"
                current = name
                self.table.setdefault(current, number)
            elif key := _KEY.match(line):
                self.keys.setdefault((current, key[1].strip("\"'")), number)
            for each in ('"""', "'''"):
                if line.count(each) % 2:
                    quote = each

    def of(self, table: str, key: str = "") -> int:
        """The line of a key, else of its table; 1 if there is none."""
        return self.keys.get((table, key), self.table.get(table, 1))


_HEADER = re.compile(r"""^\s*(\[\[?)((?:"[^"]*"|'[^']*'|[^\[\]"'])+)\]\]?\s*(?:#.*)?$""")
_KEY = re.compile(r"^\s*([\w\"'-]+)\s*(?:\.[\w\"'.-]+\s*)?=")


class _EnoughError(Exception):
    """There are so many problems, or cases, that no more are looked at."""


class _Manifest:
    def __init__(self, path: str, most: int) -> None:
        self._path = path
        #: Cases that it may have.
        self._most = most
        self._directory = os.path.dirname(path)
        self.problems: list[str] = []
        self._lines = _Lines("")
        self._values: dict[str, Any] = {}
        self._read()

    def _read(self) -> None:
        try:
            with open(self._path, "rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except OSError as error:
            self.problems.append(str(os_error(self._path, error)))
            return
        if len(data) > _MOST_BYTES:
            self.problems.append(f"{self._path}: larger than {_MOST_BYTES >> 20} MiB; no manifest")
            return
        try:
            text = data.decode("utf-8-sig")
            if long := _LONG_KEY.search(text):
                number = text.count("\n", 0, long.start()) + 1
                self.problems.append(f"{self._path}: line {number}: nested too deeply")
                return
            self._values = tomllib.loads(text)
            if _depth_over(self._values, _DEEPEST):
                raise RecursionError
        except UnicodeDecodeError as error:
            self.problems.append(f"{self._path}: byte {error.start}: not UTF-8 text")
        except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            match = re.search(r"\(at line (\d+)", reason)
            line = f"line {match[1]}: " if match else ""
            reason = printable(re.sub(r" \(at [^)]*\)", "", reason))[:200]
            self.problems.append(f"{self._path}: {line}{reason}")
        else:
            self._lines = _Lines(text)

    def _say(self, table: str, key: str, what: str, name: str = "") -> None:
        case = f'case "{printable(name)[:60]}": ' if name else ""
        self.problems.append(f"{self._path}: line {self._lines.of(table, key)}: {case}{what}")
        if len(self.problems) >= _MOST_PROBLEMS:
            self.problems.append(f"{self._path}: {_MOST_PROBLEMS} problems; no more are looked for")
            raise _EnoughError

    def cases(self) -> list[Case]:
        """The cases, as far as they can be understood."""
        if self.problems:
            return []
        try:
            return self._understood()
        except _EnoughError:
            return []

    def _understood(self) -> list[Case]:
        for key in self._values:
            if key not in ("defaults", "matrix", "case"):
                self._say("", key, f"no such table: {_near(key, ('defaults', 'matrix', 'case'))}")
        defaults = self._table("defaults", self._values.get("defaults", {}))
        matrix = self._matrix()
        given = self._values.get("case", [])
        if not isinstance(given, list) or not given:
            self._say("case", "", "no cases: a manifest has [[case]] tables")
            return []
        found: list[Case] = []
        for number, values in enumerate(given):
            table = f"case {number}"
            if not isinstance(values, Mapping):
                self._say(table, "", "a [[case]] table was expected")
                continue
            for case in self._expanded(table, values, defaults, matrix):
                found.append(case)
                if len(found) > self._most:
                    many = f"more than {_MOST_CASES:,} cases; split the suite"
                    self._say(table, "", many, str(values["name"]))
                    raise _EnoughError
        return found

    def _matrix(self) -> dict[str, dict[str, Any]]:
        tables = self._values.get("matrix", {})
        if not isinstance(tables, Mapping):
            self._say("", "matrix", "tables were expected: [matrix.NAME]")
            return {}
        return {
            name: self._table(f"matrix.{name}", values, label=name)
            for name, values in tables.items()
        }

    def _table(self, table: str, values: Any, label: str = "") -> dict[str, Any]:
        """The values of `defaults` or of a configuration, checked."""
        if not isinstance(values, Mapping):
            self._say(table, "", "a table was expected")
            return {}
        return self._checked(table, values, label, {"name", "matrix"})

    def _expanded(
        self,
        table: str,
        values: Mapping[str, Any],
        defaults: Mapping[str, Any],
        matrix: Mapping[str, Mapping[str, Any]],
    ) -> Iterator[Case]:
        """A case, once for each configuration of its matrix."""
        name = values.get("name")
        label = name if isinstance(name, str) else ""
        if not label or not label.isprintable():
            self._say(table, "name", "name: a text was expected")
            return
        below = self._values.get("defaults")
        below = below.get("matrix", False) if isinstance(below, Mapping) else False
        wanted = values.get("matrix", below)
        chosen = self._chosen(table, label, wanted, matrix)
        own = self._checked(table, values, label, set())
        for config in chosen:
            merged = {**defaults}
            for more in (matrix.get(config or "", {}), own):
                merged = _merged(merged, more)
            full = label if config is None else f"{label}[{config}]"
            yield self._case(table, full, label, config, merged)

    def _chosen(
        self, table: str, label: str, wanted: Any, matrix: Mapping[str, Any]
    ) -> list[str | None]:
        if wanted is False:
            return [None]
        if wanted is True:
            if not matrix:
                self._say(table, "matrix", "there is no [matrix.NAME] table", label)
            return list(matrix)
        names = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            self._say(table, "matrix", "matrix: true, or names, were expected", label)
            return []
        for each in names:
            if each not in matrix:
                self._say(table, "matrix", f"matrix: {_near(each, matrix)}", label)
        return [each for each in names if each in matrix]

    def _checked(
        self, table: str, values: Mapping[str, Any], label: str, refused: set[str]
    ) -> dict[str, Any]:
        """The keys of a case that are right; problems are told."""
        found: dict[str, Any] = {}
        for key, value in values.items():
            if key in ("name", "matrix") and key not in refused:
                continue
            if key == "matrix" and table == "defaults":
                continue
            if key in refused or key not in _KEYS:
                known = [each for each in (*_KEYS, "name", "matrix") if each not in refused]
                self._say(table, key, f"no such key: {_near(key, known)}", label)
                continue
            try:
                found[key] = _KEYS[key](value)
            except _WrongError as error:
                self._say(table, key, f"{key}: {error}", label)
        return found

    def _case(
        self, table: str, name: str, label: str, config: str | None, values: dict[str, Any]
    ) -> Case:
        directory = self._directory

        def at(path: str) -> str:
            return os.path.normpath(os.path.join(directory, path))

        values = dict(values)
        for key in ("stream", "semihosting"):
            if key in values:
                values[key] = at(values[key])
        if "elf" in values:
            values["elf"] = tuple(at(each) for each in values["elf"])
        if "image" in values:
            values["image"] = tuple(
                f"{base}:{at(path)}"
                for base, _, path in (e.partition(":") for e in values["image"])
            )
        if isinstance(values.get("params"), str):
            values["params"] = at(values["params"])
        reference = values.get("reference")
        if reference is not None and not reference.startswith(PREFIX):
            plain = {"{name}": _file_name(label), "{config}": _file_name(config or "")}
            for mark, text in plain.items():
                reference = reference.replace(mark, text)
            values["reference"] = at(reference)
        line = self._lines.of(table)
        suite = Path(self._path).stem
        case = Case(name=name, suite=suite, file=self._path, line=line, **values)
        self._check_whole(table, name, case)
        return case

    def _check_whole(self, table: str, name: str, case: Case) -> None:
        if not case.elf and case.stream is None:
            self._say(table, "", "elf or stream is missing: what is to be run, or encoded?", name)
        if case.stream is not None:
            for key in _RUN_ONLY:
                if getattr(case, key) not in (None, ()):
                    self._say(table, key, f"{key}: is for a program, this case has a stream", name)
        if isinstance(case.params, Mapping):
            for problem in _wrong_parameters(case):
                self._say(table, "params", problem, name)
        if case.reference is not None and is_hash_name(case.reference):
            try:
                refuse_ignored(case.ignore)
            except InputError as error:
                self._say(table, "ignore", str(error), name)
        for path in case.inputs:
            if not os.path.exists(path):
                self._say(table, _key_of(case, path), f"{path}: no such file", name)
        if case.semihosting is not None and not os.path.isdir(case.semihosting):
            self._say(table, "semihosting", f"{case.semihosting}: no such directory", name)


def _wrong_parameters(case: Case) -> list[str]:
    """What is wrong with the tables of parameters, which may come from several places."""
    assert isinstance(case.params, Mapping)
    widths = case.params.get("parameters")
    wide = widths.get("iaddress_width_p", 64) if isinstance(widths, Mapping) else 64
    values = dict(case.params)
    if case.protocol is not None:
        values["protocol"] = case.protocol
    try:
        from_dict(values, 32 if isinstance(wide, int) and wide <= 32 else 64, "params")
    except ParametersError as error:
        return error.problems
    return []


#: Keys that say how a program runs.
_RUN_ONLY = ("isa", "hart_modes", "memory", "max_instructions", "semihosting", "cmdline", "tohost")


def _key_of(case: Case, path: str) -> str:
    if path in case.elf:
        return "elf"
    return next((key for key in ("stream", "params") if getattr(case, key) == path), "image")


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`: what is expected key by key, tags of both, else as a whole."""
    merged = {**below, **above}
    if "expect" in below and "expect" in above:
        both = {
            each.name: getattr(above["expect"], each.name)
            if getattr(above["expect"], each.name) is not None
            else getattr(below["expect"], each.name)
            for each in fields(Expect)
        }
        merged["expect"] = Expect(**both)
    for key in ("tags", "modes"):
        if key in below and key in above:
            merged[key] = tuple(dict.fromkeys((*below[key], *above[key])))
    if isinstance(below.get("params"), Mapping) and isinstance(above.get("params"), Mapping):
        merged["params"] = _deep(below["params"], above["params"])
    return merged


def _deep(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[key] = _deep(under, value) if both and under is not None else value
    return merged


def _file_name(text: str) -> str:
    """`text` as a part of a file's name."""
    return re.sub(r"[^\w.+-]+", "_", text).strip("_.") or "_"


#: Names that a message lists.
_MOST_NAMED = 40


def _depth_over(value: Any, most: int) -> bool:
    """Whether tables and lists stand in each other more than `most` deep."""
    level = [value]
    for _ in range(most):
        level = [
            each
            for above in level
            for each in (above.values() if isinstance(above, Mapping) else above)
            if isinstance(each, Mapping | list)
        ]
    return bool(level)


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(name, names, 1)
    more = ", ..." if len(names) > _MOST_NAMED else ""
    known_ = f"known: {', '.join(names[:_MOST_NAMED])}{more}"
    hint = f"did you mean {close[0]}?" if close else known_
    return f"{printable(name)[:40]!r}; {hint}"


# the keys of a case


class _WrongError(Exception):
    """A value that cannot be, in words."""


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise _WrongError("a text was expected")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list):
        raise _WrongError("a text, or a list of them, was expected")
    return tuple(map(_text, values))


def _number(least: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 63:
            raise _WrongError(f"a number from {least} on was expected")
        return value

    return check


def _one_of(*known: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if _text(value) not in known:
            raise _WrongError(_near(value, known))
        return str(value)

    return check


def _some_of(*known: str) -> Callable[[Any], tuple[str, ...]]:
    check = _one_of(*known)
    return lambda value: tuple(map(check, _texts(value)))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _WrongError("true or false was expected")
    return value


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
        raise _WrongError("a number above 0 was expected")
    return float(value)


def _params(value: Any) -> str | dict[str, Any]:
    if not isinstance(value, Mapping):
        return _text(value)
    return dict(value)  # checked as a whole: what is missing may stand in another table


def _address(value: Any) -> int | str:
    if value == "none":
        return "none"
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 64:
        raise _WrongError('an address, or "none", was expected')
    return value


def _register(value: Any) -> str | int:
    return value if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _width(value: Any) -> int:
    if value not in (32, 64) or isinstance(value, bool):
        raise _WrongError("32 or 64 was expected")
    return int(value)


def _images(value: Any) -> tuple[str, ...]:
    for each in _texts(value):
        if not re.fullmatch(r"(0x)?[0-9a-fA-F_]+:.+", each):
            raise _WrongError("ADDRESS:FILE was expected")
    return _texts(value)


def _regions(value: Any) -> tuple[tuple[int, int], ...]:
    return tuple(map(_region, _texts(value)))


def _region(text: str) -> tuple[int, int]:
    base, _, size = text.partition(":")
    shift = {"K": 10, "M": 20, "G": 30}.get(size[-1:].upper(), 0)
    try:
        region = int(base, 0), int(size[:-1] if shift else size, 0) << shift
    except ValueError:
        region = 0, 0
    if not 0 <= region[0] < 1 << 64 or not 0 < region[1] <= 1 << 34:
        raise _WrongError("BASE:SIZE was expected, as 0x80000000:128M")
    return region


def _expect(value: Any) -> Expect:
    if not isinstance(value, Mapping):
        raise _WrongError("a table was expected")
    found: dict[str, Any] = {}
    for key, each in value.items():
        if key not in _EXPECT:
            raise _WrongError(f"no such key: {_near(key, _EXPECT)}")
        try:
            found[key] = _EXPECT[key](each)
        except _WrongError as error:
            raise _WrongError(f"{key}: {error}") from None
    return Expect(**found)


_EXPECT: dict[str, Callable[[Any], Any]] = {
    "exit_code": _number(0),
    "end": _one_of(*ENDS),
    "instructions": _number(0),
    "packets": _number(0),
    "bits": _positive,
}
_KEYS: dict[str, Callable[[Any], Any]] = {
    "elf": _texts,
    "image": _images,
    "stream": _text,
    "xlen": _width,
    "params": _params,
    "modes": _some_of(*MODES, "all"),
    "protocol": _one_of("2.0", "2.1"),
    "tvec": _texts,
    "framing": _one_of(*FRAMINGS),
    "platform": _one_of(*_PLATFORMS),
    "isa": _text,
    "hart_modes": _one_of("M", "MU", "MSU"),
    "memory": _regions,
    "max_instructions": _number(1),
    "semihosting": _text,
    "cmdline": _text,
    "tohost": _address,
    "context_csr": _register,
    "time": _one_of(*_TIMES),
    "time_every": _number(1),
    "reference": _text,
    "verify": _flag,
    "ignore": _some_of(*IGNORABLE),
    "expect": _expect,
    "tags": _texts,
    "timeout": _positive,
}
