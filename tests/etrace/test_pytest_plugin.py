"""The plugin pytest-etrace, in runs of pytest of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import etrace
import etrace.testing.plugin
from etrace.checking import reference
from etrace.testing import assert_trace_matches
from etrace.testing.names import file_name, of_test

pytest_plugins = ["pytester"]
ROOT = Path(__file__).resolve().parents[2]
HOME = str(Path.home())

#: {elf}: of which program. What is recorded depends on it alone.
TEST = """
from etrace.testing import assert_trace_matches

def test_boot(etrace_record):
    assert_trace_matches(etrace_record({elf!r}), "boot")
"""


@pytest.fixture
def plugin(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Whether or not the entry point is installed, the plugin is there once."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("HOME", HOME)  # that is where compiled kernels are
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_etrace")
    return pytester


@pytest.fixture(scope="module")
def programs(firmware: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two programs that take another way."""
    elves = str(firmware / "nested-rv64.elf"), str(firmware / "cause_uart-rv64.elf")
    # Runs of pytest inside this process forget what they import: NumPy and kernels come before.
    path = str(tmp_path_factory.mktemp("references") / "first.etrace")
    traces = [etrace.record(each) for each in elves]
    reference.write(traces[0], path)
    for each in traces:
        reference.compare(each, path).text()
    etrace.open(path).decode()
    return elves


def write(plugin: pytest.Pytester, elf: str, text: str = TEST) -> None:
    plugin.makepyfile(test_it=text.format(elf=elf))


def test_a_missing_reference_says_how_it_is_made(
    plugin: pytest.Pytester, programs: tuple[str, str]
) -> None:
    write(plugin, programs[0])
    result = plugin.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E*references/boot.etrace: there is no such reference; *pytest --etrace-update"]
    )
    assert not (plugin.path / "references").exists()


def test_update_writes_and_says_so(plugin: pytest.Pytester, programs: tuple[str, str]) -> None:
    write(plugin, programs[0])
    result = plugin.runpytest_inprocess("--etrace-update")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "*etrace references*",
            "new references/boot.etrace (test_it.py::test_boot)",
            "references written: 1 new, 0 changed",
        ]
    )
    path = plugin.path / "references" / "boot.etrace"
    assert [each.name for each in path.parent.iterdir()] == ["boot.etrace"]
    assert etrace.open(path).header.reference is not None
    plugin.runpytest_inprocess().assert_outcomes(passed=1)
    before = path.stat()
    again = plugin.runpytest_inprocess("--etrace-update")
    again.stdout.no_fnmatch_line("*references*")
    assert path.stat() == before


def test_a_difference_is_the_message(plugin: pytest.Pytester, programs: tuple[str, str]) -> None:
    write(plugin, programs[0])
    plugin.runpytest_inprocess("--etrace-update").assert_outcomes(passed=1)
    path = plugin.path / "references" / "boot.etrace"
    before = path.read_bytes()
    write(plugin, programs[1])
    result = plugin.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*assert_trace_matches(etrace_record(*",
            "E*references/boot.etrace: the trace differs (A: reference, B: this run)",
            "E*instruction *: *",
            "E*to accept: pytest --etrace-update",
        ]
    )
    result.stdout.no_fnmatch_line("*matching.py*")
    assert path.read_bytes() == before
    result = plugin.runpytest_inprocess("--etrace-update")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "changed references/boot.etrace (test_it.py::test_boot)",
            "    instruction *: *",
            "references written: 0 new, 1 changed",
        ]
    )
    plugin.runpytest_inprocess().assert_outcomes(passed=1)


def test_a_damaged_reference_is_told_and_made_anew(
    plugin: pytest.Pytester, programs: tuple[str, str]
) -> None:
    write(plugin, programs[0])
    path = plugin.path / "references" / "boot.etrace"
    path.parent.mkdir()
    path.write_bytes(b'{"kind": 1}')
    result = plugin.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*cannot be compared: *boot.etrace*--etrace-update"])
    result = plugin.runpytest_inprocess("--etrace-update")
    result.stdout.fnmatch_lines(["changed *boot.etrace*", "*the old one cannot be compared*"])
    plugin.runpytest_inprocess().assert_outcomes(passed=1)


def test_a_trace_with_gaps_is_no_reference(
    plugin: pytest.Pytester, programs: tuple[str, str]
) -> None:
    write(
        plugin,
        programs[0],
        """
        import dataclasses

        def test_cut(etrace_record, assert_trace_matches):
            trace = etrace_record({elf!r})
            data = b"".join(trace.chunks())
            assert_trace_matches(dataclasses.replace(trace, _bytes=data[:-3]))
        """,
    )
    result = plugin.runpytest_inprocess("--etrace-update")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*cannot be decoded to its end*no reference*"])
    assert list((plugin.path / "references").iterdir()) == []


