"""The examples of the guides that need nothing but what is here, run as they stand."""

import re
from pathlib import Path

import pytest

from tests.etrace.conftest import ROOT
from tests.etrace.test_processes import Command
from tests.etrace.test_recipe import blocks, section, shell, with_etrace

NESTED = ROOT / "tests" / "firmware" / "nested-rv64.elf"


@pytest.fixture
def place(tmp_path: Path, etrace_command: Command) -> tuple[Path, dict[str, str]]:
    """A directory from which the examples see what they see from a checkout."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    return with_etrace(tmp_path, etrace_command)


def test_the_encoder_of_others(place: tuple[Path, dict[str, str]]) -> None:
    (commands,) = blocks(section("docs/guides/rtl.md", "An example that is here"), "sh")
    told = shell(place, commands)
    assert told.startswith("the same bytes\n")
    assert ": the same, 20,035 instructions and 0 traps, 1 loop" in told
    assert len(re.findall(r"^ +\d+ +\d+ +\d+ [0-3]", told, re.M)) == 5


def test_a_dump_without_a_chip(place: tuple[Path, dict[str, str]]) -> None:
    """Whole, as a ring with and without its pointer, and with a wrong parameter."""
    text = section("docs/guides/silicon.md", "Try it without a chip")
    make, ring, wrong = blocks(text, "sh")
    told = shell(place, make + ring + wrong).splitlines()
    last = [line.split() for line in told[2:9:3]]
    assert [each[1:4] for each in last] == [["8000002e", "bfe5", "j"]] * 3
    assert [each[0] for each in last] == ["20034", "8899", "8899"]
    (shown,) = re.findall(r"^```\n(etrace: .*?)^```", text, re.M | re.S)
    assert "\n".join(told[9:]) + "\n" == shown


@pytest.mark.parametrize(
    ("page", "title", "elf"),
    [
        ("docs/start.md", "The same in Python", "firmware.elf"),
        ("docs/reference/python.md", None, "fw.elf"),
    ],
)
def test_in_python(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: str, title: str | None, elf: str
) -> None:
    text = section(page, title) if title else (ROOT / page).read_text(encoding="utf-8")
    example, *_ = blocks(text, "python")
    (tmp_path / elf).write_bytes(NESTED.read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example, page, "exec"), names)
    assert names["trace"]


def test_the_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What docs/guides/model.md shows is what its example prints; and the other way round."""
    page = "docs/guides/model.md"
    (tmp_path / "chip.toml").write_text(
        "[parameters]\niaddress_width_p = 32\necause_width_p = 5\n", encoding="utf-8"
    )
    (tmp_path / "fw.elf").write_bytes((ROOT / "tests/firmware/nested-rv32.elf").read_bytes())
    monkeypatch.chdir(tmp_path)
    text = section(page, "A block at a time")
    (example,) = blocks(text, "python")
    (shown,) = re.findall(r"^```\n(0 range.*?)^```", text, re.M | re.S)
    names: dict[str, object] = {}
    exec(compile(example, page, "exec"), names)
    assert capsys.readouterr().out == shown
    (other,) = blocks(section(page, "The other way"), "python")
    encoder = names["model"].Encoder("chip.toml")  # type: ignore[attr-defined]
    names["encoder_packets"] = encoder.step(names["events"])
    exec(compile(other, page, "exec"), names)
    assert "Retired(pc=2147483648, priv=3)" in capsys.readouterr().out
