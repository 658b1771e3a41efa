"""The listing's kernel against the same lines made in plain Python; `dump --from --to`."""

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest

from decoder import PacketReader
from etrace.views.packets import PacketText, Rows
from specs.configuration.parameters import Configuration, FramingParameters
from specs.interfaces.flow import Reason
from specs.trace.packets import COLUMNS, TABLES, Column, Format
from tests import adapter
from tests.decoder.support import configuration, decorated
from tests.decoder.test_model import FRAMINGS
from tests.etrace import packetlines
from tests.etrace.conftest import Run
from tests.model import encoder
from tests.model.generate import random_trial
from tests.model.generate_modes import random_modes_trial, random_update_trial


def _same(arrays: list[Rows], chosen: Configuration) -> int:
    """Compare the lines of packets that come in pieces; their number."""
    for as_json in (False, True):
        slow, fast = packetlines.PacketText(chosen), PacketText(chosen, as_json)
        line = slow.as_json if as_json else slow.as_text
        for rows in arrays:
            expected = [line(row) for row in rows.tolist()]
            assert fast.describe(rows).decode().splitlines(keepends=True) == expected
        assert fast.number == slow.number
    return slow.number


@pytest.mark.parametrize("trial", [random_trial, random_modes_trial, random_update_trial])
def test_every_line_is_that_of_the_tables(trial: object) -> None:
    """All formats, modes, protocols, framings; damage; support packets that change the layout."""
    assert callable(trial)
    lines = 0
    for seed in range(60):
        rng = Random(seed)
        case, settings = trial(seed)
        framing: FramingParameters = rng.choice(FRAMINGS)
        settings = adapter.expressible(settings)
        chosen = configuration(settings, framing)
        if chosen is None:
            continue
        data = bytearray(decorated(encoder.encode_bytes(case.rows, settings), framing, rng))
        for _ in range(rng.randrange(3)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        reader = PacketReader(chosen)
        reader.feed(data)
        arrays = []
        while len(rows := reader.read(final=True)[1]):
            arrays.append(rows.copy())
        lines += _same(arrays, chosen)
    assert lines > 1000


def test_the_widest_values() -> None:
    """Every column all ones, every format, every reason; widths of 64 bits."""
    parameters = {
        "context_width_p": 64,
        "nocontext_p": 0,
        "ecause_width_p": 64,
        "iaddress_lsb_p": 0,
        "ioptions_width_p": 64,
        "doptions_width_p": 64,
        "irdepth_width_p": 32,
        "bpred_size_p": 15,
        "cache_size_p": 15,
        "f0s_width_p": 2,
        "iaddress_width_p": 48,
    }
    base = Configuration.default()
    chosen = type(base)(
        parameters=type(base.parameters)(**parameters),
        framing=FramingParameters(srcid_width=16, timestamp_width=64, type_width=3),
    )
    rows = np.full((len(Format) + len(Reason), COLUMNS), (1 << 64) - 1, np.uint64)
    rows[:, Column.reason] = 0
    rows[: len(Format), Column.table] = range(len(Format))
    rows[:, [Column.privilege, Column.qual_status, Column.branch_fmt]] = 15, 3, 3
    rows[:, [Column.branches, Column.interrupt, Column.branch, Column.thaddr]] = 31, 0, 1, 0
    for bit in (Column.notify, Column.updiscon, Column.irreport, Column.ienable, Column.dloss):
        rows[:, bit] = 1
    rows[:, [Column.denable, Column.encoder_mode, Column.format, Column.subformat]] = 1, 0, 3, 3
    for number, reason in enumerate(Reason):
        rows[len(Format) + number, [Column.reason, Column.table]] = reason, 0
    rows[Format.SUPPORT, Column.ienable :] = np.minimum(rows[Format.SUPPORT, Column.ienable :], 1)
    whole = np.concatenate([rows[:7], rows[8:], rows[7:8]])
    assert _masked(whole, chosen) == len(whole)


def _masked(rows: Rows, chosen: Configuration) -> int:
    """`_same` of rows whose fields are cut to their widths, as a reader gives them."""
    for row in rows:
        if not row[Column.reason]:
            for field in TABLES[int(row[Column.table])]:
                bits = field.bits(chosen)
                if 0 < bits < 64 and field.column != Column.privilege:
                    row[field.column] &= np.uint64((1 << bits) - 1)
                elif field.column == Column.branch_map:
                    row[field.column] &= np.uint64((1 << 31) - 1)
    return _same([rows], chosen)


def test_a_privilege_of_one_bit() -> None:
    base = Configuration.default()
    chosen = type(base)(parameters=type(base.parameters)(privilege_width_p=1))
    reader = PacketReader(chosen)
    reader.feed(bytes([2, 3 | 1 << 4 | 1 << 5, 0x08, 2, 3 | 1 << 4, 0x08]))
    rows = reader.read(final=True)[1]
    assert rows[:, Column.privilege].tolist() == [3, 0]
    text = PacketText(chosen, as_json=False).describe(rows).decode()
    assert "privilege=1(M)/1" in text and "privilege=0(U)/1" in text
    assert '"privilege": {"value": 1, "bits": 1}' in (
        PacketText(chosen, as_json=True).describe(rows).decode()
    )


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_from_and_to(run: Run, traps_trace: Path, flags: list[str]) -> None:
    whole = run("dump", traps_trace, *flags).stdout.splitlines()
    for first, last in ((0, 228), (5, 9), (227, 500), (7, 7), (0, 0), (228, 229)):
        result = run("dump", traps_trace, "--from", first, "--to", last, *flags)
        assert result.stdout.splitlines() == whole[first:last]
    assert run("dump", traps_trace, "--from", 200, *flags).stdout.splitlines() == whole[200:]


def test_from_beyond_the_end(run: Run, traps_trace: Path) -> None:
    result = run("dump", traps_trace, "--from", 229, code=2)
    assert result.stderr == f"etrace: {traps_trace}: --from 229: the stream has but 228 packets\n"
    assert (
        "--to 3 is before --from 4"
        in run("dump", traps_trace, "--from", 4, "--to", 3, code=2).stderr
    )


def test_json_lines_are_json(run: Run, traps_trace: Path) -> None:
    for line in run("dump", traps_trace, "--json").stdout.splitlines():
        assert list(json.loads(line)) == [
            "number", "offset", "length", "format", "framing", "fields", "is",
        ]  # fmt: skip
