"""E-Trace 2.1 (draft), "Implicit Return extension": irets instead of irdepth."""

from dataclasses import replace

import pytest

from tests.model.adapter import Implementation
from tests.model.assemble import jal
from tests.model.settings import Modes, Settings, UpdatedParameters
from tests.spec.notation import agree
from tests.spec.test_implicit_return import LISTING, RECURSION, TRAP, TRAP_PACKETS, F, G, H, whole

ON = Modes(implicit_return=True)
STACK = Settings(
    UpdatedParameters(iaddress_width_p=64, ecause_width_p=5, return_stack_size_p=2), ON
)
COUNTER = Settings(
    UpdatedParameters(iaddress_width_p=64, ecause_width_p=5, call_counter_size_p=2), ON
)


@pytest.fixture(params=[STACK, COUNTER], ids=["stack", "counter"])
def settings(request: pytest.FixtureRequest) -> Settings:
    chosen: Settings = request.param
    return chosen


def test_no_return(implementation: Implementation, settings: Settings) -> None:
    """Calls alone: irreport repeats updiscon."""
    agree(
        implementation,
        LISTING,
        "1000\n1004\n2000\n" + TRAP.format("2004"),
        whole("2 2000", *TRAP_PACKETS),
        settings,
    )


def test_behind_implicit_returns(implementation: Implementation, settings: Settings) -> None:
    """ "If the address is not the instruction following an updiscon but is being reported for some
    other reason (as listed above), and the number of implicit returns is non-zero." Three are.
    """
    agree(
        implementation,
        LISTING,
        f"1014\n{H}1018\n101c\n" + TRAP.format("1020"),
        whole("2 101c irets=3", *TRAP_PACKETS, start="3.0 1014"),
        settings,
    )


def test_a_branch_starts_the_count_again(
    implementation: Implementation, settings: Settings
) -> None:
    """ "Since the last branch, or te_inst packet"."""
    listing = LISTING.replace("3004: 00000013  nop", "3004: 00000263  beq zero,zero,3008")
    agree(
        implementation,
        listing,
        f"1014\n{H}1018\n101c\n" + TRAP.format("1020"),
        whole("1 N 101c irets=2", *TRAP_PACKETS, start="3.0 1014"),
        settings,
    )


def test_a_packet_starts_the_count_again(
    implementation: Implementation, settings: Settings
) -> None:
    agree(
        implementation,
        LISTING,
        f"1014\n{H}1018\n101c\n".replace("4004", "4004 notify") + TRAP.format("1020"),
        whole("2 4004 irets=1", "2 101c irets=1", *TRAP_PACKETS, start="3.0 1014"),
        settings,
    )


def test_a_predicted_return_before_a_trap(
    implementation: Implementation, settings: Settings
) -> None:
    """ "It is correctly predicted but is being reported for some other reason".

    The return that is reported is no implicit one: it is not counted. (docs/modes.md: updiscon.)
    """
    agree(
        implementation,
        LISTING,
        f"1000\n1004\n{F}1008\n100c\n3000\n{F}3004\n" + TRAP.format("3008"),
        whole("2 3004 updiscon irets=1", *TRAP_PACKETS),
        settings,
    )


@pytest.mark.parametrize("visits", [1, 2])
def test_recursion(implementation: Implementation, settings: Settings, visits: int) -> None:
    agree(
        implementation,
        RECURSION,
        "1014\n1000\n1004\n1000\n1004\n1000\n1008\n"
        + "100c\n1008\n" * visits
        + TRAP.format("100c"),
        whole(f"1 NNT 1008 updiscon irets={visits - 1}", *TRAP_PACKETS, start="3.0 1014"),
        settings,
    )


@pytest.mark.parametrize("before", [0, 1])
def test_a_mispredicted_return(implementation: Implementation, before: int) -> None:
    """With irets even if that is 0."""
    agree(
        implementation,
        LISTING,
        "1000\n1004\n" + f"{F}1008\n100c\n3000\n" * before + f"{F}1018\n101c",
        whole(f"2 1018 irets={before}", "2 101c"),
        STACK,
    )


def test_a_mispredicted_return_pops(implementation: Implementation) -> None:
    """f, called by g, returns elsewhere in g: the return of g is predicted all the same."""
    agree(
        implementation,
        LISTING,
        "100c\n3000\n2000\n2004\n3008\n1010\n1014",
        whole("2 3008 irets=0", "2 1014 irets=1", start="3.0 100c"),
        STACK,
    )


def test_a_return_from_an_empty_stack(implementation: Implementation, settings: Settings) -> None:
    """ "The return stack is empty, but the number of implicit returns is non-zero." """
    agree(
        implementation,
        LISTING,
        f"3000\n{F}3004\n3008\n1018\n101c",
        whole("2 1018 irets=1", "2 101c", start="3.0 3000"),
        settings,
    )
    agree(
        implementation,
        LISTING,
        "2000\n2004\n1018\n101c",
        whole("2 1018", "2 101c", start="3.0 2000"),
        settings,
    )


def test_calls_alone(implementation: Implementation, settings: Settings) -> None:
    """g and what it calls return in silence; the trace ends one further."""
    agree(
        implementation,
        LISTING,
        f"1000\n1004\n{F}1008\n100c\n{G}1010\n1014",
        whole("2 1014 irets=3"),
        settings,
    )


@pytest.mark.parametrize("cached", [False, True])
def test_more_returns_than_irets_can_tell(implementation: Implementation, cached: bool) -> None:
    """irets has 8 bits: the return after 255 is reported (docs/modes.md).

    It was predicted all the same: its target is not in the jump target cache when one jumps there.
    """
    calls = [0x1004 + 4 * i for i in range(257)]
    listing = "1000: 00000013 nop\n8000: 00008067 ret\n" + "\n".join(
        [f"{pc:x}: {jal(1, 0x8000 - pc):08x} jal ra,8000" for pc in calls]
        + [f"{calls[-1] + 4:x}: 00030067 jr t1"]
    )
    last = f"{calls[-1]:x}\n8000\n{calls[-1] + 4:x}"
    agree(
        implementation,
        listing,
        "1000\n" + "".join(f"{pc:x}\n8000\n" for pc in calls[:-1]) + f"{last}\n{last}",
        whole(
            f"2 {calls[-1]:x} irets=255",
            f"2 {calls[-1]:x}",
            f"2 {calls[-1] + 4:x} updiscon irets=0",
        ),
        replace(
            STACK,
            parameters=replace(STACK.parameters, cache_size_p=3 * cached),
            modes=replace(ON, jump_target_cache=cached),
            exact_visits=False,
        ),
    )
