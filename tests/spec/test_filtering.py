"""E-Trace 2.0, "Filtering", and the Trace Control Interface, "Trace Encoder Filter Registers".

What each field lets through, and which packets begin and end it.
"""

from dataclasses import replace

import pytest

from tests.model.filters import (
    BOTH,
    CONTEXT,
    IADDR,
    LATCH,
    NOT_BOTH,
    TVAL,
    Comparator,
    Filter,
    Filtering,
    window,
)
from tests.spec.notation_context import (
    CONTEXTS,
    RV64,
    agree,
    flow,
    lines,
    meaning,
    model_encodes,
    product_encodes,
    sends,
)

STRAIGHT = "\n".join(f"{0x1000 + 4 * n:x}: 00000013" for n in range(8))
ROWS = "\n".join(f"{0x1000 + 4 * n:x}" for n in range(8))

#: User code at 3000 calls the kernel at 2000; another handler is at 4000.
CALLS = """
    2000: 00000013  trap handler
    2004: 00000013
    2008: 30200073  mret
    3000: 00000013  user code
    3004: 00000013
    3008: 00000073  ecall
    300c: 00000013
    3010: 00030067  jr t1
    4000: 00000013  another trap handler
    4004: 30200073  mret
"""
ECALL = """
    3000 priv=0
    3004 priv=0
    exception 8 tval=0 at 3008 priv=0
    2000
    2004
    2008
    300c priv=0
    3010 priv=0
"""


def privilege(*levels: int) -> Filtering:
    choice = sum(1 << level for level in levels)
    return Filtering(
        1, (Filter(trTeFilterMatchPrivilege=True, trTeFilterMatchChoicePrivilege=choice),)
    )


def comparing(*comparators: Comparator) -> Filtering:
    """One filter that asks for each of these, at most three."""
    fields = {}
    for number in range(len(comparators)):
        fields |= {f"trTeFilterMatchComp{number + 1}": True, f"trTeFilterComp{number + 1}": number}
    return Filtering(1, (Filter(**fields),), comparators)


def traced(filtering: Filtering, listing: str = STRAIGHT, rows: str = ROWS) -> list[str]:
    """What a decoder sees of the rows, filters in force; pauses left out."""
    packets = product_encodes(flow(rows, listing), listing, filtering, RV64)
    assert packets == model_encodes(flow(rows, listing), filtering, RV64)
    return [line for line in meaning("\n".join(packets), listing) if line != "pause"]


# -- privilege ------------------------------------------------------------------------------------


def test_user_mode_only() -> None:
    """The exception is the user's: told, though its handler is not traced."""
    agree(
        CALLS,
        ECALL,
        """
        3.3 no_change
        3.0 3000 priv=0
        2 3004
        3.1 exception 8 tval=0 thaddr=0 0 priv=0
        3.3 ended_rep
        3.0 300c priv=0
        2 3010
        3.3 ended_rep disabled
        """,
        """
        3000 priv=0
        3004 priv=0
        exception 8 tval=0 at 3008 priv=0
        pause
        300c priv=0
        3010 priv=0
        """,
        privilege(0),
    )


#: Format 3 subformat 0 is for the first traced instruction "unless that instruction also happens to
#: be the first in a trap handler".
HANDLER = """
    3.3 no_change
    3.1 exception 8 tval=0 thaddr=1 2000
    2 2008
    3.3 ended_rep
    3.3 ended_rep disabled
"""


@pytest.mark.parametrize(
    "filtering",
    [privilege(3), comparing(window(0x2000, 0x2FFF))],
    ids=["privilege", "address"],
)
def test_a_trap_handler_is_traced_but_not_what_trapped(filtering: Filtering) -> None:
    """The first traced instruction is the first of the handler: 3.1, with the cause."""
    sends(CALLS, ECALL, HANDLER, filtering)


def test_a_handler_without_what_trapped_decodes() -> None:
    """Where the exception was cannot be told: no instruction before it was traced."""
    assert meaning(HANDLER, CALLS)[1:] == ["2000", "2004", "2008"]
    assert meaning(HANDLER, CALLS)[0].startswith("exception 8 tval=0 at ?")


def test_the_same_trap_again_decodes() -> None:
    """What was traced last is no place to look for the EPC: tracing had ended."""
    found = meaning(f"{HANDLER}\n{HANDLER}", CALLS)
    assert found[4] == "pause"
    assert found[5].startswith("exception 8 tval=0 at ?")
    assert found[6:] == ["2000", "2004", "2008"]


