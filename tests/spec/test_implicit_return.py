"""E-Trace 2.0, "Implicit return mode" and "irreport and irdepth"."""

from dataclasses import replace

import pytest

from tests.model.adapter import Implementation
from tests.model.settings import Modes, Parameters, Resync, Settings
from tests.spec.notation import agree, means

ON = Modes(implicit_return=True)
STACK = Settings(Parameters(iaddress_width_p=64, ecause_width_p=5, return_stack_size_p=2), ON)
COUNTER = Settings(Parameters(iaddress_width_p=64, ecause_width_p=5, call_counter_size_p=2), ON)

#: Calls of f (2000), g (3000, which calls f) and h (4000, which calls g).
LISTING = """
    1000: 00000013  nop
    1004: 7fd000ef  jal ra,2000
    1008: 00000013  nop
    100c: 7f5010ef  jal ra,3000
    1010: 00000013  nop
    1014: 7ed020ef  jal ra,4000
    1018: 00000013  nop
    101c: 00000013  nop
    1020: 000280e7  jalr ra,t0
    1024: 00000013  nop
    1028: 7d9002ef  jal t0,2000
    2000: 00000013  nop
    2004: 00008067  ret
    2008: 00028067  jr t0
    200c: 000083e7  jalr t2,ra
    3000: 800ff0ef  jal ra,2000
    3004: 00000013  nop
    3008: 00008067  ret
    4000: 800ff0ef  jal ra,3000
    4004: 00000013  nop
    4008: 00008067  ret
    5000: 00000013  nop
    5004: 30200073  mret
"""

F = "2000\n2004\n"
G = f"3000\n{F}3004\n3008\n"
H = f"4000\n{G}4004\n4008\n"


def whole(*packets: str, start: str = "3.0 1000", end: str = "3.3 ended_rep") -> str:
    return "\n".join(["3.3 no_change", start, *packets, end])


@pytest.fixture(params=[STACK, COUNTER], ids=["stack", "counter"])
def settings(request: pytest.FixtureRequest) -> Settings:
    chosen: Settings = request.param
    return chosen


def test_returns_are_not_reported(implementation: Implementation, settings: Settings) -> None:
    agree(
        implementation,
        LISTING,
        f"1000\n1004\n{F}1008\n100c\n{G}1010\n1014\n{H}1018\n101c",
        whole("2 101c"),
        settings,
    )


def test_the_mode_is_off(implementation: Implementation, settings: Settings) -> None:
    agree(
        implementation,
        LISTING,
        f"1000\n1004\n{F}1008\n100c\n{G}1010\n1014",
        whole("2 1008", "2 3004", "2 1010", "2 1014"),
        Settings(settings.parameters),
    )


def test_a_return_without_a_call(implementation: Implementation, settings: Settings) -> None:
    """The count is zero: reported like any uninferable jump, without irreport."""
    agree(
        implementation,
        LISTING,
        "2000\n2004\n1008\n100c\n3000\n2000\n2004\n3004\n3008\n1010\n1014",
        whole("2 1008", "2 1014", start="3.0 2000"),
        settings,
    )


def test_the_call_of_a_synchronisation_packet(
    implementation: Implementation, settings: Settings
) -> None:
    """It "has already been reported in an earlier packet" when the function returns."""
    agree(
        implementation,
        LISTING,
        f"1004\n{F}1008\n100c",
        whole("2 100c", start="3.0 1004"),
        settings,
    )


def test_a_trap_forgets_the_calls(implementation: Implementation, settings: Settings) -> None:
    """The counter "is reset to 0 whenever a synchronization packet is sent"."""
    agree(
        implementation,
        LISTING,
        "1000\n1004\n2000\ninterrupt 7 at 2004\n5000\n5004\n2004\n1008\n100c",
        whole("2 2000", "3.1 interrupt 7 thaddr=1 5000", "2 2004", "2 1008", "2 100c"),
        settings,
    )


