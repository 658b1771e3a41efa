"""E-Trace 2.0, "Sequentially inferable jump mode" and "Jump classification"."""

import pytest

from tests.model.adapter import Implementation
from tests.model.settings import Modes, Parameters, Resync, Settings
from tests.spec.notation import agree

PARAMETERS = Parameters(iaddress_width_p=64, ecause_width_p=5, sijump_p=1)
ON = Modes(sijump=True)
INFERRED = Settings(PARAMETERS, ON)

THERE = """
    2000: 00000013  nop
    2004: 00000013  nop
    2008: 00000013  nop
    200c: 00000013  nop
    3000: 00000013  nop
    3004: 00000013  nop
"""


def whole(*packets: str, end: str = "3.3 ended_rep") -> str:
    return "\n".join(["3.3 no_change", "3.0 1000", *packets, end])


@pytest.mark.parametrize(
    ("pair", "jump", "target"),
    [
        ("1004: 00002337 lui t1,2\n1008: 00030067 jr t1", "1008", 0x2000),
        ("1004: 00001317 auipc t1,1\n1008: ffc30067 jr -4(t1)", "1008", 0x2000),
        ("1004: 6309 c.lui t1,2\n1006: 8302 c.jr t1", "1006", 0x2000),
        ("1004: 6309 c.lui t1,2\n1006: 00830067 jr 8(t1)", "1006", 0x2008),
        ("1004: 00002337 lui t1,2\n1008: 9302 c.jalr t1", "1008", 0x2000),
        # lui sign-extends on RV64; the sum loses its lowest bit
        ("1004: 80000337 lui t1,0x80000\n1008: 00130067 jr 1(t1)", "1008", 0xFFFFFFFF80000000),
    ],
)
def test_a_pair(implementation: Implementation, pair: str, jump: str, target: int) -> None:
    """lui, auipc or c.lui right before the jump, into its register: no packet."""
    listing = f"""
        1000: 00000013  nop
        {pair}
        {THERE}
        ffffffff80000000: 00000013 nop
        ffffffff80000004: 00000013 nop
    """
    agree(
        implementation,
        listing,
        f"1000\n1004\n{jump} sijump\n{target:x}\n{target + 4:x}",
        whole(f"2 {target + 4:x}"),
        INFERRED,
    )


def test_the_hart_says_no(implementation: Implementation) -> None:
    """Another instruction in between, or another register: reported like any jump."""
    agree(
        implementation,
        f"""
        1000: 00002337  lui t1,2
        1004: 00000013  nop
        1008: 00030067  jr t1
        {THERE}
        """,
        "1000\n1004\n1008\n2000\n2004",
        whole("2 2000", "2 2004"),
        INFERRED,
    )
    agree(
        implementation,
        f"""
        1000: 00000013  nop
        1004: 000023b7  lui t2,2
        1008: 00030067  jr t1
        {THERE}
        """,
        "1000\n1004\n1008\n3000\n3004",
        whole("2 3000", "2 3004"),
        INFERRED,
    )


def test_the_mode_is_off(implementation: Implementation) -> None:
    agree(
        implementation,
        f"1000: 00002337 lui t1,2\n1004: 00030067 jr t1\n{THERE}",
        "1000\n1004 sijump\n2000\n2004",
        whole("2 2000", "2 2004"),
        Settings(PARAMETERS),
    )


def test_the_constant_was_not_traced(implementation: Implementation) -> None:
    """ "Both the constant load and the jump must be traced": the trace begins with the jump."""
    agree(
        implementation,
        f"0ffc: 00002337 lui t1,2\n1000: 00030067 jr t1\n{THERE}",
        "1000 sijump\n2000\n2004",
        whole("2 2000", "2 2004"),
        INFERRED,
    )


def test_a_trap_between_them(implementation: Implementation) -> None:
    """They do not retire consecutively, so that the hart does not say sijump."""
    agree(
        implementation,
        f"""
        1000: 00002337  lui t1,2
        1004: 00030067  jr t1
        4000: 30200073  mret
        {THERE}
        """,
        "1000\ninterrupt 7 at 1004\n4000\n1004\n2000\n2004",
        whole("3.1 interrupt 7 thaddr=1 4000", "2 1004", "2 2000", "2 2004"),
        INFERRED,
    )


