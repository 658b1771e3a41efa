"""Fields that the specification leaves undefined, as another encoder may fill them.

"Format 3 thaddr, address and privilege fields": where thaddr is 0, `address` is the EPC of an
exception at the target of an uninferable discontinuity or on the first traced instruction, and
undefined for other exceptions and for interrupts.
"""

import pytest

from tests.spec.notation_context import meaning

CODE = """
    1000: 00000013  nop
    1004: 00000013  nop
    1008: 00030067  jr t1
    2000: 00000013  trap handler
    2004: 00000013  nop
"""
ANYTHING = ["0", "abcd0"]


@pytest.mark.parametrize("address", ANYTHING)
def test_a_trap_that_another_follows(address: str) -> None:
    """The first trap's EPC is where the walk ends, whatever the field says."""
    found = meaning(
        f"""
        3.3 no_change
        3.0 1000
        3.1 exception 2 tval=0 thaddr=0 {address}
        3.1 exception 13 tval=4000 thaddr=1 2000
        2 2004
        3.3 ended_rep
        """,
        CODE,
    )
    assert found[:2] == ["1000", "exception 2 tval=0 at 1004"]
    assert found[2].startswith("exception 13 tval=4000 at ")
    assert found[3:] == ["2000", "2004"]


@pytest.mark.parametrize(
    ("first", "second", "address", "epc"),
    [
        ("exception 2 tval=0", "exception 13 tval=40", "0", "0"),
        ("exception 2 tval=0", "exception 13 tval=40", "abcd0", "abcd0"),
        ("interrupt 7", "interrupt 11", "0", "?"),
        ("interrupt 7", "interrupt 11", "abcd0", "abcd0"),
    ],
)
def test_the_epc_of_the_second_of_two_traps(
    first: str, second: str, address: str, epc: str
) -> None:
    """It trapped at the handler's first instruction, whose address no packet has to tell. Our
    encoder tells it in the undefined field, and our decoder believes it (docs/choices.md).
    """
    found = meaning(
        f"""
        3.3 no_change
        3.0 1000
        2 1004
        3.1 {first} thaddr=0 {address}
        3.1 {second} thaddr=1 2000
        2 2004
        3.3 ended_rep
        """,
        CODE,
    )
    assert found[3].startswith(second)
    assert f" at {epc}" in found[3]


@pytest.mark.parametrize(("address", "epc"), [("0", "?"), ("abcd0", "abcd0")])
def test_an_interrupt_at_the_target_of_an_updiscon(address: str, epc: str) -> None:
    """A hart need not give the encoder an iaddr with an interrupt that retires nothing."""
    found = meaning(
        f"""
        3.3 no_change
        3.0 1000
        2 1008
        3.1 interrupt 7 thaddr=0 {address}
        3.0 2000
        2 2004
        3.3 ended_rep
        """,
        CODE,
    )
    assert found == ["1000", "1004", "1008", f"interrupt 7 at {epc}", "2000", "2004"]


def test_an_exception_at_the_target_of_an_updiscon() -> None:
    """Here the field is defined."""
    found = meaning(
        """
        3.3 no_change
        3.0 1000
        2 1008
        3.1 exception 12 tval=abcd0 thaddr=0 abcd0
        3.0 2000
        3.3 ended_rep
        """,
        CODE,
    )
    assert found[3] == "exception 12 tval=abcd0 at abcd0"