def test_a_full_stack_forgets_the_oldest(implementation: Implementation) -> None:
    """Two entries, three calls: the outermost return is reported."""
    settings = Settings(Parameters(iaddress_width_p=64, return_stack_size_p=1), ON)
    agree(
        implementation,
        LISTING,
        f"1000\n1004\n{F}1008\n100c\n{G}1010\n1014\n{H}1018\n101c",
        whole("2 1018", "2 101c"),
        settings,
    )


def test_a_mispredicted_return(implementation: Implementation) -> None:
    """irdepth is "the entry number of the return that failed": here the only entry."""
    agree(
        implementation,
        LISTING,
        "1000\n1004\n2000\n2004\n101c",
        whole("2 101c irdepth=1", end="3.3 ended_ntr"),
        STACK,
    )


def test_a_mispredicted_return_of_a_nested_call(implementation: Implementation) -> None:
    """f, called by g, returns past g. docs/modes.md: the entry stays, as in the pseudo-code."""
    agree(
        implementation,
        LISTING,
        "1000\n1004\n2000\n2004\n1008\n100c\n3000\n2000\n2004\n1010\n1014",
        whole("2 1010 irdepth=2", "2 1014"),
        STACK,
    )


def test_a_mispredicted_return_at_a_depth_that_was_left_before(
    implementation: Implementation,
) -> None:
    """docs/modes.md: a return from a depth of 2, as f did implicitly since the last packet, though
    f returned from 3 after that: the row before goes first (twice: it was passed before)."""
    agree(
        implementation,
        LISTING,
        f"100c\n{G}1010\n1014\n4000\n3000\n{F}3004\n3008\n1018\n101c",
        whole(*["2 3008 notify"] * 2, "2 1018 irdepth=2", "2 101c", start="3.0 100c"),
        STACK,
    )


def test_a_mispredicted_return_and_a_trap(implementation: Implementation) -> None:
    """updiscon and irreport in one packet."""
    agree(
        implementation,
        LISTING,
        "1000\n1004\n2000\n2004\n1018\ninterrupt 7 at 101c\n5000\n5004",
        whole("2 1018 updiscon irdepth=1", "3.1 interrupt 7 thaddr=1 5000", "2 5004"),
        STACK,
    )


@pytest.mark.parametrize("link", ["x5", "x1 to t2"])
def test_other_calls_and_returns(implementation: Implementation, link: str) -> None:
    """ "Jump classification": x5 links too, and a return may link, but not to x1 or x5."""
    calls = {"x5": ("1028", "2008", "102c"), "x1 to t2": ("1004", "200c", "1008")}
    call, ret, after = calls[link]
    listing = LISTING + "102c: 00000013 nop\n1030: 00000013 nop"
    listing = listing.replace("2004: 00008067  ret", "2004: 0040006f  j 2008")
    if link == "x1 to t2":
        listing = listing.replace("2004: 0040006f  j 2008", "2004: 0080006f  j 200c")
    agree(
        implementation,
        listing,
        f"{call}\n2000\n2004\n{ret}\n{after}\n{int(after, 16) + 4:x}",
        whole(f"2 {int(after, 16) + 4:x}", start=f"3.0 {call}"),
        STACK,
    )


def test_a_coroutine_swap(implementation: Implementation) -> None:
    """jalr x1,x5 is neither call nor return: reported, and the stack stays as it is."""
    agree(
        implementation,
        LISTING.replace("2000: 00000013  nop", "2000: 000280e7  jalr ra,t0"),
        "1000\n1004\n2000\n2004\n1008\n100c",
        whole("2 2004", "2 100c"),
        STACK,
    )


