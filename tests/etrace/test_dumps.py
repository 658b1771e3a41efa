"""Streams as debuggers save them: compressed, as text, word-swapped, from ring buffers."""

import gzip
import lzma
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random

import bincopy
import pytest
from click.testing import CliRunner

import etrace
from etrace.cli import main
from etrace.errors import InputError
from etrace.trace import dumps
from specs.configuration.parameters import Configuration, FramingParameters
from tests.etrace.conftest import Run

STORM = Path(__file__).parents[1] / "firmware" / "storm-rv64.elf"


@dataclass
class Bare:
    """A bare stream, the options that read it, and its pcs as `decode --format pc` has them."""

    stream: bytes
    options: list[object]
    pcs: str


@pytest.fixture(scope="session", params=["encap", "reference", "srcid"])
def bare(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bare:
    folder = tmp_path_factory.mktemp("dumps")
    params = folder / "params.toml"
    params.write_text(
        {
            "encap": "[framing]\nsync_period = 512\n",
            "reference": "[framing]\nkind = 'reference'\n[resync]\nperiod = 50\n",
            "srcid": "[framing]\nsrcid_width = 6\nsrcid = 33\nsync_period = 1024\n",
        }[request.param]
        + ("[resync]\nperiod = 50\n" if request.param != "reference" else "")
    )
    trace = etrace.record(STORM, params=params)
    text = "".join(f"{pc:x}\n" for pc in trace.pcs().tolist())
    options = ["--params", params, "--elf", STORM, "--platform", "spike"]
    return Bare(b"".join(trace.chunks()), options, text)


def ring(stream: bytes, size: int) -> tuple[bytes, int]:
    """A buffer of `size` bytes after the stream went through it, idle bytes to the last word; and
    the write pointer. (The reference framing has no idle bytes: its first ones are left out.)"""
    if stream[0] & 0xE0 == 0x40:
        stream = stream[len(stream) % 4 :]
    stream += bytes(-len(stream) % 4)
    buffer = bytearray(size)
    for at in range(0, len(stream), size):
        piece = stream[at : at + size]
        buffer[: len(piece)] = piece
    return bytes(buffer), len(stream) % size


def tail(run: Run, path: Path, bare: Bare, *options: object) -> int:
    """Decode what must be the last instructions of the run; how many."""
    result = run("decode", path, *bare.options, "--format", "pc", *options)
    # the resynchronisation that begins it may lie anywhere, but nothing may be missing behind it
    assert result.stdout and bare.pcs.endswith(result.stdout)
    return result.stdout.count("\n")


@pytest.mark.parametrize("size", [2048, 4096, 5000, 9996])
def test_a_wrapped_ring_finds_its_seam(run: Run, tmp_path: Path, bare: Bare, size: int) -> None:
    data, pointer = ring(bare.stream, size)
    path = tmp_path / "ring.bin"
    path.write_bytes(data)
    found = tail(run, path, bare, "--ring")
    assert tail(run, path, bare, "--ring", hex(pointer)) == found
    assert found > 500
    told = run("decode", path, *bare.options, "--ring=auto", "--to", 0).stderr
    assert f"the ring's oldest byte is at {pointer:#x}" in told
    for verb in ("dump", "info"):
        run(verb, path, *bare.options, "--ring")


def test_a_ring_that_has_not_wrapped(run: Run, tmp_path: Path, bare: Bare) -> None:
    path = tmp_path / "ring.bin"
    path.write_bytes(bare.stream + bytes(70000))
    if bare.stream[0] & 0xE0 == 0x40:
        path.write_bytes(bare.stream)  # the reference framing has no null bytes
    result = run("decode", path, *bare.options, "--format", "pc", "--ring")
    assert result.stdout == bare.pcs


@pytest.mark.parametrize("cut", range(40, 1500, 97))
def test_stopped_in_the_middle(run: Run, tmp_path: Path, bare: Bare, cut: int) -> None:
    """No packet says that tracing ended, and the last may not be whole: told, and no error."""
    data, pointer = ring(bare.stream[: 9000 + cut & -4], 4096)
    path = tmp_path / "ring.bin"
    path.write_bytes(data)
    result = run("decode", path, *bare.options, "--format", "pc", f"--ring={pointer}")
    assert result.stdout and result.stdout in bare.pcs
    assert "cut short" in result.stderr or "ends inside a packet" in result.stderr


@pytest.mark.parametrize("skip", [1, 2, 3, 17, 50, 99, 333, 1001, 2222])
def test_a_stream_that_starts_inside_a_packet(
    run: Run, tmp_path: Path, bare: Bare, skip: int
) -> None:
    path = tmp_path / "stream.bin"
    path.write_bytes(bare.stream[skip:])
    assert tail(run, path, bare) > 5000


def test_damage_further_on_is_no_start(run: Run, tmp_path: Path, bare: Bare) -> None:
    path = tmp_path / "stream.bin"
    busy = (at for at in range(3000, 4000) if all(each & 31 for each in bare.stream[at : at + 6]))
    at = next(busy)  # in packets, not in idle bytes
    path.write_bytes(bare.stream[:at] + b"\xff" * 6 + bare.stream[at + 6 :])
    result = run("decode", path, *bare.options, "--format", "pc", code=3)
    assert "starts inside" not in result.stderr


def test_a_trace_file_has_no_edges(run: Run, tmp_path: Path, traps_trace: Path) -> None:
    """What begins with damage behind a header was not like that when it was recorded."""
    data = traps_trace.read_bytes()
    at = data.index(b"}\n", data.rindex(b'"xlen"')) + 2
    path = tmp_path / "t.etrace"
    path.write_bytes(data[:at] + data[at + 40 :])
    run("decode", path, code=3)
    assert "not a ring" in run("decode", traps_trace, "--ring=auto", code=2).stderr


def swapped(data: bytes, word: int) -> bytes:
    data += bytes(-len(data) % word)
    return b"".join(data[at : at + word][::-1] for at in range(0, len(data), word))


def test_formats_of_dumps(run: Run, tmp_path: Path, bare: Bare) -> None:
    path = tmp_path / "dump"
    file = bincopy.BinFile()
    file.add_binary(bare.stream, address=0x2000_0000)
    texts = {"ihex": file.as_ihex().encode(), "srec": file.as_srec().encode()}
    for form, text in texts.items():
        path.write_bytes(text)
        for options in ([], ["--input-format", form]):
            assert run("decode", path, *bare.options, *options, "--format", "pc").stdout == bare.pcs
        opened = etrace.open(path, params=bare.options[1], elf=STORM, platform="spike")
        assert opened.decode().instructions == bare.pcs.count("\n")
    if bare.stream[0] & 0xE0 == 0x40:
        return  # no null bytes to fill the last word with
    for bits in (16, 32, 64):
        path.write_bytes(swapped(bare.stream, bits // 8))
        options = ["--input-format", f"swap{bits}", "--format", "pc"]
        assert run("decode", path, *bare.options, *options).stdout == bare.pcs
    path.write_bytes(swapped(bare.stream, 4)[:-1])
    told = run("decode", path, *bare.options, "--input-format", "swap32", code=2).stderr
    assert "not whole words of 32 bits" in told


def test_a_ring_with_addresses(run: Run, tmp_path: Path, bare: Bare) -> None:
    """trRamWP is an address then, and its lowest bit, trRamWrap, does not count."""
    data, pointer = ring(bare.stream, 4096)
    file = bincopy.BinFile()
    file.add_binary(data, address=0x8010_0000)
    path = tmp_path / "ring.hex"
    path.write_text(file.as_ihex())
    tail(run, path, bare, "--ring", hex(0x8010_0000 + pointer | 1))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (b":0400000001020304F3\n", ["--input-format", "ihex"], "not ihex: expected crc"),
        (b"hello", ["--input-format", "ihex"], "not ihex"),
        (b"\xff\xfe", ["--input-format", "srec"], "not srec"),
        (
            b":0100000001FE\n:0101000001FD\n",
            [],
            "several areas of memory, or none (1 bytes at 0x0, 1 bytes",
        ),
        (b":00000001FF\n", [], "several areas of memory, or none (none)"),
        (bytes(64), ["--ring", "65536"], "the buffer has 64 bytes; give trRamWP less trRamStart"),
        (bytes(64), ["--ring", "file"], "'file' is no number; without a pointer write --ring=auto"),
    ],
)
def test_what_cannot_be_read(
    run: Run, tmp_path: Path, text: bytes, options: list[str], message: str
) -> None:
    path, params = tmp_path / "dump", tmp_path / "p.toml"
    path.write_bytes(text)
    params.write_text("")
    told = run("dump", path, "--params", params, *options, code=2).stderr
    assert message in told and told.count("\n") == 1


def test_a_seam_that_nothing_tells(run: Run, tmp_path: Path, bare: Bare) -> None:
    broken = bytearray(ring(bare.stream, 4096)[0])
    for at in (600, 1800, 3000):
        broken[at : at + 8] = b"\xff" * 8
    path = tmp_path / "ring.bin"
    path.write_bytes(broken)
    told = run("decode", path, *bare.options, "--ring=auto", code=3).stderr
    assert "give the write pointer: --ring POINTER" in told


def test_scattered_records_take_no_time(run: Run, tmp_path: Path) -> None:
    """A hundred thousand areas of one byte: told after the first few."""
    path, params = tmp_path / "dump.hex", tmp_path / "p.toml"
    params.write_text("")
    lines = []
    for address in range(0, 0xFFFF, 2):
        body = bytes([4, address >> 8, address & 0xFF, 0])
        lines.append(f"S1{body.hex().upper()}{0xFF - sum(body) & 0xFF:02X}\n")
    path.write_text("".join(lines) * 3)
    assert "several areas" in run("dump", path, "--params", params, code=2).stderr


def test_extended_addresses_hold_across_pieces() -> None:
    data = Random(1).randbytes(200_000)
    file = bincopy.BinFile()
    file.add_binary(data, address=0x8000_FFF0)
    text = file.as_ihex(number_of_data_bytes=16).encode()
    found = dumps.contents(BytesIO(text), "x", "auto")
    assert (found.base, found.read(1 << 20)) == (0x8000_FFF0, data)


def test_whatever_bytes_give_an_answer(tmp_path: Path, bare: Bare) -> None:
    """Random, mutated and cut streams through every format and ring: exit 0, 2 or 3, one line each
    problem, no traceback."""
    path = tmp_path / "dump"
    for seed in range(60):
        rng = Random(seed)
        data = bytearray(rng.choice((bare.stream[: rng.randrange(6000)], rng.randbytes(3000))))
        for _ in range(rng.randrange(20)):
            if data:
                data[rng.randrange(len(data))] = rng.choice((0, 0xFF, 0x80, 0x3A, 0x41))
        prefix = rng.choice((b"", b"", b":", b"S1", b"\x1f\x8b\x08", b"\xfd7zXZ\x00"))
        path.write_bytes(prefix + data)
        options = rng.choice(
            ([], ["--ring=auto"], [f"--ring={rng.randrange(4000)}"], ["--input-format", "ihex"],
             ["--input-format", "swap16"], ["--input-format", "srec"])
        )  # fmt: skip
        for verb in ("dump", "decode", "info"):
            line = [verb, str(path), *map(str, bare.options), *options]
            result = CliRunner().invoke(main, line)
            assert result.exit_code in (0, 2, 3), (seed, result.exit_code, result.exception)
            assert isinstance(result.exception, SystemExit | None), (seed, result.exception)


# -- compressed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_compressed_traces_are_read_as_they_are(
    run: Run, tmp_path: Path, traps_trace: Path, compress: object
) -> None:
    assert callable(compress)
    data = traps_trace.read_bytes()
    path = tmp_path / "t.etrace.z"
    half = len(data) // 2
    for content in (compress(data), compress(data[:half]) + compress(data[half:])):
        path.write_bytes(content)
        for verb in ("decode", "dump", "verify", "info"):
            result = run(verb, path).stdout
            assert result.replace(str(path), "") == run(verb, traps_trace).stdout.replace(
                str(traps_trace), ""
            )
        assert etrace.open(path).verify().same
    result = run("decode", "-", input=compress(data))
    assert result.stdout == run("decode", traps_trace).stdout
    path.write_bytes(compress(data)[:-9])
    assert "compressed file is truncated" in run("decode", path, code=2).stderr
    path.write_bytes(compress(data)[:60] + b"\xff" * 40)
    assert "broken compressed file" in run("decode", path, code=2).stderr