def test_all_privilege_levels_that_are_chosen() -> None:
    """A change between two of them is no end of tracing."""
    agree(
        CALLS,
        ECALL,
        """
        3.3 no_change
        3.0 3000 priv=0
        2 3004
        3.1 exception 8 tval=0 thaddr=1 2000
        3.0 300c priv=0
        2 3010
        3.3 ended_rep disabled
        """,
        """
        3000 priv=0
        3004 priv=0
        exception 8 tval=0 at 3008 priv=0
        2000
        2004
        2008
        300c priv=0
        3010 priv=0
        """,
        privilege(0, 3),
    )


# -- ecause and interrupt -------------------------------------------------------------------------

#: An ecall, whose handler is interrupted by a timer (7) and then by another (11).
NESTED = """
    3000
    exception 8 tval=0 at 3008
    2000
    interrupt 7 at 2004
    4000
    4004
    2004
    interrupt 11 at 2008
    4000
    4004
    2008
    300c
    interrupt 7 at 3010
    4000
    4004
    3010
"""


def traps(excint: int = 2, **fields: int) -> Filtering:
    return Filtering(1, (Filter(**fields),), filter_excint_p=excint)  # type: ignore[arg-type]


def test_from_a_cause_to_the_return() -> None:
    """The first of all is the exception itself: its EPC, as on the first traced instruction."""
    agree(
        CALLS,
        ECALL,
        """
        3.3 no_change
        3.1 exception 8 tval=0 thaddr=0 3008 priv=0
        3.0 2000
        2 2008
        3.3 ended_rep
        3.3 ended_rep disabled
        """,
        """
        exception 8 tval=0 at 3008 priv=0
        2000
        2004
        2008
        """,
        traps(trTeFilterMatchEcause=True, trTeFilterMatchChoiceEcause=1 << 8),
    )


ECALL_HANDLER = ["exception 8 tval=0 at 3008", "2000", "interrupt 7 at 2004", "4000", "4004"]
ECALL_HANDLER += ["2004", "interrupt 11 at 2008", "4000", "4004", "2008"]
FIRST_TIMER = ["interrupt 7 at 2004", "4000", "4004"]
SECOND_TIMER = ["interrupt 7 at 3010", "4000", "4004"]
OTHER_TIMER = ["interrupt 11 at 2008", "4000", "4004"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # nested traps belong to the handler that they interrupt
        ({"trTeFilterMatchEcause": True, "trTeFilterMatchChoiceEcause": 1 << 8}, ECALL_HANDLER),
        (
            {"trTeFilterMatchEcause": True, "trTeFilterMatchChoiceEcause": 1 << 7},
            FIRST_TIMER + SECOND_TIMER,
        ),
        (
            {"trTeFilterMatchEcause": True, "trTeFilterMatchChoiceEcause": 1 << 11 | 1 << 7},
            FIRST_TIMER + OTHER_TIMER + SECOND_TIMER,
        ),
        # causes above 31 have the register High: none here
        ({"trTeFilterMatchEcause": True, "trTeFilterMatchChoiceEcause": 1 << 40}, []),
        # itype 2, or 1
        (
            {"trTeFilterMatchInterrupt": True, "trTeFilterMatchValueInterrupt": 1},
            FIRST_TIMER + OTHER_TIMER + SECOND_TIMER,
        ),
        (
            {"trTeFilterMatchInterrupt": True, "trTeFilterMatchValueInterrupt": 0},
            ECALL_HANDLER,
        ),
        # both have to hold
        (
            {
                "trTeFilterMatchInterrupt": True,
                "trTeFilterMatchValueInterrupt": 1,
                "trTeFilterMatchEcause": True,
                "trTeFilterMatchChoiceEcause": 1 << 11 | 1 << 8,
            },
            OTHER_TIMER,
        ),
    ],
)
def test_causes(fields: dict[str, int], expected: list[str]) -> None:
    assert traced(traps(**fields), CALLS, NESTED) == expected


#: A trap within a trap within a trap, and the three returns.
DEEP = """
    exception 8 tval=0 at 3008
    2000
    interrupt 7 at 2004
    4000
    interrupt 11 at 4004
    2000
    2004
    2008
    4004
    2004
    2008
    300c
"""


@pytest.mark.parametrize(("excint", "last"), [(1, "4004"), (2, "2008"), (3, "2008")])
def test_more_nested_traps_than_can_be_counted(excint: int, last: str) -> None:
    """The counter saturates at 2^filter_excint_p; filtering turns off a return too early.

    Counting to two, the second return ends it; the third would have been the right one.
    """
    rows = lines(DEEP)[:-1]
    expected = rows[: rows.index("4004") + 1] if last == "4004" else rows
    cause = traps(excint, trTeFilterMatchEcause=True, trTeFilterMatchChoiceEcause=1 << 8)
    assert traced(cause, CALLS, DEEP) == expected


# -- comparators ----------------------------------------------------------------------------------

