"""E-Trace 2.0, "Implicit exception mode" and "Format 3 thaddr, address and privilege fields"."""

import pytest

from tests.model.adapter import Implementation
from tests.model.settings import Modes, Parameters, Settings
from tests.spec.notation import agree

PARAMETERS = Parameters(iaddress_width_p=64, ecause_width_p=5)
ON = Modes(implicit_exception=True)
DIRECT = Settings(PARAMETERS, ON, tvec=((3, 0x3000), (1, 0x5000)))
VECTORED = Settings(PARAMETERS, ON, tvec=((3, 0x3001),))

LISTING = """
    1000: 00000013  nop
    1004: 00000073  ecall
    1008: 00030067  jr t1
    100c: 00000013  nop
    1010: 00000013  nop
    3000: 00000013  nop
    3004: 30200073  mret
    301c: 00000013  nop
    3020: 30200073  mret
    4000: 00000013  nop
    4004: 30200073  mret
    5000: 00000463  beq zero,zero,5008
    5004: 10200073  sret
    5008: 10200073  sret
"""


def whole(*packets: str, start: str = "3.0 1000", end: str = "3.3 ended_rep") -> str:
    return "\n".join(["3.3 no_change", start, *packets, end])


@pytest.mark.parametrize("full_address", [False, True])
def test_the_handler_is_left_out(implementation: Implementation, full_address: bool) -> None:
    """And the next difference is relative to it (docs/modes.md)."""
    modes = Modes(implicit_exception=True, full_address=full_address)
    agree(
        implementation,
        LISTING,
        "1000\nexception 11 tval=0 at 1004\n3000\n3004",
        whole("3.1 exception 11 tval=0 thaddr=1 (3000)", "2 3004"),
        Settings(PARAMETERS, modes, tvec=DIRECT.tvec),
    )


def test_tval_stays(implementation: Implementation) -> None:
    """Only the address is omitted. The row after `taken`: the branch bit of the handler."""
    agree(
        implementation,
        LISTING,
        "1000 priv=1\nexception 2 tval=deadbeef at 1004 priv=1\n5000 priv=1 taken\n5008 priv=1",
        whole(
            "3.1 exception 2 tval=deadbeef thaddr=1 (5000) taken priv=1",
            "2 5008",
            start="3.0 1000 priv=1",
        ),
        DIRECT,
    )


def test_vectored(implementation: Implementation) -> None:
    """mtvec MODE 1: interrupts at BASE + 4 * cause, exceptions at BASE."""
    agree(
        implementation,
        LISTING,
        "1000\ninterrupt 7 at 1004\n301c\n3020\n100c\nexception 2 tval=0 at 1010\n3000\n3004",
        whole(
            "3.1 interrupt 7 thaddr=1 (301c)",
            "2 100c updiscon",
            "3.1 exception 2 tval=0 thaddr=1 (3000)",
            "2 3004",
        ),
        VECTORED,
    )


def test_a_vector_beyond_the_end_of_the_address_space(implementation: Implementation) -> None:
    """On RV32, BASE + 4 * cause wraps."""
    agree(
        implementation,
        """
        00000014: 00000013  nop
        00000018: 00000013  nop
        0000001c: 00000013  nop
        00001000: 00000013  nop
        """,
        "1000\ninterrupt 7 at 1004\n18\n1c",
        whole("3.1 interrupt 7 thaddr=1 (18)", "2 1c"),
        Settings(Parameters(iaddress_width_p=32, ecause_width_p=5), ON, tvec=((3, 0xFFFF_FFFD),)),
        xlen=32,
    )


def test_the_vector_of_the_level_of_the_handler(implementation: Implementation) -> None:
    agree(
        implementation,
        LISTING,
        "1000 priv=0\ninterrupt 5 at 1004 priv=0\n5000 priv=1\n5004 priv=1",
        whole(
            "3.1 interrupt 5 thaddr=1 (5000) priv=1",
            "2 5004",
            start="3.0 1000 priv=0",
        ),
        DIRECT,
    )


def test_thaddr_0_has_an_address(implementation: Implementation) -> None:
    """The EPC, behind an updiscon: "omitted if thaddr is 1" does not concern it."""
    agree(
        implementation,
        LISTING,
        "1000\nexception 11 tval=0 at 1004\n3000\n3004\n1008\n"
        "exception 12 tval=4000 at 4000\n3000\n3004",
        whole(
            "3.1 exception 11 tval=0 thaddr=1 (3000)",
            "2 1008 updiscon",
            "3.1 exception 12 tval=4000 thaddr=0 4000",
            "3.0 3000",
            "2 3004",
        ),
        DIRECT,
    )


def test_another_handler(implementation: Implementation) -> None:
    """docs/modes.md: "only if the decoder can infer the address"; else thaddr 0 and a 3.0."""
    agree(
        implementation,
        LISTING,
        "1000\nexception 11 tval=0 at 1004\n4000\n4004",
        whole("3.1 exception 11 tval=0 thaddr=0 4000", "3.0 4000", "2 4004"),
        DIRECT,
    )
