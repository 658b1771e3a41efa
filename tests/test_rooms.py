"""Who may import whom, and what must not be in the sources. `make rooms` checks imports too, with
import-linter; this test needs nothing but the standard library."""

import ast
import re
import subprocess
import sys
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
    shared = {"specs.packets", "specs.packing", "specs.framing", "specs.parameters", "specs.isa"}
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
    """Numba's cache goes stale unless every kernel uses `specs.compiled.njit`."""
    pattern = re.compile(r"numba\.(njit|jit)\b|from numba import .*\b(njit|jit)\b")
    users = [
        path.relative_to(ROOT).as_posix()
        for room in ALLOWED
        for path in sources(room)
        if pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert users == ["specs/compiled.py"]


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    """`etrace --help` must not wait for Numba."""
    heavy = "{'numba', 'numpy', 'elftools', 'bitstring', 'rich'}"
    code = f"import sys, etrace.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_a_recording_starts_without_what_it_does_not_need() -> None:
    unneeded = "{'bitstring', 'elftools.elf.elffile', 'elftools.dwarf', 'etrace.csvin'}"
    elf = "tests/firmware/nested-rv64.elf"
    code = "import sys, etrace.api, etrace.recorder, etrace.cli.record, emu.elf\n"
    code += f"emu.elf.load({elf!r})\nprint(sorted({unneeded} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_the_documents_name_what_exists() -> None:
    """Paths in the conformance table and the guides."""
    rooms = "|".join([*ALLOWED, "tests", "docs", "bench"])
    path = re.compile(rf"`((?:{rooms})/[\w./-]+)`")
    for document in ("specs/README.md", "README.md", "CONTRIBUTING.md", "docs/using.md"):
        named = path.findall((ROOT / document).read_text(encoding="utf-8"))
        missing = sorted({each for each in named if not (ROOT / each).exists()})
        assert named, document
        assert not missing, f"{document}: {', '.join(missing)}"


def test_the_sources_name_no_machine() -> None:
    """No path of the machine that something was written on, in text or in an ELF's debug data."""
    pattern = re.compile(rb"/(?:work|root|home|tmp)/[a-z]")
    allowed = {Path(__file__).resolve()}
    for folder in (*ALLOWED, "tests", "docs", "bench"):
        for path in sorted((ROOT / folder).rglob("*")):
            if not path.is_file() or path.suffix in {".pyc", ".gz"} or path in allowed:
                continue
            found = pattern.search(path.read_bytes())
            assert found is None, f"{path.relative_to(ROOT)}: {found.group() if found else ''!r}"


def test_kernels_of_the_face_see_nothing_that_the_cache_key_leaves_out() -> None:
    """`specs.compiled` names the cache of kernels after what they can see."""
    for path in sources("etrace"):
        kernels = path.name.endswith("_kernel.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                compiles = node.module == "specs.compiled" and {"njit", "inlined", "spliced"} & {
                    alias.name for alias in node.names
                }
                assert kernels or not compiles, f"{path.name} compiles, and is no *_kernel.py"
                foreign = (node.module or "").startswith("etrace") and kernels
                assert not foreign or node.module.endswith("_kernel"), f"{path.name}: {node.module}"