def test_a_trap_behind_a_return(implementation: Implementation, settings: Settings) -> None:
    """docs/modes.md: the target did not retire, so nothing is inferred."""
    agree(
        implementation,
        LISTING,
        "1000\n1004\n2000\n2004\nexception 12 tval=1008 at 1008\n5000\n5004",
        whole("2 2004", "3.1 exception 12 tval=1008 thaddr=0 1008", "3.0 5000", "2 5004"),
        settings,
    )


def test_a_mispredicted_return_in_the_cache(implementation: Implementation) -> None:
    """0.1 has irreport, compared with the top bit of branches, or of branch_map."""
    p = Parameters(iaddress_width_p=64, return_stack_size_p=2, cache_size_p=3)
    agree(
        implementation,
        LISTING.replace("2000: 00000013  nop", "2000: 00000263  beq zero,zero,2004"),
        "1000\n1004\n2000\n2004\n1000\n1004\n2000\n2004\n1000\n1004\n2000 taken\n2004\n1000\n1004",
        whole(
            "1 N 1000 irdepth=1",
            "0.1 0 N (1000) irdepth=2",
            "0.1 0 T (1000) irdepth=3",
            "2 1004",
        ),
        Settings(p, Modes(implicit_return=True, jump_target_cache=True)),
    )


def test_inferred_returns_are_not_in_the_cache(implementation: Implementation) -> None:
    """ "Any such inferrable return target must not be stored in the cache." """
    p = Parameters(iaddress_width_p=64, return_stack_size_p=2, cache_size_p=3)
    agree(
        implementation,
        LISTING + "1024: 00030067 jr t1",
        f"1000\n1004\n{F}1008\n100c\n{G}1010\n1014 notify\n4000\n3000\n2000\n2004\n1008\n100c",
        whole("2 1014 notify", "2 1008 irdepth=3", "2 100c"),
        Settings(p, Modes(implicit_return=True, jump_target_cache=True)),
    )


def test_a_mispredicted_return_behind_a_count(implementation: Implementation) -> None:
    """0.0 has irreport too: the same 31 branches, and a return that goes elsewhere."""
    p = Parameters(iaddress_width_p=64, return_stack_size_p=2, bpred_size_p=3)
    branches = "\n".join(f"{0x2008 + 4 * i:x}: 00000463 beq" for i in range(31))
    agree(
        implementation,
        f"""
        1000: 00000013  nop
        1004: 004010ef  jal ra,2008
        1008: 00000013  nop
        1010: 00000013  nop
        1014: 00000013  nop
        {branches}
        2084: 00008067  ret
        """,
        "1000\n1004\n" + "\n".join(f"{0x2008 + 4 * i:x}" for i in range(32)) + "\n1010\n1014",
        whole("0.0 0 1010 irdepth=1", "2 1014"),
        Settings(p, Modes(implicit_return=True, branch_prediction=True)),
    )


def test_a_mispredicted_return_stays_on_the_stack(implementation: Implementation) -> None:
    """The pseudo-code pops nothing (docs/modes.md), though the counter "decrements on returns"; the
    2.1 draft's pseudo-code pops.

    f, called by g, returns elsewhere in g. What g returns to is not at the top then.
    """
    agree(
        implementation,
        LISTING,
        "100c\n3000\n2000\n2004\n3008\n1010\n1014",
        whole("2 3008 irdepth=2", "2 1010 irdepth=2", "2 1014", start="3.0 100c"),
        STACK,
    )


def test_a_call_at_the_end_of_the_address_space(
    implementation: Implementation, settings: Settings
) -> None:
    """On RV32 it returns to address 0."""
    agree(
        implementation,
        """
        00000000: 00000013  nop
        00000004: 00000013  nop
        00002000: 00000013  nop
        00002004: 00008067  ret
        fffffff8: 00000013  nop
        fffffffc: 004020ef  jal ra,2000
        """,
        "fffffff8\nfffffffc\n2000\n2004\n0\n4",
        whole("2 4", start="3.0 fffffff8"),
        replace(settings, parameters=replace(settings.parameters, iaddress_width_p=32)),
        xlen=32,
    )