MATCH = 0x100C
BELOW = ["1000", "1004", "1008"]
ABOVE = ["1010", "1014", "1018", "101c"]
AT = ["100c"]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (0, AT),
        (1, BELOW + ABOVE),
        (2, BELOW),
        (3, BELOW + AT),
        (4, ABOVE),
        (5, AT + ABOVE),
        (6, []),
        (7, BELOW + AT + ABOVE),
    ],
)
def test_functions(function: int, expected: list[str]) -> None:
    """Of the primary comparator in mode 0, and of the secondary with a primary always true."""
    primary = Comparator(trTeCompPFunction=function, trTeCompPMatch=MATCH)
    assert traced(comparing(primary)) == expected
    secondary = Comparator(
        trTeCompPFunction=7,
        trTeCompSFunction=function,
        trTeCompSMatch=MATCH,
        trTeCompMatchMode=BOTH,
    )
    if function == 6:  # of the secondary: always true
        expected = BELOW + AT + ABOVE
    assert traced(comparing(secondary)) == expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        # P: from 1008 on; S: up to 1010
        (0, ["1008", "100c", "1010", "1014", "1018", "101c"]),
        (BOTH, ["1008", "100c", "1010"]),
        (NOT_BOTH, ["1000", "1004", "1014", "1018", "101c"]),
    ],
)
def test_match_modes(mode: int, expected: list[str]) -> None:
    unit = Comparator(
        trTeCompPFunction=5,
        trTeCompPMatch=0x1008,
        trTeCompSFunction=3,
        trTeCompSMatch=0x1010,
        trTeCompMatchMode=mode,
    )
    assert traced(comparing(unit)) == expected


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        # set when primary is true, asserted until the instruction after secondary is true
        (0x1008, 0x1010, ["1008", "100c", "1010"]),
        (0x1008, 0x1008, ["1008"]),
        # a secondary result before clears nothing
        (0x1010, 0x1004, ["1010", "1014", "1018", "101c"]),
        (0x2000, 0x1004, []),
    ],
)
def test_latch(start: int, stop: int, expected: list[str]) -> None:
    unit = Comparator(
        trTeCompPMatch=start,
        trTeCompSFunction=0,
        trTeCompSMatch=stop,
        trTeCompMatchMode=LATCH,
    )
    assert traced(comparing(unit)) == expected


def test_primed_latch() -> None:
    """Primary function 6: traced from the beginning, until the secondary result."""
    unit = Comparator(
        trTeCompPFunction=6,
        trTeCompSFunction=0,
        trTeCompSMatch=0x1008,
        trTeCompMatchMode=LATCH,
    )
    assert traced(comparing(unit)) == BELOW


def test_a_mask() -> None:
    """Secondary function 6: its match value masks the primary's; every other instruction."""
    unit = Comparator(trTeCompPMatch=0x4, trTeCompSFunction=6, trTeCompSMatch=0x4)
    assert traced(comparing(unit)) == ["1004", "100c", "1014", "101c"]


def test_comparisons_are_unsigned_and_no_wider_than_the_input() -> None:
    """Bits of the match value above iaddress_width_p are ignored."""
    narrow = replace(RV64, parameters=replace(RV64.parameters, iaddress_width_p=32))
    unit = Comparator(trTeCompPFunction=2, trTeCompPMatch=0xFFFF_FFFF_0000_1008)
    sends(
        STRAIGHT,
        ROWS,
        "3.3 no_change\n3.0 1000\n2 1004\n3.3 ended_rep\n3.3 ended_rep disabled",
        comparing(unit),
        narrow,
    )
    unit = Comparator(trTeCompPFunction=2, trTeCompPMatch=0xFFFF_FFFF_FFFF_FFFE)
    assert traced(comparing(unit)) == BELOW + AT + ABOVE


def test_several_comparators_of_a_filter() -> None:
    """All of up to three have to match."""
    three = (window(0x1004, 0x1018), window(0x1008, 0x2000), window(0x1000, 0x1010))
    assert traced(comparing(*three)) == ["1008", "100c", "1010"]


def test_several_filters() -> None:
    """One that matches is enough; trTeInstFilters selects which of them count."""
    units = (window(0x1000, 0x1004), window(0x1004, 0x1008), window(0x1018, 0x101C))
    filters_ = tuple(
        Filter(trTeFilterMatchComp1=True, trTeFilterComp1=number) for number in range(3)
    )
    assert traced(Filtering(7, filters_, units)) == [*BELOW, "1018", "101c"]
    assert traced(Filtering(2, filters_, units)) == ["1004", "1008"]
    assert traced(Filtering(0, filters_, units)) == BELOW + AT + ABOVE


