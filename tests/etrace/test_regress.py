"""`etrace regress`: cases, references, and what can happen to either."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import etrace
from etrace.checking import reference
from etrace.checking.regress.choosing import chosen
from etrace.checking.regress.manifest import Case, Expect
from etrace.checking.regress.outcome import Status
from etrace.checking.regress.pool import run_here
from etrace.checking.regress.run import run_case
from etrace.checking.regress.worker import Worker
from etrace.errors import InputError
from tests.etrace.conftest import Run

ROOT = Path(__file__).resolve().parents[2]
LISTS = ROOT / "tests" / "programs" / "lists-rv32.elf"
SCHEDULER = ROOT / "tests" / "programs" / "scheduler-rv64.elf"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A manifest in a directory of its own."""

    def call(text: str, name: str = "suite.toml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return call


def case(**more: object) -> Case:
    return replace(Case(name="lists", elf=(str(LISTS),)), **more)  # type: ignore[arg-type]


# a case


def test_a_case_without_a_reference_is_verified() -> None:
    result = run_case(case()).result
    trace = etrace.record(LISTS)
    assert result.status == Status.PASSED and result.diff is None
    assert result.values["instructions"] == len(trace.pcs())
    assert result.values["packets"] == sum(len(rows) for rows in trace.packets())
    assert result.values["end"] == "exit" and result.values["exit_code"] == 0
    demo = ROOT / "etrace" / "data" / "demo-rv64.elf"
    assert run_case(Case(name="demo", elf=(str(demo),))).result.output  # what the guest printed


@pytest.mark.parametrize(
    ("expect", "text"),
    [
        (Expect(exit_code=3), "exit_code: 0, expected 3"),
        (Expect(end="budget"), "end: exit, expected budget"),
        (Expect(instructions=5), "instructions: "),
        (Expect(packets=5), "packets: "),
        (Expect(bits=0.001), "bits an instruction: "),
    ],
)
def test_what_is_expected(expect: Expect, text: str) -> None:
    result = run_case(case(expect=expect)).result
    assert result.status == Status.FAILED and text in result.reason


def test_what_is_right_is_right() -> None:
    values = run_case(case()).result.values
    expect = Expect(
        exit_code=0,
        end="exit",
        instructions=values["instructions"],
        packets=values["packets"],
        bits=values["bits"],
    )
    assert run_case(case(expect=expect)).result.status == Status.PASSED


def test_a_guest_that_fails_is_a_failed_case() -> None:
    elf = ROOT / "tests" / "firmware" / "cause_stack-rv64.elf"
    failing = Case(name="stack", elf=(str(elf),), max_instructions=100_000)
    result = run_case(failing).result
    assert result.status == Status.FAILED and "the guest failed" in result.reason
    allowed = replace(failing, expect=Expect(end=result.values["end"]))
    assert run_case(allowed).result.ok


def test_a_case_that_cannot_be_run() -> None:
    for wrong in (
        case(elf=("/none/such.elf",)),
        case(params="/none/such.toml"),
        case(isa="rv32q"),
        case(params={"parameters": {"iaddress_width_p": 4}}),
    ):
        result = run_case(wrong).result
        assert result.status == Status.ERROR and result.reason
        assert "\n" not in result.reason


def test_references(tmp_path: Path) -> None:
    path = str(tmp_path / "refs" / "lists.etrace")
    missing = run_case(case(reference=path)).result
    assert missing.status == Status.FAILED and "--update writes it" in missing.reason
    new = run_case(case(reference=path), update=True)
    assert new.result.status == Status.NEW and new.reference is not None
    assert not Path(path).exists()  # it is for who asked to write it
    reference.store(new.reference, path)
    assert run_case(case(reference=path)).result.status == Status.PASSED
    same = run_case(case(reference=path), update=True)
    assert same.result.status == Status.PASSED and same.reference is None
    short = case(reference=path, max_instructions=500)
    differs = run_case(short).result
    assert differs.status == Status.FAILED and differs.reason.startswith("instruction 500: end")
    assert differs.diff is not None and differs.diff["instruction"] == 500
    changed = run_case(short, update=True)
    assert changed.result.status == Status.CHANGED and changed.reference is not None
    assert "instruction 500: end" in changed.result.text
    # what fails is not written
    failing = replace(short, expect=Expect(exit_code=7))
    assert run_case(failing, update=True).reference is None


@pytest.mark.parametrize("content", [b"", b"\x89ETRACE\n", b"{}", b"VALID,ADDRESS\nx,y\n"])
def test_a_damaged_reference(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "lists.etrace"
    path.write_bytes(content)
    result = run_case(case(reference=str(path))).result
    assert result.status == Status.ERROR and str(path) in result.reason


def test_a_hash_and_a_log_are_not_written(tmp_path: Path) -> None:
    flow = reference.flow_hash(etrace.record(LISTS))
    assert run_case(case(reference=flow)).result.ok
    wrong = run_case(case(reference="flow:" + "0" * 32), update=True)
    assert wrong.reference is None and wrong.result.status == Status.FAILED
    assert f'reference = "{flow}"' in wrong.result.text
    log = tmp_path / "log.csv"
    log.write_text(
        "VALID,ADDRESS,INSN,PRIVILEGE,EXCEPTION,ECAUSE,TVAL,INTERRUPT\n1,10,0,3,0,0,0,0\n"
    )
    before = log.read_bytes()
    result = run_case(case(reference=str(log)), update=True)
    assert result.reference is None and not result.result.ok
    assert log.read_bytes() == before


def test_what_is_ignored_of_a_hash(run: Run, write: Write) -> None:
    text = '[defaults]\nignore = ["time", "tval"]\n'
    for name, reference_ in (("hex", "flow:" + "0" * 32), ("file", "lists.flow")):
        text += f'[[case]]\nname = "{name}"\nelf = "{LISTS}"\nreference = "{reference_}"\n'
    told = run("regress", write(text), "--update", code=2).stderr.splitlines()
    assert len(told) == 2
    for line, name, at in zip(told, ("hex", "file"), (3, 7), strict=True):
        assert f'line {at}: case "{name}": ignore: tval: is in the hash of a flow' in line
    kept = text.replace("lists.flow", "lists.etrace").replace("flow:" + "0" * 32, "hex.etrace")
    run("regress", write(kept), "--update")
    run("regress", write(kept))


def test_why_a_case_is_not_passed(tmp_path: Path) -> None:
    """What differs, and not what is the same before it."""
    path = str(tmp_path / "lists.etrace")
    reference.store(reference.packed(etrace.record(LISTS), path), path)
    found = run_case(case(reference=path, modes=("implicit_return",))).result
    assert found.status == Status.FAILED and found.reason.startswith("packet ")
    params = {"resync": {"unit": "packets", "period": 100_000}}
    found = run_case(case(reference=path, params=params, ignore=("packets",))).result
    assert found.status == Status.FAILED and found.reason.startswith("parameter resync.")


def test_what_is_no_file_is_left_as_it_is(tmp_path: Path) -> None:
    """A device, a pipe, a directory: neither read nor replaced. Of a link, what it leads to is."""
    pipe, directory, link = tmp_path / "pipe", tmp_path / "directory", tmp_path / "link.etrace"
    os.mkfifo(pipe)
    directory.mkdir()
    trace = etrace.record(LISTS, max_instructions=100)
    for path in (pipe, directory, Path("/dev/null"), Path("/dev/zero")):
        before = path.stat()
        result = run_case(case(reference=str(path)), update=True)
        assert result.reference is None and not result.result.ok
        assert "not a regular file" in result.result.text
        with pytest.raises(InputError, match="not a regular file"):
            reference.write(trace, path)
        assert path.stat().st_mode == before.st_mode and path.stat().st_ino == before.st_ino
    target = tmp_path / "elsewhere" / "target.etrace"
    target.parent.mkdir()
    reference.write(trace, target)
    link.symlink_to(target)
    reference.write(etrace.record(LISTS, max_instructions=200), link)
    assert link.is_symlink() and reference.compare(trace, str(target)).instructions == 100


def test_one_flow_for_all_configurations(tmp_path: Path) -> None:
    path = tmp_path / "lists.flow"
    first = run_case(case(reference=str(path)), update=True)
    assert first.reference is not None
    reference.store(first.reference, path)
    for modes in ((), ("implicit_return",), ("all",)):
        assert run_case(case(reference=str(path), modes=modes)).result.ok
    assert not run_case(case(reference=str(path), max_instructions=900)).result.ok


# processes


def test_a_case_that_hangs_is_killed_and_the_others_run_on(counting_elf: Path) -> None:
    hanging = Case(name="hanging", elf=(str(counting_elf),), timeout=1.0)
    results = dict(run_here([hanging, case(), case(name="again")], 1, False, 600))
    assert [results[n].result.status for n in range(3)] == ["error", "passed", "passed"]
    assert "timed out after 1 s" in results[0].result.reason
    assert results[0].result.seconds < 30


def test_a_case_whose_process_is_killed(counting_elf: Path) -> None:
    worker = Worker()
    hanging = Case(name="hanging", elf=(str(counting_elf),))
    found = []
    thread = threading.Thread(target=lambda: found.append(worker.run(hanging, False, {}, 60)))
    thread.start()
    while worker.pid is None:
        time.sleep(0.05)
    time.sleep(0.3)
    os.kill(worker.pid, signal.SIGKILL)
    thread.join()
    assert found[0].result.status == Status.ERROR and "killed by SIGKILL" in found[0].result.reason
    assert worker.run(case(), False, {}, 60).result.ok
    worker.stop()


def test_what_ends_the_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: here Python itself cannot start."""
    monkeypatch.setattr(
        "etrace.checking.regress.worker._PROGRAM", "import sys; sys.exit('no such luck')"
    )
    worker = Worker()
    result = worker.run(case(), False, {}, 60).result
    worker.stop()
    assert result.status == Status.ERROR
    assert "exit code 1: no such luck" in result.reason


# the command


SUITE = f"""
[defaults]
tags = ["quick"]
[matrix.plain]
[matrix.returns]
modes = ["implicit_return"]
[[case]]
name = "lists"
elf = "{LISTS}"
matrix = true
reference = "refs/{{name}}-{{config}}.etrace"
[[case]]
name = "scheduler"
elf = "{SCHEDULER}"
tags = ["slow"]
max_instructions = 5000
"""


def test_the_command(run: Run, write: Write, tmp_path: Path) -> None:
    suite = write(SUITE)
    listed = run("regress", suite, "--list").stdout.splitlines()
    assert listed == ["lists[plain]  quick", "lists[returns]  quick", "scheduler  quick slow"]
    first = run("regress", suite, code=1).stdout
    assert "3 cases: 2 failed, 1 passed" in first
    assert not (tmp_path / "refs").exists()
    updated = run("regress", suite, "--update").stdout
    assert "2 new, 1 passed" in updated
    files = {path.name: path.read_bytes() for path in (tmp_path / "refs").iterdir()}
    assert sorted(files) == ["lists-plain.etrace", "lists-returns.etrace"]
    assert "3 passed" in run("regress", suite, "--jobs", 2).stdout
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "refs").iterdir()}
    run("regress", suite, "--update")
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "refs").iterdir()}
    # another program in its place
    write(SUITE.replace(str(LISTS), str(LISTS).replace("lists", "sorting")))
    found = run("regress", suite, "-k", "plain", code=1).stdout
    assert "failed  lists[plain]" in found and "1 case: 1 failed" in found
    assert "  A: packet" in found
    changed = run("regress", suite, "-k", "plain", "--update").stdout
    assert "changed lists[plain]" in changed and "  A: packet" in changed
    assert (tmp_path / "refs/lists-plain.etrace").read_bytes() != files["lists-plain.etrace"]
    assert (tmp_path / "refs/lists-returns.etrace").read_bytes() == files["lists-returns.etrace"]


def test_fewer_cases(run: Run, write: Write) -> None:
    suite = write(SUITE)
    for options, names in (
        (["-k", "returns"], ["lists[returns]"]),
        (["-k", "not lists"], ["scheduler"]),
        (["-k", "slow or plain"], ["lists[plain]", "scheduler"]),
        (["--tag", "slow"], ["scheduler"]),
        (["--tag", "quick", "-k", "not (plain or returns)"], ["scheduler"]),
    ):
        listed = run("regress", suite, "--list", *options).stdout.splitlines()
        assert [line.split("  ")[0] for line in listed] == names, options
    assert "no case is meant" in run("regress", suite, "-k", "nothing", code=2).stderr
    for words in ("(a", "and", "a b", "not", "a or"):
        assert "-k" in run("regress", suite, "-k", words, code=2).stderr
    with pytest.raises(InputError, match="nested"):
        chosen([], "(" * 1000, ())


def test_fail_fast(run: Run, write: Write) -> None:
    found = run("regress", write(SUITE), "--fail-fast", "--jobs", 1, code=1).stdout
    assert "1 failed, 2 not run" in found


def test_an_interrupted_run(
    write: Write,
    counting_elf: Path,
    etrace_command: tuple[list[str], dict[str, str]],
    as_in_a_terminal: None,
) -> None:
    """Ctrl-C ends all processes at once; what came out so far is told."""
    suite = write(
        f'[[case]]\nname = "lists"\nelf = "{LISTS}"\n'
        f'[[case]]\nname = "hanging"\nelf = "{counting_elf}"\n'
    )
    command, environment = etrace_command
    process = subprocess.Popen(
        [*command, "regress", str(suite), "--jobs", "1"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "passed  lists" in process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "2 cases: 1 passed, 1 not run" in out and "Traceback" not in err


def test_an_update_that_is_cut_off_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lists.etrace"
    reference.write(etrace.record(LISTS), path)
    before = path.read_bytes()

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("fsync", "replace"):
        with monkeypatch.context() as context:
            context.setattr(f"etrace.checking.reference.os.{step}", cut)
            with pytest.raises(KeyboardInterrupt):
                reference.write(etrace.record(LISTS, max_instructions=100), path)
        assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["lists.etrace"]


# manifests


def test_all_problems_at_once(run: Run, write: Write) -> None:
    text = f"""
[defaults]
platfrom = "spike"
[matrix.one]
modes = ["implicit_retrun"]
[[case]]
name = "a"
elf = "none.elf"
matrix = ["tow"]
[[case]]
name = "b"
elf = "{LISTS}"
params = {{ parameters = {{ itype_width_p = 99 }} }}
expect = {{ exit = 3 }}
reference = "r.etrace"
[[case]]
name = "b"
elf = "{LISTS}"
tags = 5
modes = ["all"]
reference = "r.etrace"
[[case]]
elf = "x"
[[case]]
name = "c"
stream = "{ROOT}/tests/golden/rv32-flow/rv32-flow.ingress.csv.gz"
isa = "rv64gc"
[[case]]
name = "d"
"""
    suite = write(text)
    told = run("regress", suite, code=2).stderr
    for line, what in (
        (3, "'platfrom'; did you mean platform?"),
        (5, "did you mean implicit_return?"),
        (9, "matrix: 'tow'; known: one"),
        (13, "itype_width_p = 99"),
        (14, "'exit'; did you mean exit_code?"),
        (19, "tags: a text, or a list of them, was expected"),
        (16, "the name is that of line 10 as well"),
        (16, "reference"),
        (22, "name: a text was expected"),
        (27, "isa: is for a program"),
        (28, "elf or stream is missing"),
    ):
        assert any(f"line {line}: " in each and what in each for each in told.splitlines()), what


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[[case]",
        "case = 5",
        "case = [5]",
        "[[case]]\nname = 5",
        "matrix = 5\n[[case]]\nname = 'a'\nelf = 'x'",
        "defaults = 5\n[[case]]\nname = 'a'",
        "a = " + "[" * 5000,
        "[[case]]\nname = 'a\\u0000b'\nelf = 'x'",
    ],
)
def test_what_is_no_manifest(text: str, run: Run, write: Write) -> None:
    suite = write(text)
    told = run("regress", suite, code=2).stderr
    assert all(each.startswith(f"etrace: {suite}: ") for each in told.splitlines())


@pytest.mark.parametrize(
    "text",
    [
        f"params.{'.'.join('a' * 100_000)} = 1",
        f"[defaults]\nparams.{'.'.join('a' * 60)} = 1\nparams.b = {'{a.b.c = ' * 40}1{'}' * 40}",
    ],
)
def test_nested_too_deeply(text: str, run: Run, write: Write) -> None:
    begun = time.monotonic()
    suite = write(text + f"\n[[case]]\nname = 'a'\nelf = '{LISTS}'\n")
    told = run("regress", suite, code=2).stderr
    assert told.startswith(f"etrace: {suite}: ") and told.endswith("nested too deeply\n")
    assert time.monotonic() - begun < 10


def test_too_many_cases_and_problems(
    run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small file with a million cases, or with a million problems, is refused at once."""
    tables = "".join(f"[matrix.m{number}]\n" for number in range(1000))
    cases = "".join(
        f"[[case]]\nname = 'c{number}'\nelf = '{LISTS}'\nmatrix = true\n" for number in range(1000)
    )
    monkeypatch.setattr("etrace.checking.regress.manifest._MOST_CASES", 1500)
    told = run("regress", write(tables + cases), "--list", code=2).stderr
    assert told.count("\n") == 1
    assert 'line 1005: case "c1": more than 1,500 cases; split the suite' in told
    told = run(
        "regress", write("".join(f"[[case]]\nx{n} = 1\n" for n in range(999))), code=2
    ).stderr
    assert told.count("\n") == 201 and "200 problems; no more are looked for" in told


def test_lines_of_quoted_tables(run: Run, write: Write) -> None:
    suite = write(
        f"[matrix.\"2.1\"]\nmode = 3\n[matrix.'a [x]']\n\nmode = 3\n"
        f"[[case]]\nname = 'a'\nelf = '{LISTS}'\n"
    )
    told = run("regress", suite, code=2).stderr
    assert 'line 2: case "2.1": ' in told and 'line 5: case "a [x]": ' in told


def test_a_manifest_that_is_no_text(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in run("regress", path, code=2).stderr
    run("regress", tmp_path / "none.toml", code=2)
    run("regress", tmp_path, code=2)


def test_reports_overwrite_nothing_that_is_read(run: Run, write: Write, tmp_path: Path) -> None:
    names = {"p.elf": LISTS.read_bytes(), "rom.bin": bytes(8), "chip.toml": b"", "rows.csv": b"x"}
    for name, data in names.items():
        (tmp_path / name).write_bytes(data)
    write(
        '[[case]]\nname = "run"\nelf = "p.elf"\nimage = "0x1000:rom.bin"\nparams = "chip.toml"\n'
        'reference = "refs/run.etrace"\ntags = ["a"]\n'
        '[[case]]\nname = "rows"\nstream = "rows.csv"\nxlen = 32\n'
    )
    (tmp_path / "refs").mkdir()
    (tmp_path / "link").symlink_to("refs")
    (tmp_path / "hard").hardlink_to(tmp_path / "chip.toml")
    suite = tmp_path / "suite.toml"
    # of cases that are not run now, and where a reference will be, too
    for option in ("--junit", "--json", "--html"):
        for name in (*names, "suite.toml", "link/run.etrace", "./refs/../refs/run.etrace", "hard"):
            told = run("regress", suite, "--tag", "a", "--update", option, tmp_path / name, code=2)
            assert "is an input as well" in told.stderr and not told.stdout
    assert not (tmp_path / "refs" / "run.etrace").exists()
    assert {name: (tmp_path / name).read_bytes() for name in names} == names
    two = ("--json", tmp_path / "report", "--junit", tmp_path / "refs" / ".." / "report")
    assert "two reports in one file" in run("regress", suite, *two, code=2).stderr


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("none/report", "No such file or directory"),
        ("suite.toml/report", "Not a directory"),
        (".", "Is a directory"),
    ],
)
def test_a_report_that_cannot_be_written_is_told_before(
    path: str, what: str, run: Run, write: Write, tmp_path: Path
) -> None:
    suite = write(SUITE)
    told = run("regress", suite, "--json", tmp_path / path, code=2)
    assert told.stderr == f"etrace: {tmp_path / path}: {what}\n" and not told.stdout


def test_reports_are_written_though_one_cannot_be(run: Run, write: Write, tmp_path: Path) -> None:
    suite = write(f'[[case]]\nname = "lists"\nelf = "{LISTS}"\n')
    given = ("--junit", "/dev/full", "--json", tmp_path / "a.json", "--html", tmp_path / "a.html")
    told = run("regress", suite, *given, code=2)
    assert told.stderr == "etrace: /dev/full: No space left on device\n"
    assert "1 passed" in told.stdout and json.loads((tmp_path / "a.json").read_text())
    assert (tmp_path / "a.html").read_text().startswith("<!")


def test_a_reference_that_cannot_be_written(run: Run, write: Write, tmp_path: Path) -> None:
    """A file where a directory should be; /proc, which nobody can write to."""
    for place, what in (
        ("suite.toml/run.etrace", f"{tmp_path}/suite.toml/run.etrace: Not a directory"),
        ("suite.toml/new/run.etrace", f"{tmp_path}/suite.toml/new/run.etrace: Not a directory"),
        ("/proc/run.etrace", "/proc/run.etrace: "),
    ):
        suite = write(f'[[case]]\nname = "a"\nelf = "{LISTS}"\nreference = "{place}"\n')
        text = suite.read_text()
        told = run("regress", suite, "--update", code=1)
        assert told.stdout.startswith("error   a (") and what in told.stdout
        assert suite.read_text() == text and os.listdir(tmp_path) == ["suite.toml"]
    with pytest.raises(InputError, match="no file can have that name"):
        reference.write(etrace.record(LISTS), "a\0b")


def test_a_reader_that_goes_away_changes_no_outcome(
    write: Write, etrace_command: tuple[list[str], dict[str, str]]
) -> None:
    command, environment = etrace_command
    suite = write(f'[[case]]\nname = "a"\nelf = "{LISTS}"\nexpect = {{ exit_code = 3 }}\n')
    for options in ([], *(["--" + name, "-"] for name in ("json", "junit", "html"))):
        process = subprocess.Popen(
            [*command, "regress", str(suite), *options],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
        process.stderr.close()
        assert process.wait(120) == 1 and "Traceback" not in told and "Broken" not in told


def test_names_that_are_no_text(run: Run, tmp_path: Path) -> None:
    """Bytes that are not UTF-8, in the names of a directory, a program, references, reports."""
    home = Path(os.fsdecode(os.fsencode(tmp_path) + b"/n\xff\xfe"))
    home.mkdir()
    elf = home / os.fsdecode(b"\xfe.elf")
    elf.write_bytes(LISTS.read_bytes())
    trace = home / "run.etrace"
    run("record", elf, "-o", trace)
    run("verify", trace)
    (home / "suite.toml").write_text(
        '[[case]]\nname = "a"\nelf = "p.elf"\nreference = "a.etrace"\n'
    )
    elf.rename(home / "p.elf")
    suite = home / "suite.toml"
    run("regress", suite, "--update", "--json", home / os.fsdecode(b"\xff.json"))
    reports = ("--json", "-", "--html", home / "a.html", "--junit", home / "a.xml")
    assert json.loads(run("regress", suite, *reports).stdout)["results"][0]["ok"]
    run("verify", home / "a.etrace")
    run("diff", home / "a.etrace", trace, "--elf", home / "p.elf")
    told = run("diff", home / "none", trace, code=2).stderr
    assert told.endswith("/n\\xff\\xfe/none: No such file or directory\n")


def test_results_for_machines(run: Run, write: Write) -> None:
    suite = write(SUITE)
    told = json.loads(run("regress", suite, "--json", "-", "-k", "scheduler").stdout)
    (result,) = told["results"]
    assert result["name"] == "scheduler" and result["status"] == "passed"
    assert result["values"]["instructions"] == 5000