# -- resynchronisation ----------------------------------------------------------------------------


def resynchronised(half_words: int) -> Settings:
    return Settings(STACK.parameters, ON, Resync("instructions", half_words))


def test_resynchronisation_forgets_the_calls(implementation: Implementation) -> None:
    """3.0 in the innermost of three functions: all three returns are reported."""
    agree(
        implementation,
        LISTING,
        f"1014\n{H}1018\n101c",
        whole("3.0 2000", "2 3004", "3.0 4004", "2 1018", "2 101c", start="3.0 1014"),
        resynchronised(4),
    )


def test_resynchronisation_behind_a_return(implementation: Implementation) -> None:
    """The decoder follows "up to and through the format 3": the return needs no packet."""
    agree(
        implementation,
        LISTING,
        f"1000\n1004\n{F}1008\n100c",
        whole("3.0 1008", "2 100c"),
        resynchronised(6),
    )


def test_resynchronisation_behind_a_mispredicted_return(implementation: Implementation) -> None:
    """docs/modes.md: 3.0 has no irreport, so the target goes first, and the 3.0 a row later."""
    agree(
        implementation,
        LISTING,
        f"1000\n1004\n{F}1018\n101c",
        whole("2 1018 updiscon irdepth=1", "3.0 101c"),
        resynchronised(6),
    )


# -- addresses before a trap ----------------------------------------------------------------------

TRAP = "interrupt 7 at {}\n5000\n5004"
TRAP_PACKETS = "3.1 interrupt 7 thaddr=1 5000", "2 5004"

RECURSION = """
    1014: fedff0ef  jal ra,1000
    1018: 00000013  nop
    1000: 00000463  beq zero,zero,1008
    1004: ffdff0ef  jal ra,1000
    1008: 00000013  nop
    100c: 00008067  ret
    5000: 00000013  nop
    5004: 30200073  mret
"""


@pytest.mark.parametrize("visits", [0, 1, 2])
def test_recursion(implementation: Implementation, visits: int) -> None:
    """docs/modes.md: notify instead of irdepth, and a packet for each earlier visit.

    `test_other_encoders.py` has what the text would have an encoder send here.
    """
    earlier = [f"1 NNT 1008{' notify' if visits else ''}", *["2 1008 notify"] * visits]
    agree(
        implementation,
        RECURSION,
        "1014\n1000\n1004\n1000\n1004\n1000\n1008\n"
        + "100c\n1008\n" * visits
        + TRAP.format("100c"),
        whole(*earlier, *TRAP_PACKETS, start="3.0 1014"),
        STACK,
    )


def test_the_depth_before_a_trap_by_the_letter(
    implementation: Implementation, settings: Settings
) -> None:
    """The reported address is behind a return: g, which is one call deep, returned from f. (Nor
    was there a branch since.)"""
    flow = f"100c\n3000\n{F}3004\ninterrupt 7 at 3008\n5000"
    trap = "3.1 interrupt 7 thaddr=1 5000"
    letter = replace(settings, exact_visits=False)
    agree(implementation, LISTING, flow, whole("2 3004 irdepth=1", trap, start="3.0 100c"), letter)
    agree(implementation, LISTING, flow, whole("2 3004 notify", trap, start="3.0 100c"), settings)


def test_no_depth_at_a_branch(implementation: Implementation, settings: Settings) -> None:
    """As where there was a branch since the return."""
    agree(
        implementation,
        LISTING.replace("3004: 00000013  nop", "3004: 00000263  beq zero,zero,3008"),
        f"100c\n3000\n{F}3004\ninterrupt 7 at 3008\n5000",
        whole("1 N 3004", "3.1 interrupt 7 thaddr=1 5000", start="3.0 100c"),
        replace(settings, exact_visits=False),
    )


