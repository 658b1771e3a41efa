"""E-Trace 2.0, "Context type ctype values and corresponding actions", and format 3 subformat 2.

Context and time in the packets, for each value of *ctype*.
"""

from dataclasses import replace

import pytest

from tests.model.filters import Filter, Filtering, window
from tests.spec.notation_context import (
    CONTEXTS,
    RV64,
    agree,
    decoded,
    flow,
    lines,
    meaning,
    model_encodes,
    product_encodes,
    sends,
)

CODE = """
    1000: 00000013  nop
    1004: 00000013  nop
    1008: 00000463  beq zero,zero,1010
    100c: 00000013  nop
    1010: 00000013  nop
    1014: 00030067  jr t1
    1018: 00000013  nop
    101c: 30200073  mret
    2000: 00000013  trap handler
    2004: 00000013  nop
    3000: 00000013  user code
    3004: 00000013
"""


def test_unreported() -> None:
    """ctype 0: no packet for it; the next 3.0 has the new context nonetheless."""
    agree(
        CODE,
        """
        1000 context=1
        1004 context=2
        1010 context=2 halted
        """,
        """
        3.3 no_change
        3.0 1000 context=1 time=0
        2 1004
        3.3 ended_rep
        3.0 1010 context=2 time=0
        3.3 ended_rep disabled
        """,
        "1000\n1004\npause\n1010",
        settings=CONTEXTS,
    )


def test_imprecisely() -> None:
    """ctype 1: a 3.2 with the new context, without any address; branches stay unreported."""
    agree(
        CODE,
        """
        1000 context=1
        1004
        1008
        100c context=2 ctype=1 time=9
        1010
        """,
        """
        3.3 no_change
        3.0 1000 context=1 time=0
        3.2 context=2 time=9
        1 N 1010
        3.3 ended_rep disabled
        """,
        "1000\n1004\n1008\n100c\n1010",
        settings=CONTEXTS,
    )


def test_the_privilege_of_a_3_2() -> None:
    """That of the new context."""
    agree(
        CODE,
        """
        3000 context=1 priv=0
        3004 context=2 ctype=1 priv=0
        """,
        """
        3.3 no_change
        3.0 3000 priv=0 context=1 time=0
        2 3004
        3.2 priv=0 context=2 time=0
        3.3 ended_rep disabled
        """,
        "3000 priv=0\n3004 priv=0",
        settings=CONTEXTS,
    )


def test_imprecisely_where_a_format_3_is_sent_anyway() -> None:
    """First traced instruction, handler, privilege change: the context is in that packet."""
    agree(
        CODE,
        """
        1018 context=1 ctype=1
        101c
        3000 priv=0 context=2 ctype=1
        exception 2 tval=0 at 3004 priv=0
        2000 context=3 ctype=1
        2004
        """,
        """
        3.3 no_change
        3.0 1018 context=1 time=0
        3.0 3000 priv=0 context=2 time=0
        3.1 exception 2 tval=0 thaddr=1 2000 context=3 time=0
        2 2004
        3.3 ended_rep disabled
        """,
        "1018\n101c\n3000 priv=0\nexception 2 tval=0 at 3004 priv=0\n2000\n2004",
        settings=CONTEXTS,
    )


def test_imprecisely_at_the_target_of_an_updiscon() -> None:
    """The address has to be reported; the context is not forgotten for it."""
    rows = flow("1010 context=1\n1014\n1018 context=2 ctype=1\n101c", CODE)
    packets = product_encodes(rows, CODE, Filtering(), CONTEXTS)
    assert sorted(packets[2:4]) == ["2 1018", "3.2 context=2 time=0"]
    assert packets == model_encodes(rows, Filtering(), CONTEXTS)


def test_precisely_without_pending_branches() -> None:
    """ctype 2: the address of the first instruction and the new context, as for privilege."""
    agree(
        CODE,
        """
        1000 context=1
        1004 context=2 ctype=2
        1008
        100c
        """,
        """
        3.3 no_change
        3.0 1000 context=1 time=0
        3.0 1004 context=2 time=0
        1 N 100c
        3.3 ended_rep disabled
        """,
        "1000\n1004\n1008\n100c",
        settings=CONTEXTS,
    )


def test_precisely_with_pending_branches() -> None:
    """They are reported first, with the address of the instruction before."""
    agree(
        CODE,
        """
        1000 context=1
        1004
        1008
        100c context=2 ctype=2
        1010
        """,
        """
        3.3 no_change
        3.0 1000 context=1 time=0
        1 N 1008
        3.0 100c context=2 time=0
        2 1010
        3.3 ended_rep disabled
        """,
        "1000\n1004\n1008\n100c\n1010",
        settings=CONTEXTS,
    )


def test_precisely_behind_the_target_of_an_updiscon() -> None:
    """updiscon: reported, and followed by a format 3."""
    agree(
        CODE,
        """
        1010 context=1
        1014
        1004
        1008 context=2 ctype=2 taken
        1010
        """,
        """
        3.3 no_change
        3.0 1010 context=1 time=0
        2 1004 updiscon
        3.0 1008 taken context=2 time=0
        2 1010
        3.3 ended_rep disabled
        """,
        "1010\n1014\n1004\n1008\n1010",
        settings=CONTEXTS,
    )


def test_precisely_at_the_target_of_an_updiscon() -> None:
    """The 3.0 reports the target."""
    agree(
        CODE,
        """
        1010 context=1
        1014
        1000 context=2 ctype=2
        1004
        """,
        """
        3.3 no_change
        3.0 1010 context=1 time=0
        3.0 1000 context=2 time=0
        2 1004
        3.3 ended_rep disabled
        """,
        "1010\n1014\n1000\n1004",
        settings=CONTEXTS,
    )


