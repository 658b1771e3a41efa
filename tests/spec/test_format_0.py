"""E-Trace 2.0, section "Format 0 packets": what the fields hold, and their bits.

The bits are worked out by hand: fields in the order of the tables, the first one lowest.
"""

import pytest

from tests.model import codec
from tests.model.settings import Modes, Parameters

COUNT = Parameters(bpred_size_p=4)
CACHE = Parameters(cache_size_p=3)
BOTH = Parameters(bpred_size_p=4, cache_size_p=3, f0s_width_p=1)
RETURNS = Parameters(cache_size_p=3, return_stack_size_p=3)

PREDICTION = Modes(branch_prediction=True)
TARGETS = Modes(jump_target_cache=True)
ALL = Modes(branch_prediction=True, jump_target_cache=True)

ADDRESS = {"notify": 0, "updiscon": 0, "irreport": 0, "irdepth": 0}


@pytest.mark.parametrize(
    ("branch_count", "payload"),
    [
        (0, "00"),  # 31 branches: one byte of zeros
        (1, "04"),
        (0x1F, "7c"),
        (0x20, "80 00"),
        (0x8000_0000, "00 00 00 00 02"),
    ],
)
def test_count_without_address(branch_count: int, payload: str) -> None:
    """branch_fmt 00 at the top lets the count shrink. No subformat: one format is supported."""
    packet = {"format": 0, "branch_count": branch_count, "branch_fmt": 0}
    assert codec.to_bytes(packet, COUNT, PREDICTION).hex(" ") == payload
    read = codec.from_bytes(bytes.fromhex(payload), COUNT, PREDICTION)
    assert packet.items() <= read.items()


@pytest.mark.parametrize(
    ("parameters", "modes", "branch_fmt", "payload"),
    [
        (COUNT, PREDICTION, 2, "04 00 00 00 28"),
        (COUNT, PREDICTION, 3, "04 00 00 00 2c"),
        (BOTH, ALL, 2, "08 00 00 00 50"),  # one bit of subformat moves all up
    ],
)
def test_count_with_address(
    parameters: Parameters, modes: Modes, branch_fmt: int, payload: str
) -> None:
    """32 branches, and an address 4 bytes further."""
    packet = {"format": 0, "branch_count": 1, "branch_fmt": branch_fmt, "address": 2} | ADDRESS
    packet |= {"subformat": 0} if parameters.f0s_width_p else {}
    assert codec.to_bytes(packet, parameters, modes).hex(" ") == payload
    assert packet.items() <= codec.from_bytes(bytes.fromhex(payload), parameters, modes).items()


@pytest.mark.parametrize(
    ("parameters", "modes", "fields", "payload"),
    [
        (CACHE, TARGETS, {"branches": 0, "irreport": 0}, "14"),
        (CACHE, TARGETS, {"branches": 2, "branch_map": 0b010, "irreport": 0}, "54 08"),
        # irreport repeats the top bit of branch_map, and is not sent
        (CACHE, TARGETS, {"branches": 1, "branch_map": 1, "irreport": 1}, "34 fc"),
        (BOTH, ALL, {"subformat": 1, "branches": 0, "irreport": 0}, "2c"),
        # irreport differs: a return failed at depth 2
        (RETURNS, TARGETS, {"branches": 0, "irreport": 1, "irdepth": 2}, "14 14"),
    ],
)
def test_index(parameters: Parameters, modes: Modes, fields: dict[str, int], payload: str) -> None:
    """Entry 5 of 8."""
    packet = {"format": 0, "index": 5} | fields
    assert codec.to_bytes(packet, parameters, modes).hex(" ") == payload
    assert packet.items() <= codec.from_bytes(bytes.fromhex(payload), parameters, modes).items()


def test_largest_index() -> None:
    """A top bit of 1 is not the sign: branches, which follow, are 0."""
    p = Parameters(cache_size_p=6)
    packet = {"format": 0, "index": 63, "branches": 0, "irreport": 0}
    assert codec.to_bytes(packet, p, TARGETS).hex(" ") == "fc 00"