def test_sijump_behind_a_trap(implementation: Implementation) -> None:
    """What did not retire made nothing inferable, whatever the hart says."""
    agree(
        implementation,
        f"1000: 00000013 nop\n1004: 00000013 nop\n4000: 00030067 jr t1\n{THERE}",
        "1000\nexception 2 tval=0 at 1004\n4000 sijump\n2000\n2004",
        whole("3.1 exception 2 tval=0 thaddr=1 4000", "2 2000", "2 2004"),
        INFERRED,
    )


def test_a_jump_that_is_not_inferable_before_a_3_0(implementation: Implementation) -> None:
    """The instruction before it does not tell where the 3.0 must lie."""
    agree(
        implementation,
        f"""
        1000: 00000013  nop
        1004: 00000463  beq zero,zero,100c
        1008: 00000013  nop
        100c: 00030067  jr t1
        {THERE}
        """,
        "1000\n1004\n1008\n100c\n2000\n2004",
        whole("1 N 100c", "3.0 2000", "2 2004"),
        Settings(PARAMETERS, ON, Resync("instructions", 6)),
    )


def test_a_trap_behind_the_jump(implementation: Implementation) -> None:
    """docs/modes.md: reported as if the jump were any other, with the EPC."""
    agree(
        implementation,
        f"1000: 00002337 lui t1,2\n1004: 00030067 jr t1\n{THERE}",
        "1000\n1004 sijump\nexception 2 tval=0 at 2000\n3000\n3004",
        whole("2 1004", "3.1 exception 2 tval=0 thaddr=0 2000", "3.0 3000", "2 3004"),
        INFERRED,
    )


def test_a_call(implementation: Implementation) -> None:
    """Its target is inferred; it is a call to implicit return mode none the less."""
    p = Parameters(iaddress_width_p=64, sijump_p=1, return_stack_size_p=2)
    agree(
        implementation,
        """
        1000: 00001097  auipc ra,1
        1004: 000080e7  jalr ra,ra
        1008: 00000013  nop
        100c: 00000013  nop
        2000: 00008067  ret
        """,
        "1000\n1004 sijump\n2000\n1008\n100c",
        whole("2 100c"),
        Settings(p, Modes(sijump=True, implicit_return=True)),
    )


def test_resynchronisation_waits(implementation: Implementation) -> None:
    """docs/modes.md: no 3.0 at the jump, since who starts there has not seen the constant."""
    agree(
        implementation,
        f"""
        1000: 00000013  nop
        1004: 00000013  nop
        1008: 00002337  lui t1,2
        100c: 00030067  jr t1
        {THERE}
        """,
        "1000\n1004 notify\n1008 notify\n100c sijump\n2000\n2004",
        whole("2 1004 notify", "2 1008 notify", "2 100c notify", "3.0 2000", "2 2004"),
        Settings(PARAMETERS, ON, Resync("packets", 1)),
    )


# *sijump* is "Ignored for itype codes other than 6, 8, 10, 12 or 14" (table "Instruction interface
# signals").


def test_sijump_with_a_return(implementation: Implementation) -> None:
    """itype 13 is not among them, but every decoder infers it (docs/modes.md)."""
    agree(
        implementation,
        f"1000: 000020b7 lui ra,2\n1004: 00008067 ret\n{THERE}",
        "1000\n1004 sijump\n2000\n2004",
        whole("2 2004"),
        INFERRED,
    )


def test_sijump_with_a_return_from_a_trap(implementation: Implementation) -> None:
    agree(
        implementation,
        f"1000: 00002337 lui t1,2\n1004: 30200073 mret\n{THERE}",
        "1000\n1004 sijump\n2000\n2004",
        whole("2 2000", "2 2004"),
        INFERRED,
    )


def test_sijump_with_an_inferable_jump(implementation: Implementation) -> None:
    """itype 11. Resynchronisation is due at the second jump, and does not wait."""
    agree(
        implementation,
        "1000: 00000013 nop\n1004: 0040006f j 1008\n1008: 0040006f j 100c\n100c: 00000013 nop",
        "1000\n1004\n1008 sijump\n100c",
        whole("3.0 1008", "2 100c"),
        Settings(PARAMETERS, ON, Resync("instructions", 2)),
    )