def test_no_depth_where_nothing_is_left(implementation: Implementation, settings: Settings) -> None:
    agree(
        implementation,
        LISTING,
        f"1004\n{F}1008\ninterrupt 7 at 100c\n5000",
        whole("2 1008", "3.1 interrupt 7 thaddr=1 5000", start="3.0 1004"),
        replace(settings, exact_visits=False),
    )


def test_two_visits_by_the_letter(implementation: Implementation, settings: Settings) -> None:
    """f is called twice. The packet for the second visit could be for the first: the decoder says
    so, where the choice "exact" has a packet for each."""
    code = LISTING.replace("1008: 00000013  nop", "1008: 7f9000ef  jal ra,2000")
    flow = "1004\n2000\n2004\n1008\n2000\ninterrupt 7 at 2004\n5000"
    letter = replace(settings, exact_visits=False)
    packets = whole("2 2000", "3.1 interrupt 7 thaddr=1 5000", start="3.0 1004")
    means(
        implementation,
        code,
        packets,
        "1004\nvisit 3 at 2000\n2000\ninterrupt 7 at 2004\n5000",
        letter,
    )
    agree(
        implementation,
        code,
        flow,
        whole("2 2000 notify", "2 2000", "3.1 interrupt 7 thaddr=1 5000", start="3.0 1004"),
        settings,
    )


def test_a_loop_with_a_call(implementation: Implementation, settings: Settings) -> None:
    """The idle loop of many an RTOS: no visit, but a circle, with which nothing is added."""
    code = LISTING.replace("1008: 00000013  nop", "1008: ffdff06f  j 1004")
    lap = f"1004\n{F}1008\n"
    for at, before in (("1004", f"1004\n{F}1008\n"), ("2004", "1004\n2000\n")):
        last = before.split()[-1]
        # right behind a return an address has notify
        packet = f"2 {last} notify" if last == "1008" else f"2 {last}"
        agree(
            implementation,
            code,
            "1000\n" + lap * 40 + before + f"interrupt 7 at {at}\n5000",
            whole(packet, "3.1 interrupt 7 thaddr=1 5000"),
            settings,
            meant=f"1000\n{before}".replace(f"{last}\n", f"loop 4 at {last}\n{last}\n")
            + f"interrupt 7 at {at}\n5000",
        )


def test_a_loop_that_calls_a_function_twice(
    implementation: Implementation, settings: Settings
) -> None:
    """Its rounds are alike, but the address in the function does not tell which call it is, nor
    where the function returns to: there is a packet for each visit."""
    code = LISTING.replace("1008: 00000013  nop", "1008: 7f9000ef  jal ra,2000")
    code = code.replace("100c: 7f5010ef  jal ra,3000", "100c: ff9ff06f  j 1004")
    lap = f"1004\n{F}1008\n{F}100c\n"
    for before, visits in (("1004\n2000\n", 6), (f"1004\n{F}1008\n2000\n", 7)):
        agree(
            implementation,
            code,
            f"1000\n{lap * 3}{before}interrupt 7 at 2004\n5000",
            whole(
                *["2 2000 notify"] * visits,
                "2 2000",
                "3.1 interrupt 7 thaddr=1 5000",
            ),
            settings,
        )


def test_a_run_into_what_was_passed_before(
    implementation: Implementation, settings: Settings
) -> None:
    """A round that no jump closes yet: with `loops = "spec"` no packet is added for it."""
    agree(
        implementation,
        """
        1000: 00000013  nop
        1004: 00000013  nop
        1008: 00000013  nop
        100c: ff5ff06f  j 1000
        5000: 00000013  nop
        """,
        "1004\n1008\n100c\n1000\n1004\n1008\ninterrupt 7 at 100c\n5000",
        whole("2 1008", "3.1 interrupt 7 thaddr=1 5000", start="3.0 1004"),
        settings,
        meant="1004\nloop 4 at 1008\n1008\ninterrupt 7 at 100c\n5000",
    )