def test_a_filter_that_is_not_enabled() -> None:
    """It matches nothing, whatever its conditions."""
    off, on = Filter(trTeFilterEnable=False), Filter(trTeFilterMatchComp1=True)
    assert traced(Filtering(1, (off,))) == []
    assert traced(Filtering(3, (off, on), (window(0x1004, 0x1004),))) == ["1004"]


def test_a_filter_without_conditions() -> None:
    assert traced(Filtering(1, (Filter(),))) == BELOW + AT + ABOVE


def test_context_as_input() -> None:
    """A process; the first instruction of the block that has another context is not traced."""
    unit = Comparator(trTeCompPInput=CONTEXT, trTeCompPMatch=5)
    agree(
        STRAIGHT,
        """
        1000 context=4
        1004 context=5 ctype=1
        1008
        100c context=6 ctype=1
        1010 context=5 ctype=1
        """,
        """
        3.3 no_change
        3.0 1004 context=5 time=0
        2 1008
        3.3 ended_rep
        3.0 1010 context=5 time=0
        3.3 ended_rep disabled
        """,
        "1004\n1008\npause\n1010",
        comparing(unit),
        CONTEXTS,
    )


FAULTS = """
    1000
    exception 13 tval=9000 at 1004
    2000
    2008
    1004
    exception 13 tval=5000 at 1008
    2000
    2008
    1008
"""
FAULT_CODE = STRAIGHT + CALLS


def test_tval_as_input() -> None:
    """Handlers of page faults at one address: cause and tval of the same trap."""
    fields = {"trTeFilterMatchEcause": True, "trTeFilterMatchChoiceEcause": 1 << 13}
    unit = Comparator(trTeCompPInput=TVAL, trTeCompPMatch=0x5000)
    filtering = Filtering(1, (Filter(trTeFilterMatchComp1=True, **fields),), (unit,))
    expected = ["exception 13 tval=5000 at 1008", "2000", "2008"]
    rows = FAULTS.replace("2000\n", "2000\n    2004\n")
    assert traced(filtering, FAULT_CODE, rows) == [expected[0], "2000", "2004", "2008"]


def test_primary_and_secondary_of_different_inputs() -> None:
    """An address range within one process."""
    unit = Comparator(
        trTeCompPInput=IADDR,
        trTeCompPFunction=5,
        trTeCompPMatch=0x1008,
        trTeCompSInput=CONTEXT,
        trTeCompSFunction=0,
        trTeCompSMatch=7,
        trTeCompMatchMode=BOTH,
    )
    sends(
        STRAIGHT,
        "1000 context=7\n1004\n1008\n100c\n1010 context=8",
        """
        3.3 no_change
        3.0 1008 context=7 time=0
        2 100c
        3.3 ended_rep
        3.3 ended_rep disabled
        """,
        comparing(unit),
        CONTEXTS,
    )


# -- debug mode, and what other encoders may send -------------------------------------------------


def test_debug_mode_by_privilege() -> None:
    """Without *halted*: level 4 in three bits, left out by the filter."""
    three_bits = replace(RV64, parameters=replace(RV64.parameters, privilege_width_p=3))
    agree(
        STRAIGHT + "\n8000: 00000013\n8004: 7b200073",
        """
        1000
        1004
        8000 priv=4
        8004 priv=4
        1008
        100c
        """,
        """
        3.3 no_change
        3.0 1000
        2 1004
        3.3 ended_rep
        3.0 1008
        2 100c
        3.3 ended_rep disabled
        """,
        "1000\n1004\npause\n1008\n100c",
        privilege(0, 1, 3),
        three_bits,
    )


def test_debug_mode_traced() -> None:
    """Nothing in the code says that debug mode is entered or left: the trace pauses there."""
    three_bits = replace(RV64, parameters=replace(RV64.parameters, privilege_width_p=3))
    agree(
        STRAIGHT + "\n8000: 00000013\n8004: 00000013",
        "1000\n1004\n8000 priv=4\n8004 priv=4\n1008\n100c",
        """
        3.3 no_change
        3.0 1000
        2 1004
        3.3 ended_rep
        3.0 8000 priv=4
        2 8004
        3.3 ended_rep
        3.0 1008
        2 100c
        3.3 ended_rep disabled
        """,
        "1000\n1004\npause\n8000 priv=4\n8004 priv=4\npause\n1008\n100c",
        settings=three_bits,
    )


def test_user_mode_only_without_the_exception() -> None:
    """By the letter of the flow chart it is told with its handler, and so not at all here."""
    packets = "3.3 no_change\n3.0 3000 priv=0\n2 3004\n3.3 ended_rep\n3.0 300c priv=0\n2 3010"
    assert meaning(packets + "\n3.3 ended_rep", CALLS) == [
        "3000 priv=0", "3004 priv=0", "pause", "300c priv=0", "3010 priv=0",
    ]  # fmt: skip
