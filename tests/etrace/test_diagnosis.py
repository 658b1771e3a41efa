"""A wrong parameter file or program is recognised; damage is not taken for one."""

from pathlib import Path
from random import Random

import pytest

import etrace
from etrace.checking import diagnosis
from tests.etrace.conftest import Run

FIRMWARE = Path(__file__).parents[1] / "firmware"
STORM = FIRMWARE / "storm-rv64.elf"
STORM32 = FIRMWARE / "storm-rv32.elf"


def recorded(folder: Path, elf: Path, params: str) -> Path:
    """A bare stream of `elf` by these parameters."""
    path = folder / "stream.bin"
    file = folder / "true.toml"
    file.write_text(params)
    path.write_bytes(b"".join(etrace.record(elf, params=file).chunks()))
    return path


SRCID = "[framing]\nsrcid_width = 6\nsrcid = 33\n"


@pytest.mark.parametrize(
    ("elf", "true", "given", "advice"),
    [
        (STORM, "", "iaddress_lsb_p = 2\n", "iaddress_lsb_p = 1"),
        (STORM, "", "iaddress_width_p = 32\n", "iaddress_width_p = 64"),
        (STORM32, "", "iaddress_width_p = 64\n", "iaddress_width_p = 32"),
        (STORM, "ecause_width_p = 6\n", "", "ecause_width_p = 6"),
        (STORM, "privilege_width_p = 3\n", "", "privilege_width_p = 3"),
        (STORM, SRCID, "", "[framing] srcid_width = 6, [framing] srcid = 33"),
        (STORM, "", SRCID, "[framing] srcid_width = 0, [framing] srcid = 0"),
        (
            STORM,
            "[framing]\nkind = 'reference'\n",
            "[framing]\nsrcid_width = 8\n",
            '[framing] kind = "reference"',
        ),
        (
            STORM,
            SRCID + "[parameters]\niaddress_lsb_p = 0\n",
            "",
            "[framing] srcid_width = 6, [framing] srcid = 33, iaddress_lsb_p = 0",
        ),
    ],
)
def test_another_parameter_would_fit(
    run: Run, tmp_path: Path, elf: Path, true: str, given: str, advice: str
) -> None:
    path, params = recorded(tmp_path, elf, true), tmp_path / "given.toml"
    params.write_text(given)
    options = ["--params", params, "--elf", elf, "--platform", "spike"]
    for verb in ("decode", "info"):
        told = run(verb, path, *options, code=3).stderr.splitlines()
        (line,) = [line for line in told if "can be followed; with" in line]
        assert line.endswith(f"; with {advice} it would be 100%"), line
    run("decode", path, "--params", tmp_path / "true.toml", *options[2:])


@pytest.mark.parametrize("word", [2, 4, 8])
def test_words_in_another_order(run: Run, tmp_path: Path, word: int) -> None:
    path, params = recorded(tmp_path, STORM, ""), tmp_path / "given.toml"
    params.write_text("")
    plain = path.read_bytes()
    plain += bytes(-len(plain) % 8)
    options = ["--params", params, "--elf", STORM, "--platform", "spike"]
    path.write_bytes(plain)
    form = f"swap{8 * word}"
    told = run("decode", path, *options, "--input-format", form, code=3).stderr
    assert "; with --input-format bin it would be more" in told
    path.write_bytes(b"".join(plain[at : at + word][::-1] for at in range(0, len(plain), word)))
    told = run("decode", path, *options, code=3).stderr
    assert f"; with --input-format {form} it would be more" in told
    run("decode", path, *options, "--input-format", form)


def test_without_a_program_the_packets_tell(run: Run, tmp_path: Path) -> None:
    path, params = recorded(tmp_path, STORM, SRCID), tmp_path / "given.toml"
    params.write_text("")
    told = run("dump", path, "--params", params, code=3).stderr
    assert "make sense; with [framing] srcid_width = 6, [framing] srcid = 33 it would be" in told


@pytest.mark.parametrize("other", ["nested-rv64.elf", "trap_loop-rv64.elf"])
def test_another_program(run: Run, tmp_path: Path, other: str) -> None:
    path, params = recorded(tmp_path, STORM, ""), tmp_path / "given.toml"
    params.write_text("")
    options = ["--params", params, "--elf", FIRMWARE / other, "--platform", "spike"]
    told = run("decode", path, *options, code=3).stderr
    assert "though the packets make sense: is it the program that was traced?" in told
    trace = tmp_path / "t.etrace"
    run("record", STORM, "-o", trace)
    for verb, code in (("decode", 3), ("info", 3)):
        told = run(verb, trace, "--elf", FIRMWARE / other, "--force", code=code).stderr
        assert "is it the program that was traced?" in told


def test_damage_is_no_wrong_parameter(tmp_path: Path) -> None:
    path, params = recorded(tmp_path, STORM, ""), tmp_path / "given.toml"
    params.write_text("")
    whole = path.read_bytes()
    for seed in range(6):
        rng = Random(seed)
        data = bytearray(whole)
        for _ in range(3):
            data[rng.randrange(200, len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        opened = etrace.open(path, params=params, elf=STORM, platform="spike")
        if advice := diagnosis.diagnose(opened):
            assert "; with" not in advice and "is it the program" not in advice, (seed, advice)


def test_work_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random bytes: no alternative fits, and few are tried."""
    path, params = tmp_path / "random.bin", tmp_path / "given.toml"
    path.write_bytes(Random(1).randbytes(1 << 20))
    params.write_text("")
    opened = etrace.open(path, params=params, elf=STORM, platform="spike")
    calls = []
    genuine = diagnosis.fit

    def counted(head: bytes, *rest: object) -> diagnosis.Fit:
        calls.append(len(head))
        return genuine(head, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(diagnosis, "fit", counted)
    advice = diagnosis.diagnose(opened)
    assert advice is None or "; with" not in advice
    assert len(calls) < 250 and max(calls) <= 1 << 14


def test_a_sound_trace_has_no_advice(traps_trace: Path) -> None:
    assert diagnosis.diagnose(etrace.open(traps_trace)) is None
