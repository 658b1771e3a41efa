"""Streams that the text of E-Trace allows, or asks for, and that our encoder does not send.

Ours says with notify what these say with irdepth, or leave to the format 3 that follows
(docs/modes.md). A decoder has to take both.
"""

import pytest

from tests.model.adapter import Implementation
from tests.model.settings import Settings
from tests.spec import test_irets, test_jump_target_cache, test_sequentially_inferable
from tests.spec.notation import means
from tests.spec.test_implicit_return import (
    COUNTER,
    LISTING,
    RECURSION,
    STACK,
    TRAP,
    TRAP_PACKETS,
    F,
    G,
    H,
    whole,
)


@pytest.fixture(params=[STACK, COUNTER], ids=["stack", "counter"])
def settings(request: pytest.FixtureRequest) -> Settings:
    chosen: Settings = request.param
    return chosen


# -- "Format 2 irreport and irdepth" ---------------------


def test_depth_0_is_not_reported(implementation: Implementation, settings: Settings) -> None:
    """ "The instruction following a return, and it is not mis-predicted": "the current stack depth
    or call count if it is non-zero". Behind the only call's return it is zero.
    """
    means(
        implementation,
        LISTING,
        whole("2 1008", *TRAP_PACKETS),
        f"1000\n1004\n{F}1008\n" + TRAP.format("100c"),
        settings,
    )


def test_depth_0_and_the_trace_ends(implementation: Implementation, settings: Settings) -> None:
    means(implementation, LISTING, whole("2 1008"), f"1000\n1004\n{F}1008", settings)


@pytest.mark.parametrize("caller", ["f", "g"])
def test_current_depth(implementation: Implementation, settings: Settings, caller: str) -> None:
    """One call is left. (2.1 draft: "the stack depth is the same after" the return.)"""
    packet, flow, epc = {
        "f": ("2 3004 irdepth=1", f"100c\n3000\n{F}3004\n", "3008"),
        "g": ("2 4004 irdepth=1", f"1014\n4000\n{G}4004\n", "4008"),
    }[caller]
    start = f"3.0 {flow.split()[0]}"
    packets = whole(packet, *TRAP_PACKETS, start=start)
    means(implementation, LISTING, packets, flow + TRAP.format(epc), settings)


@pytest.mark.parametrize("visits", [1, 2])
def test_current_depth_in_recursion(implementation: Implementation, visits: int) -> None:
    """ "Recursive functions, as the reported address will occur multiple times in the execution
    path." Three calls; the first visit of 1008 is by the branch.
    """
    means(
        implementation,
        RECURSION,
        whole(f"1 NNT 1008 irdepth={3 - visits}", *TRAP_PACKETS, start="3.0 1014"),
        "1014\n1000\n1004\n1000\n1004\n1000\n1008\n"
        + "100c\n1008\n" * visits
        + TRAP.format("100c"),
        STACK,
    )


def test_depth_with_the_return(implementation: Implementation, settings: Settings) -> None:
    """The other way to count: "the entry number of the return", as for one that failed, and as
    the pseudo-code's `is_implicit_return` compares it.
    """
    means(
        implementation,
        LISTING,
        whole("2 3004 irdepth=2", *TRAP_PACKETS),
        f"1000\n1004\n{F}1008\n100c\n3000\n{F}3004\n" + TRAP.format("3008"),
        settings,
    )


def test_depth_behind_no_return(implementation: Implementation, settings: Settings) -> None:
    """ "If the reported address is not the instruction following a return", and there were returns
    since the last call, and no branch since.
    """
    means(
        implementation,
        LISTING,
        whole("2 101c irdepth=0", *TRAP_PACKETS),
        f"1000\n1004\n{F}1008\n100c\n{G}1010\n1014\n{H}1018\n101c\n" + TRAP.format("1020"),
        settings,
    )


def test_irets_without_updiscon(implementation: Implementation) -> None:
    """2.1 draft: the target of a predicted return before a trap."""
    means(
        implementation,
        LISTING,
        whole("2 3004 irets=1", *TRAP_PACKETS),
        f"1000\n1004\n{F}1008\n100c\n3000\n{F}3004\n" + TRAP.format("3008"),
        test_irets.STACK,
    )


# -- jumps that need no packet, and a trap right behind them ---------------------


def test_a_trap_behind_an_implicit_return(
    implementation: Implementation, settings: Settings
) -> None:
    """The return is no updiscon: the trap waits for its handler. The EPC is on the stack."""
    means(
        implementation,
        LISTING,
        whole("2 2004", "3.1 exception 12 tval=1008 thaddr=1 5000", "2 5004"),
        "1000\n1004\n2000\n2004\nexception 12 tval=1008 at 1008\n5000\n5004",
        settings,
    )


@pytest.mark.parametrize(
    ("flow", "packets"),
    [
        (  # the target did not retire
            "exception 2 tval=0 at 2000\n3000\n3004",
            ["2 1004", "3.1 exception 2 tval=0 thaddr=1 3000", "2 3004"],
        ),
        (  # it did, and sends its address
            "2000\nexception 2 tval=0 at 2004\n3000\n3004",
            ["2 2000", "3.1 exception 2 tval=0 thaddr=1 3000", "2 3004"],
        ),
        ("2000", ["2 2000"]),
    ],
)
def test_behind_a_sequentially_inferable_jump(
    implementation: Implementation, flow: str, packets: list[str]
) -> None:
    means(
        implementation,
        f"1000: 00002337 lui t1,2\n1004: 00030067 jr t1\n{test_sequentially_inferable.THERE}",
        whole(*packets),
        f"1000\n1004 sijump\n{flow}",
        test_sequentially_inferable.INFERRED,
    )


# -- 0.1 for an address that no jump led to ---------------------


@pytest.mark.parametrize("trap", [True, False])
def test_an_index_for_a_walked_address(implementation: Implementation, trap: bool) -> None:
    """ "If the jump target cache is supported and enabled, and the address being reported is in the
    cache, then normally format 0, subformat 1 will be used": whatever it is reported for. irreport
    in 0.1 speaks of "the last retired before an exception" too.
    """
    packets = ["2 2000", "1 N 200c", "1 N 3018", "0.1 0 (2000)"]
    after = ["3.1 interrupt 7 thaddr=1 3010", "2 3014"] if trap else []
    flow = "1000\n1004\n2000\n1000\n1004\n200c\n1000\n1004\n3018\n2000"
    means(
        implementation,
        test_jump_target_cache.LISTING,
        whole(*packets, *after),
        flow + ("\ninterrupt 7 at 1000\n3010\n3014" if trap else ""),
        test_jump_target_cache.CACHE,
    )


def test_an_interrupt_behind_an_environment_call_that_retired(
    implementation: Implementation,
) -> None:
    """To some encoders an ecall retires. Its exception has its address, an interrupt is behind."""
    means(
        implementation,
        """
        1000: 00000013  nop
        1004: 00000073  ecall
        1008: 00000013  nop
        2000: 00000013  handler
        """,
        """
        3.3 no_change
        3.0 1000
        2 1004
        3.1 interrupt 7 thaddr=1 2000
        3.3 ended_rep
        """,
        "1000\n1004\ninterrupt 7 at 1008\n2000",
    )
