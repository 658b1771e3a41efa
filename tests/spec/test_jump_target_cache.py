"""E-Trace 2.0, "Jump target cache mode" and "Format 0 packets": an index instead of an address."""

import pytest

from tests.model.adapter import Implementation
from tests.model.settings import Modes, Parameters, Resync, Settings
from tests.spec.notation import agree

PARAMETERS = Parameters(iaddress_width_p=64, ecause_width_p=5, cache_size_p=3)
ON = Modes(jump_target_cache=True)
CACHE = Settings(PARAMETERS, ON)

#: A jump to wherever, and several places that lead back to it. Bits 3:1 of 2000 and 2010 are 0,
#: of 2006 3, of 200c 6.
LISTING = """
    1000: 00000463  beq zero,zero,1008
    1004: 00030067  jr t1
    1008: 00030067  jr t1
    2000: 800ff06f  j 1000
    2006: ffbfe06f  j 1000
    200c: ff5fe06f  j 1000
    2010: ff1fe06f  j 1000
    2020: 00000013  nop
    2024: 00000013  nop
    3000: 30200073  mret
    3010: 00000013  nop
    3014: 00000013  nop
    3018: fe9fe06f  j 2000
"""

#: The end of every flow here: an address that is in no cache.
END = "1000\n1004\n2020\n2024"
END_PACKETS = "2 2024\n3.3 ended_rep"


def jumps(*targets: str) -> str:
    """A flow that jumps to each of the targets, with one branch, not taken, before each."""
    return "\n".join(f"1000\n1004\n{target}" for target in targets) + "\n" + END


def whole(*packets: str, start: str = "3.0 1000") -> str:
    return "\n".join(["3.3 no_change", start, *packets, "1 N 2020", END_PACKETS])


def test_the_second_jump_to_a_target(implementation: Implementation) -> None:
    """The branch at 1000 is in the 3.0 the first time, in a branch map after that."""
    agree(
        implementation,
        LISTING,
        jumps("2000", "2000", "200c", "2006", "200c", "2000", "2006"),
        whole(
            "2 2000",
            "0.1 0 N (2000)",
            "1 N 200c",
            "1 N 2006",
            "0.1 6 N (200c)",
            "0.1 0 N (2000)",
            "0.1 3 N (2006)",
            start="3.0 1000",
        ),
        CACHE,
    )


def test_an_entry_is_replaced(implementation: Implementation) -> None:
    """Direct mapped: of 2000 and 2010 there is the one reported last."""
    agree(
        implementation,
        LISTING,
        jumps("2000", "2010", "2000", "2000", "2010", "2010"),
        whole(
            "2 2000",
            "1 N 2010",
            "1 N 2000",
            "0.1 0 N (2000)",
            "1 N 2010",
            "0.1 0 N (2010)",
        ),
        CACHE,
    )


def test_index_without_compressed_instructions(implementation: Implementation) -> None:
    """Bits cache_size_p+1:2."""
    settings = Settings(Parameters(iaddress_width_p=64, iaddress_lsb_p=2, cache_size_p=3), ON)
    agree(
        implementation,
        LISTING,
        jumps("200c", "2010", "200c", "2010"),
        whole("2 200c", "1 N 2010", "0.1 3 N (200c)", "0.1 4 N (2010)"),
        settings,
    )


def test_branches(implementation: Implementation) -> None:
    """None, several, and 31 with the target itself the last."""
    branches = "\n".join(f"{0x1110 + 4 * i:x}: 00000463 beq" for i in range(30))
    listing = f"""
        110c: 00000013  nop
        {branches}
        1188: 00030067  jr t1
        1200: 00000463  beq zero,zero,1208
        1204: 00030067  jr t1
        2020: 00000013  nop
        2024: 00000013  nop
    """
    thirty = "\n".join(f"{0x110C + 4 * i:x}" for i in range(32))
    agree(
        implementation,
        listing,
        f"{thirty}\n1200\n1204\n1204\n1200\n1204\n{thirty}\n1200\n1204\n2020\n2024",
        f"""
        3.3 no_change
        3.0 110c
        1 {"N" * 31} 1200
        2 1204
        0.1 0 N (1200)
        2 110c
        0.1 0 {"N" * 31} (1200)
        2 2020
        2 2024
        3.3 ended_rep
        """,
        CACHE,
    )


def test_a_trap_empties_the_cache(implementation: Implementation) -> None:
    """3.1 is a synchronization packet. (The target of an mret is stored too: docs/modes.md.)"""
    agree(
        implementation,
        LISTING,
        "1000\n1004\n2000\n1000\n1004\n2000\nexception 2 tval=0 at 1000\n3000\n" + jumps("2000"),
        whole(
            "2 2000",
            "1 N 2000 updiscon",  # in the cache, but 0.1 has no updiscon: docs/modes.md
            "3.1 exception 2 tval=0 thaddr=1 3000",
            "1 N 1000",
            "2 2000",
        ),
        CACHE,
    )


