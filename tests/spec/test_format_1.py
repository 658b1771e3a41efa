"""E-Trace 2.0, section "Format 1 packets"."""

import pytest

from tests.model import codec
from tests.model.adapter import Implementation
from tests.model.settings import Parameters
from tests.spec.notation import agree

COUNTDOWN = """
    1000: 00000013  nop
    1004: fe000ee3  beq zero,zero,1000
    1008: 00030067  jr t1
    2000: 00000013  nop
    2004: 00000013  nop
"""


def rounds(count: int) -> str:
    """`count` taken branches."""
    return "\n".join(["1000", "1004"] * count + ["1000"])


def test_a_full_branch_map_needs_no_address(implementation: Implementation) -> None:
    agree(
        implementation,
        COUNTDOWN,
        rounds(32),
        f"""
        3.3 no_change
        3.0 1000
        1 {"T" * 31}
        1 T 1000
        3.3 ended_rep
        """,
    )


def test_a_full_branch_map_with_an_address(implementation: Implementation) -> None:
    """branches = 31: the instruction before the last branch is an uninferable discontinuity."""
    agree(
        implementation,
        """
        1000: 00000063  beq zero,zero,1000
        1004: 00030067  jr t1
        2000: 00000463  beq zero,zero,2008
        2004: 00000013  nop
        2008: 00000013  nop
        """,
        "\n".join(["1000"] * 31) + "\n1004\n2000\n2004",
        f"""
        3.3 no_change
        3.0 1000 taken
        1 {"T" * 29}NN 2000
        2 2004
        3.3 ended_rep
        """,
    )


@pytest.mark.parametrize(
    ("branches", "bits"),
    [(1, 1), (2, 3), (3, 3), (4, 7), (7, 7), (8, 15), (15, 15), (16, 31), (31, 31)],
)
def test_size_of_the_branch_map(implementation: Implementation, branches: int, bits: int) -> None:
    assert codec.branch_map_bits(branches) == bits
    end = "" if branches == 31 else " 1000"
    packets = f"3.3 no_change\n3.0 1000\n1 {'T' * branches}{end}\n3.3 ended_rep"
    if branches == 31:
        packets = packets.replace("3.3 ended_rep", "2 1000\n3.3 ended_rep")
    agree(implementation, COUNTDOWN, rounds(branches), packets)


@pytest.mark.parametrize(
    ("difference", "payload"),
    [
        (0x0, "02"),  # all that is left is the format
        (0x1, "06"),
        (0x1F, "7e"),
        (0x20, "82 00"),  # the byte's top bit would have been taken for the sign
        (-0x1, "fe"),
        (-0x20, "82"),
        (-0x21, "7e ff"),
    ],
)
def test_sign_based_compression(difference: int, payload: str) -> None:
    """Chapter "Instruction Trace Encoder Output Packets": format 2 with a difference."""
    p = Parameters(iaddress_width_p=64)
    bit = int(difference < 0)
    packet = {"format": 2, "address": difference % (1 << 63)}
    packet |= {"notify": bit, "updiscon": bit, "irreport": bit, "irdepth": 0}
    assert codec.to_bytes(packet, p).hex(" ") == payload
    assert codec.from_bytes(bytes.fromhex(payload), p) == packet