@pytest.mark.parametrize("branches", [False, True])
def test_asynchronous_discontinuity(branches: bool) -> None:
    """ctype 3: the last instruction of the old context in any case, and the first of the new.

    The support packet between them is docs/qualification.md's.
    """
    rows = ["1000", "1004", "1008", "100c"] if branches else ["1000", "1004"]
    agree(
        CODE,
        "\n".join(rows) + "\n2000 context=2 ctype=3\n2004",
        f"""
        3.3 no_change
        3.0 1000 context=0 time=0
        {"1 N 100c" if branches else "2 1004"}
        3.3 ended_rep
        3.0 2000 context=2 time=0
        2 2004
        3.3 ended_rep disabled
        """,
        "\n".join(rows) + "\npause\n2000\n2004",
        settings=CONTEXTS,
    )


@pytest.mark.parametrize("ctype", [1, 2, 3])
def test_a_context_change_that_is_not_traced(ctype: int) -> None:
    """Reported with the next instruction that is."""
    only = Filtering(1, (Filter(trTeFilterMatchComp1=True),), (window(0x1008, 0x1010),))
    sends(
        CODE,
        f"1000 context=1\n1004 context=2 ctype={ctype}\n1008\n100c",
        "3.3 no_change\n3.0 1008 context=2 time=0\n2 100c\n3.3 ended_rep disabled",
        only,
        CONTEXTS,
    )


# -- time -----------------------------------------------------------------------------------------


def test_time_of_the_reported_instruction() -> None:
    """In 3.0, 3.1 and 3.2; a trap with thaddr 0 has its own."""
    agree(
        CODE,
        """
        1014 time=10
        exception 12 tval=5000 at 5000
        2000 time=30
        2004 time=31 ctype=1
        exception 2 tval=0 at 2008
        2000 time=50
        """,
        """
        3.3 no_change
        3.0 1014 context=0 time=10
        3.1 exception 12 tval=5000 thaddr=0 5000 context=0 time=10
        3.0 2000 context=0 time=30
        2 2004
        3.2 context=0 time=31
        3.1 exception 2 tval=0 thaddr=1 2000 context=0 time=50
        3.3 ended_rep disabled
        """,
        """
        1014
        exception 12 tval=5000 at 5000
        2000
        2004
        exception 2 tval=0 at 2008
        2000
        """,
        settings=CONTEXTS,
    )


def test_time_and_context_have_their_widths() -> None:
    """As many low bits as the field has."""
    sends(
        CODE,
        "1000 context=7ab time=65544",
        "3.3 no_change\n3.0 1000 context=ab time=8\n3.3 ended_rep disabled",
        settings=CONTEXTS,
    )


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [({"nocontext_p": 1}, " time=7"), ({"notime_p": 1}, " context=5")],
    ids=["nocontext_p", "notime_p"],
)
def test_one_field_of_the_two(parameters: dict[str, int], fields: str) -> None:
    """The other is not in the packets; a 3.2 is sent for what there is."""
    settings = replace(CONTEXTS, parameters=replace(CONTEXTS.parameters, **parameters))
    agree(
        CODE,
        "1000 context=5 time=7\n1004 ctype=1\n1008",
        f"3.3 no_change\n3.0 1000{fields}\n3.2{fields}\n1 N 1008\n3.3 ended_rep disabled",
        "1000\n1004\n1008",
        settings=settings,
    )


def test_neither_field() -> None:
    """A precise report is a synchronisation all the same, an imprecise one would say nothing."""
    neither = replace(RV64, parameters=replace(RV64.parameters, ctype_width_p=2))
    sends(
        CODE,
        "1000\n1004 ctype=1\n1008\n100c ctype=2\n1010",
        "3.3 no_change\n3.0 1000\n1 N 1008\n3.0 100c\n2 1010\n3.3 ended_rep disabled",
        settings=neither,
    )


# -- decoding -------------------------------------------------------------------------------------


def reports(packets: str) -> list[tuple[int, int, int, int]]:
    """Of each report: instructions before it, precise, context, time."""
    flow_ = decoded(packets, CODE, CONTEXTS)
    counts = [0, *flow_.runs["count"].cumsum().tolist()]
    return [
        (counts[int(each["run"])], *(int(each[name]) for name in ("precise", "context", "time")))
        for each in flow_.contexts
    ]


def test_what_a_decoder_says_of_context() -> None:
    packets = """
        3.3 no_change
        3.0 1000 context=1 time=5
        2 1004 notify
        3.2 context=2 time=8
        1 N 100c
        3.0 1010 context=3 time=9
        3.1 exception 2 tval=0 thaddr=1 2000 context=4 time=12
        3.3 ended_rep
    """
    (first, imprecise, *others) = reports(packets)
    assert first == (0, 1, 1, 5)
    # between the instructions that 2 and 1 report: at 1004 itself or later, before 100c
    assert imprecise[1:] == (0, 2, 8)
    assert 1 <= imprecise[0] <= 2
    assert others == [(4, 1, 3, 9), (5, 1, 4, 12)]
    rows = "1000\n1004\n1008\n100c\n1010\nexception 2 tval=0 at 1014\n2000"
    assert meaning(packets, CODE, CONTEXTS) == lines(rows)


def test_a_3_2_between_updiscon_and_its_format_3() -> None:
    """It is a format 3 itself, but none that the flow goes by."""
    packets = """
        3.3 no_change
        3.0 1010 context=1 time=0
        2 1004 updiscon
        3.2 context=2 time=0
        3.0 1008 taken context=2 time=0
        2 1010
        3.3 ended_rep
    """
    rows = "1010\n1014\n1004\n1008\n1010"
    assert meaning(packets, CODE, CONTEXTS) == lines(rows)
