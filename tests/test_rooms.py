"""Who may import whom, and what must not be in the sources. `make rooms` checks imports too, with
import-linter; this test needs nothing but the standard library."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {
    "specs": {"specs"},
    "emu": {"emu", "specs"},
    "encoder": {"encoder", "specs"},
    "decoder": {"decoder", "specs"},
    "etrace": {"etrace", "emu", "encoder", "decoder", "specs"},
}
COMPILERS = {"njit", "inlined", "spliced"}


def sources(room: str) -> Iterator[Path]:
    found = sorted((ROOT / room).rglob("*.py"))
    assert found, f"no sources in {room}"
    yield from found


def imports(path: Path) -> Iterator[str]:
    """Top-level names that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_the_rooms_below(room: str) -> None:
    for path in sources(room):
        wrong = set(imports(path)) & set(ALLOWED) - ALLOWED[room]
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(sorted(wrong))}"
        assert "tests" not in imports(path)


def test_the_model_shares_nothing_with_what_it_checks() -> None:
    shared = {
        "specs.trace.packets",
        "specs.trace.packing",
        "specs.trace.framing",
        "specs.configuration.parameters",
        "specs.isa",
    }
    for path in sorted((ROOT / "tests" / "model").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                names.add(node.module or "")
            elif isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            else:
                continue
            for name in names:
                top = name.partition(".")[0]
                assert top not in {"emu", "encoder", "decoder", "etrace"}, f"{path.name}: {name}"
                assert not any(name.startswith(each) for each in shared), f"{path.name}: {name}"


def test_there_is_one_njit() -> None:
    """Numba's cache goes stale unless every kernel uses that of `specs.kernels.njit`."""
    pattern = re.compile(r"numba\.(njit|jit)\b|from numba import .*\b(njit|jit)\b")
    users = [
        path.relative_to(ROOT).as_posix()
        for room in ALLOWED
        for path in sources(room)
        if pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert users == ["specs/kernels/njit.py"]


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    """`etrace --help` must not wait for Numba."""
    heavy = "{'numba', 'numpy', 'elftools', 'bitstring', 'rich'}"
    code = f"import sys, etrace.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_a_recording_starts_without_what_it_does_not_need() -> None:
    unneeded = "{'bitstring', 'elftools.elf.elffile', 'elftools.dwarf', 'etrace.sources.csvin'}"
    elf = "tests/firmware/nested-rv64.elf"
    code = (
        "import sys, etrace.api, etrace.recording.recorder, etrace.cli.record, emu.platforms.elf\n"
    )
    code += f"emu.platforms.elf.load({elf!r})\nprint(sorted({unneeded} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_the_documents_name_what_exists() -> None:
    """Paths in the conformance table and the guides."""
    rooms = "|".join([*ALLOWED, "tests", "docs", "bench"])
    path = re.compile(rf"`((?:{rooms})/[\w./-]+)`")
    pages = (ROOT / page for page in ("specs/README.md", "README.md", "CONTRIBUTING.md"))
    for document in (*pages, *sorted((ROOT / "docs").rglob("*.md"))):
        named = path.findall(document.read_text(encoding="utf-8"))
        missing = sorted({each for each in named if not (ROOT / each).exists()})
        assert not missing, f"{document.relative_to(ROOT)}: {', '.join(missing)}"
    assert path.findall((ROOT / "specs" / "README.md").read_text(encoding="utf-8"))


def test_the_sources_name_no_machine() -> None:
    """No path of the machine that something was written on, in text or in an ELF's debug data."""
    pattern = re.compile(rb"/(?:work|root|home|tmp)/[a-z]")
    allowed = {Path(__file__).resolve()}
    for folder in (*ALLOWED, "tests", "docs", "bench"):
        for path in sorted((ROOT / folder).rglob("*")):
            if not path.is_file() or path.suffix in {".pyc", ".gz"} or path in allowed:
                continue
            if "_build" in path.parts:  # a site that was built here; git ignores it
                continue
            found = pattern.search(path.read_bytes())
            assert found is None, f"{path.relative_to(ROOT)}: {found.group() if found else ''!r}"


def test_kernels_stand_in_their_folders() -> None:
    """`specs.kernels.njit` names the cache of kernels after what they can see; pyproject.toml has
    mypy treat their folders as such."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (untyped,) = (
        each["module"]
        for each in settings["tool"]["mypy"]["overrides"]
        if each.get("disallow_untyped_defs") is False
    )
    typed = re.compile("|".join(each.replace(".", "[.]").replace("*", ".*") for each in untyped))
    for room in ALLOWED:
        for path in sources(room):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    names = {alias.name for alias in node.names}
                    compiles = node.module == "specs.kernels.njit" and names & COMPILERS
                    assert not compiles or typed.fullmatch(name), f"{name} compiles, in no folder"
                    kernel = name.startswith("etrace.kernels.")
                    assert not compiles or room != "etrace" or kernel, name
                    foreign = kernel and (node.module or "").partition(".")[0] == "etrace"
                    assert not foreign or node.module.startswith("etrace.kernels"), name


def test_the_map_shows_every_folder() -> None:
    """docs/map.svg: a box a folder, and none for what is not there."""
    picture = (ROOT / "docs" / "map.svg").read_text(encoding="utf-8")
    shown = re.findall(r'class="(?:name|title)"[^>]*>([^<]+)<', picture)
    names = {name.removesuffix(".py") for each in shown for name in each.split(" · ")}
    folders = {
        part
        for room in ALLOWED
        for path in sources(room)
        for part in path.relative_to(ROOT).parent.parts
    }
    modules = {path.stem for room in ALLOWED for path in (ROOT / room).glob("*.py")}
    assert folders <= names
    assert names <= folders | modules


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every function of ours, with its place."""
    for room in ALLOWED:
        for path in sources(room):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef):
                    yield f"{path.relative_to(ROOT)}: {node.name}", node


def test_long_functions_say_why_they_are() -> None:
    for place, node in functions():
        if node.end_lineno is not None and node.end_lineno - node.lineno >= 80:
            text = ast.get_docstring(node) or ""
            assert "Long: " in text, f"{place} has more than 80 lines and no reason"


def test_kernels_take_bundles() -> None:
    """A bundle, what it is about, where output goes: six parameters at most."""
    kernels = 0
    for place, node in functions():
        names = {each.id for each in node.decorator_list if isinstance(each, ast.Name)}
        if names & COMPILERS:
            kernels += 1
            assert len(node.args.args) <= 6, place
    assert kernels > 100