def test_what_expands_is_bounded(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 KB of xz stand for 64 MiB of zeros, null packets all; and a CSV likewise."""
    monkeypatch.setattr("etrace.expand._FREE", 1 << 20)
    path, params = tmp_path / "zeros.xz", tmp_path / "p.toml"
    params.write_text("")
    machine = lzma.LZMACompressor()
    parts = [machine.compress(bytes(1 << 20)) for _ in range(64)]
    path.write_bytes(b"".join(parts) + machine.flush())
    for verb in ("dump", "encode"):
        rest = ["-o", tmp_path / "out"] if verb == "encode" else []
        told = run(verb, path, "--params", params, *rest, code=2).stderr
        assert ("too many for a trace" in told or "too long" in told) and told.count("\n") == 1


def test_a_dictionary_of_gigabytes_is_refused(run: Run, tmp_path: Path) -> None:
    path, params = tmp_path / "big.xz", tmp_path / "p.toml"
    params.write_text("")
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(b"x" * 100, filters=filters))
    # block header: size, flags, filter id, size of properties, dictionary; then CRC32
    assert data[14:16] == b"\x21\x01"
    data[16] = 40  # 4 GiB - 1
    import zlib

    end = 12 + 4 * (data[12] + 1)
    data[end - 4 : end] = zlib.crc32(data[12 : end - 4]).to_bytes(4, "little")
    path.write_bytes(data)
    assert "broken compressed file" in run("dump", path, "--params", params, code=2).stderr


# -- a program is needed only by what uses it ---------------------------------------------------


def test_packets_need_no_program(run: Run, tmp_path: Path) -> None:
    elf, path = tmp_path / "gone.elf", tmp_path / "t.etrace"
    elf.write_bytes(STORM.read_bytes())
    run("record", elf, "-o", path)
    whole = sum(len(rows) for rows in etrace.open(path).packets())
    elf.write_bytes(STORM.read_bytes() + b"\0")
    trace = etrace.open(path)
    assert sum(len(rows) for rows in trace.packets()) == whole > 100
    with pytest.raises(etrace.ProgramMismatchError):
        trace.decode()
    with pytest.raises(etrace.ProgramMismatchError):
        etrace.open(path, elf=elf)
    elf.unlink()
    trace = etrace.open(path)
    assert sum(len(rows) for rows in trace.packets()) == whole
    with pytest.raises(etrace.InputError, match="say where it is with --elf"):
        trace.verify()


def test_a_ring_is_no_compressed_file(run: Run, tmp_path: Path, bare: Bare) -> None:
    """Whatever its oldest bytes are: here the first three of a gzip file."""
    data, pointer = ring(bare.stream, 4096)
    path = tmp_path / "ring.bin"
    path.write_bytes(data[:pointer] + b"\x1f\x8b\x08" + data[pointer + 3 :])
    tail(run, path, bare, "--ring", hex(pointer))


def test_lead_in_of_nothing() -> None:
    chosen = Configuration(framing=FramingParameters(kind="reference"))
    assert dumps.lead_in(b"", chosen, wrapped=False) == 0
    assert dumps.unrolled(b"", 0, "auto", chosen, "x") == (b"", dumps.Seam(0))
    with pytest.raises(InputError, match="must be one of auto, bin"):
        dumps.contents(open(STORM, "rb"), "x", "hex")  # noqa: SIM115