def test_resynchronisation_empties_the_cache(implementation: Implementation) -> None:
    """Nor is the target that the 3.0 itself reports in it (docs/modes.md)."""
    agree(
        implementation,
        LISTING,
        jumps("2000", "2000", "2000", "2000", "2000"),
        f"""
        3.3 no_change
        3.0 1000
        2 2000
        0.1 0 N (2000)
        1 N 1004                # 14 half-words: the branch goes out
        3.0 2000
        1 N 2000
        0.1 0 N (2000)
        1 N 1000                # 14 again
        3.0 1004
        2 2020
        {END_PACKETS}
        """,
        Settings(PARAMETERS, ON, Resync("instructions", 14)),
    )


def test_addresses_of_no_jump(implementation: Implementation) -> None:
    """Only "the address to report following an updiscon" is looked for, and stored."""
    agree(
        implementation,
        LISTING,
        """
        3018
        2000 notify             # not stored
        1000
        1004
        2000
        1000
        1004
        2000
        1000
        1004
        200c
        1000
        1004
        3018
        2000 notify             # in the cache, but the jump that led here needs no packet
        """
        + jumps(),
        whole(
            "2 2000 notify",
            "1 N 2000",
            "0.1 0 N (2000)",
            "1 N 200c",
            "1 N 3018",
            "2 2000 notify",
            start="3.0 3018",
        ),
        CACHE,
    )


def test_the_last_instruction(implementation: Implementation) -> None:
    """The target of a jump, and the trace ends: sent anyway."""
    agree(
        implementation,
        LISTING,
        "1000\n1004\n2000\n1000\n1004\n2000",
        """
        3.3 no_change
        3.0 1000
        2 2000
        0.1 0 N (2000)
        3.3 ended_ntr
        """,
        CACHE,
    )


def test_full_address(implementation: Implementation) -> None:
    settings = Settings(PARAMETERS, Modes(jump_target_cache=True, full_address=True))
    agree(
        implementation,
        LISTING,
        jumps("2000", "2000"),
        whole("2 2000", "0.1 0 N (2000)"),
        settings,
    )


@pytest.mark.parametrize("branch_prediction", [False, True])
def test_one_format_supported_with_a_subformat(
    implementation: Implementation, branch_prediction: bool
) -> None:
    """f0s_width_p 1 with both supported, one or both on: the subformat says which."""
    p = Parameters(iaddress_width_p=64, cache_size_p=3, bpred_size_p=4, f0s_width_p=1)
    settings = Settings(p, Modes(jump_target_cache=True, branch_prediction=branch_prediction))
    agree(
        implementation,
        LISTING,
        jumps("2000", "2000"),
        whole("2 2000", "0.1 0 N (2000)"),
        settings,
    )


def test_a_count_goes_before_an_index(implementation: Implementation) -> None:
    """ "If the number of correctly predicted branches is 31 or more, then format 0, subformat 0 is
    always used". The target of such a packet is stored like any other.
    """
    p = Parameters(iaddress_width_p=64, cache_size_p=3, bpred_size_p=4, f0s_width_p=1)
    settings = Settings(p, Modes(jump_target_cache=True, branch_prediction=True))
    branches = "\n".join(f"{0x1004 + 4 * i:x}: 00000463 beq" for i in range(33))
    listing = f"1000: 00000013 nop\n{branches}\n1088: 00030067 jr t1\n2000: 00030067 jr t1"
    listing += "\n2020: 00000013 nop\n2024: 00000013 nop"
    once = "\n".join(f"{0x1000 + 4 * i:x}" for i in range(35))
    agree(
        implementation,
        listing,
        f"{once}\n2000\n2000\n{once}\n2000\n2020\n2024",
        """
        3.3 no_change
        3.0 1000
        0.0 2 2000
        0.1 0 (2000)
        2 1000
        0.0 2 2000
        2 2020
        2 2024
        3.3 ended_rep
        """,
        settings,
    )


def test_the_shorter_packet(implementation: Implementation) -> None:
    """ "The encoder may still choose": a difference of zero, against an index of two bytes."""
    p = Parameters(iaddress_width_p=64, cache_size_p=6)
    listing = "1000: 00000013 nop\n1004: 00030067 jr t1\n207e: 00030067 jr t1\n2020: 00000013 nop"
    flow = "1000\n1004\n207e\n207e\n2020"
    for shorter, packet in ((False, "0.1 63 (207e)"), (True, "2 207e")):
        agree(
            implementation,
            listing,
            flow,
            f"3.3 no_change\n3.0 1000\n2 207e\n{packet}\n2 2020\n3.3 ended_ntr",
            Settings(p, ON, shorter_packet=shorter),
        )


def test_of_two_packets_of_one_length_the_index(implementation: Implementation) -> None:
    """A difference of zero, an index of zero: a byte each."""
    agree(
        implementation,
        "1000: 00000013 nop\n1004: 00030067 jr t1",
        "1000\n1004\n" * 5,
        "3.3 no_change\n3.0 1000\n2 1000\n" + "0.1 0 (1000)\n" * 3 + "2 1004\n3.3 ended_rep",
        Settings(PARAMETERS, ON, shorter_packet=True),
    )
