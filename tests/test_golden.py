"""Our rooms against traces that independent tools made (tests/golden/README.md).

Through tests/golden/suite.toml, as users do it; and apart from it, by events (tests/events.py).
"""

import csv
import gzip
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from decoder.decoder import Decoder
from etrace.checking.regress.outcome import Status
from etrace.checking.regress.run import run_case
from etrace.cli import main
from specs.configuration import parameters
from specs.isa.control import CodeMap
from tests.events import Event, flow_events, program_memory
from tests.test_matrix import CASES

GOLDEN = Path(__file__).resolve().parent / "golden"
CONFIGURATIONS = ("basic", "full", "resync", "template")
WIDTHS = (32, 64)
#: With packets of the reference encoder; it follows the specification where nothing traps.
UNTRAPPED = tuple((f"rv{xlen}-{name}", xlen) for xlen in WIDTHS for name in ("flow", "kernels"))
MACHINE_MODE = tuple(
    (f"rv{xlen}-{name}", xlen) for xlen in WIDTHS for name in ("flow", "kernels", "traps")
)


def file(image: str, suffix: str) -> Path:
    return GOLDEN / image / f"{image}.{suffix}"


def expected(image: str) -> list[Event]:
    """The events of a pc trace."""
    events: list[Event] = []
    with gzip.open(file(image, "pc_trace.csv.gz"), "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            pc, privilege = int(row["ADDRESS"], 16), int(row["PRIVILEGE"], 16)
            if row["EXCEPTION"] == "0":
                events.append(("retire", pc, privilege))
                continue
            cause, tval = int(row["ECAUSE"], 16), int(row["TVAL"], 16)
            events.append(("trap", pc, cause, tval, int(row["INTERRUPT"]), privilege))
    return events


def decode(packets: bytes, configuration: parameters.Configuration, image: str) -> list[Event]:
    xlen, memory = program_memory(file(image, "elf"))
    decoder = Decoder(configuration, CodeMap(memory, xlen))
    return list(flow_events([*decoder.feed(packets), *decoder.finish()], memory))


def load(configuration: str, xlen: int) -> parameters.Configuration:
    return parameters.load(GOLDEN / f"{configuration}.toml", xlen)


GOLDEN_CASES = [case.name for case in CASES.values() if "golden" in case.tags]


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_a_case_of_the_suite(name: str) -> None:
    """Packets as of the reference encoder, byte for byte; rows and runs as Spike logged them."""
    result = run_case(CASES[name]).result
    assert result.status == Status.PASSED, (result.reason, result.text)


def test_the_suite_has_all_golden_files() -> None:
    references = {Path(case.reference).resolve() for case in CASES.values() if case.reference}
    made = [*GOLDEN.glob("*/*.te_inst_raw"), *GOLDEN.glob("*/*.pc_trace.csv.gz")]
    assert references == {path.resolve() for path in made} and len(made) == 24
    streams = {Path(case.stream).resolve() for case in CASES.values() if case.stream}
    assert streams == {path.resolve() for path in GOLDEN.glob("*/*.ingress.csv.gz")}


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_a_changed_reference_is_noticed(name: str, tmp_path: Path) -> None:
    """One byte of the packets, or one row of the log, is another: the case fails."""
    case = CASES[name]
    assert case.reference is not None
    data = Path(case.reference).read_bytes()
    if case.reference.endswith(".gz"):
        lines = gzip.decompress(data).decode().splitlines(keepends=True)
        retired = next(n for n in range(len(lines) // 2, len(lines)) if ",0,0,0,0" in lines[n])
        changed = tmp_path / "changed.csv"
        changed.write_text("".join(lines[:retired] + lines[retired + 1 :]))
    else:
        changed = tmp_path / "changed.te_inst_raw"
        middle = len(data) // 2
        changed.write_bytes(data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :])
    assert not run_case(replace(case, reference=str(changed))).result.ok


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize(("image", "xlen"), UNTRAPPED)
def test_decoding_the_reference_packets_gives_the_pc_trace(
    image: str, xlen: int, configuration: str
) -> None:
    packets = file(image, f"{configuration}.te_inst_raw").read_bytes()
    assert decode(packets, load(configuration, xlen), image) == expected(image)


def invoke(*arguments: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.parametrize(("image", "xlen"), [("rv32-kernels", 32), ("rv64-flow", 64)])
def test_the_command_line_does_it_too(image: str, xlen: int, tmp_path: Path) -> None:
    settings = GOLDEN / "resync.toml"
    packets, rows = tmp_path / "packets", tmp_path / "rows.csv"
    invoke(
        "encode", file(image, "ingress.csv.gz"), "-o", packets,
        "--params", settings, "--xlen", str(xlen), "--framing", "reference", "--raw",
    )  # fmt: skip
    assert packets.read_bytes() == file(image, "resync.te_inst_raw").read_bytes()
    invoke(
        "decode", packets, "--params", settings, "--elf", file(image, "elf"),
        "--platform", "spike", "--format", "csv", "-o", rows,
    )  # fmt: skip
    decoded = rows.read_text().splitlines()
    # the last jump leads to itself: the packets do not tell how often
    assert [at for at, row in enumerate(decoded) if row.startswith("0,")] == [len(decoded) - 2]
    del decoded[-2]
    assert decoded == gzip.decompress(file(image, "pc_trace.csv.gz").read_bytes()).decode().split()


@pytest.mark.parametrize(("image", "xlen"), MACHINE_MODE)
def test_verify_agrees_with_the_pc_trace(image: str, xlen: int, tmp_path: Path) -> None:
    trace = tmp_path / "run.etrace"
    log = file(image, "pc_trace.csv.gz")
    invoke("record", file(image, "elf"), "-o", trace)
    invoke("verify", trace, "--against", log)

    lines = gzip.decompress(log.read_bytes()).decode().splitlines(keepends=True)
    del lines[len(lines) // 2]
    changed = tmp_path / "changed.csv"
    changed.write_text("".join(lines))
    invoke("verify", trace, "--against", changed, code=1)
