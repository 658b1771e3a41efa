"""Our rooms against traces that independent tools made (tests/golden/README.md).

What is compared are events, see tests/events.py.
"""

import csv
import gzip
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner

from decoder.decoder import Decoder
from emu.machine import Machine
from emu.platforms import elf
from encoder.encoder import Encoder
from etrace.cli import main
from etrace.sources import csvin
from specs.configuration import parameters
from specs.interfaces.ingress import Chunk
from specs.isa.control import CodeMap
from tests.events import Event, flow_events, program_memory

GOLDEN = Path(__file__).resolve().parent / "golden"
CONFIGURATIONS = ("basic", "full", "resync", "template")
WIDTHS = (32, 64)
#: With packets of the reference encoder; it follows the specification where nothing traps.
UNTRAPPED = tuple((f"rv{xlen}-{name}", xlen) for xlen in WIDTHS for name in ("flow", "kernels"))
TRAPPED = tuple((f"rv{xlen}-{name}", xlen) for xlen in WIDTHS for name in ("traps", "modes"))
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


def encode(chunks: Iterable[Chunk], configuration: parameters.Configuration) -> bytes:
    encoder = Encoder(configuration)
    return b"".join(bytes(encoder.feed(chunk)) for chunk in chunks) + bytes(encoder.finish())


def load(configuration: str, xlen: int) -> parameters.Configuration:
    return parameters.load(GOLDEN / f"{configuration}.toml", xlen)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize(("image", "xlen"), UNTRAPPED)
def test_encoding_gives_the_reference_packets(image: str, xlen: int, configuration: str) -> None:
    packets = encode(csvin.chunks(str(file(image, "ingress.csv.gz"))), load(configuration, xlen))
    assert packets == file(image, f"{configuration}.te_inst_raw").read_bytes()


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize(("image", "xlen"), UNTRAPPED)
def test_decoding_the_reference_packets_gives_the_pc_trace(
    image: str, xlen: int, configuration: str
) -> None:
    packets = file(image, f"{configuration}.te_inst_raw").read_bytes()
    assert decode(packets, load(configuration, xlen), image) == expected(image)


@pytest.mark.parametrize("configuration", [*CONFIGURATIONS, None])
@pytest.mark.parametrize(("image", "xlen"), TRAPPED)
def test_encode_then_decode_gives_the_rows_back(
    image: str, xlen: int, configuration: str | None
) -> None:
    """Traps in M, S and U; None: our defaults, with the standard encapsulation."""
    chosen = load(configuration, xlen) if configuration else parameters.load(None, xlen)
    packets = encode(csvin.chunks(str(file(image, "ingress.csv.gz"))), chosen)
    assert decode(packets, chosen, image) == expected(image)


@pytest.mark.parametrize(("image", "xlen"), MACHINE_MODE)
def test_running_the_firmware_gives_the_pc_trace(image: str, xlen: int) -> None:
    """Emulated, encoded and decoded; the golden run ends at the first jump back to `tohost`."""
    configuration = parameters.load(None, xlen)
    machine = Machine([elf.load(str(file(image, "elf")))])
    packets = encode(machine.run(), configuration)
    assert machine.exit_code == 0
    assert decode(packets, configuration, image) == expected(image)


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