def test_two_tests_with_one_name(plugin: pytest.Pytester, programs: tuple[str, str]) -> None:
    text = TEST.format(elf=programs[0]) + TEST.format(elf=programs[1]).replace("boot(", "other(")
    plugin.makepyfile(test_it=text)
    result = plugin.runpytest_inprocess("--etrace-update")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E*differs from what test_it.py::test_boot wrote there*"])


def test_fixtures(plugin: pytest.Pytester, programs: tuple[str, str]) -> None:
    plugin.makeini("[pytest]\netrace_references = kept/refs\n")
    write(
        plugin,
        programs[0],
        """
        import pytest

        @pytest.mark.parametrize("way", ["a/b", "a b", "plain"])
        def test_ways(etrace_record, etrace_reference, assert_trace_matches, way):
            trace = etrace_record({elf!r})
            assert_trace_matches(trace)
            assert_trace_matches(trace, "hash.flow")
            assert etrace_reference().flows
            assert etrace_reference().pcs().tolist() == trace.pcs().tolist()
            assert etrace_reference.path("hash.flow").exists()
            assert etrace_reference.directory.name == "refs"
        """,
    )
    plugin.runpytest_inprocess("--etrace-update").assert_outcomes(passed=3)
    plugin.runpytest_inprocess().assert_outcomes(passed=3)
    names = sorted(each.name for each in (plugin.path / "kept" / "refs").iterdir())
    assert len(names) == 4 and names[0] == "hash.flow"
    assert "test_it.test_ways-plain.etrace" in names
    assert all(re.fullmatch(r"[\w.-]+", each) for each in names)


def test_updates_of_workers_are_told(plugin: pytest.Pytester, programs: tuple[str, str]) -> None:
    text = "".join(TEST.format(elf=programs[n % 2]).replace("boot", f"boot{n}") for n in range(4))
    plugin.makepyfile(test_it=text)
    result = plugin.runpytest_subprocess("-p", "xdist", "-n", "2", "--etrace-update")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [f"new references/boot{n}.etrace (test_it.py::test_boot{n})" for n in range(4)]
        + ["references written: 4 new, 0 changed"]
    )


def test_outside_of_a_test_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etrace.testing.matching.RUNNING", [])
    with pytest.raises(RuntimeError, match="no test runs with the plugin pytest-etrace"):
        assert_trace_matches(None)  # type: ignore[arg-type]


def test_loading_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import pytest_etrace\n"
        "new = set(sys.modules) - before\n"
        "ours = ('pytest_etrace', 'etrace', 'specs', 'emu', 'encoder', 'decoder')\n"
        "print(sorted(name for name in new if name.partition('.')[0] not in ours))\n"
        "print(len(new) < 15)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "[]\nTrue\n"), done.stdout + done.stderr


def test_a_project_with_a_directory_that_hides_one_of_our_rooms(tmp_path: Path) -> None:
    """Its tests run, without the fixtures; the head says why."""
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "__init__.py").touch()
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "pytest_etrace", "test_it.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "etrace: its fixtures are not there: " in done.stdout and "1 passed" in done.stdout


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("boot", "boot.etrace"),
        ("boot.etrace", "boot.etrace"),
        ("uart/boot.flow", "uart/boot.flow"),
        ("test_x[rv64-a]", "test_x-rv64-a.etrace"),
    ],
)
def test_names_that_are_kept(name: str, file: str) -> None:
    assert file_name(name) == file


def test_names_that_are_not_safe_stay_apart() -> None:
    names = ["..", "a/../../b", "/etc/x", "", ".flow", "a b", "a_b", "a\0b", "a:b", "\udc80",
             "x" * 300, "x" * 301, "a/", "-rf", ".hidden", "[x]", "-x", "CON?", "a\\b"]  # fmt: skip
    files = [file_name(each) for each in names]
    assert len(set(files)) == len(files)
    for each in files:
        for part in each.split("/"):
            assert re.fullmatch(r"[\w+=,@][\w.+=,@-]*", part, re.ASCII) and len(part) < 140, each


def test_names_of_tests() -> None:
    assert of_test("tests/test_a.py::TestB::test_c") == "test_a.TestB.test_c"
    assert file_name(of_test("t/test_a.py::test_c[x]")) == "test_a.test_c-x.etrace"
    files = {file_name(of_test(f"test_a.py::test_c[{each}]")) for each in ("x/y", "x::y", "x_y")}
    assert len(files) == 3 and not any("/" in each for each in files)
