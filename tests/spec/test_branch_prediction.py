"""E-Trace 2.0, "Branch prediction mode" and "Format 0 packets": counts instead of a branch map."""

import pytest

from tests.model.adapter import Implementation
from tests.model.settings import Modes, Parameters, Resync, Settings
from tests.spec.notation import agree

PARAMETERS = Parameters(iaddress_width_p=64, ecause_width_p=5, bpred_size_p=4)
ON = Modes(branch_prediction=True)
PREDICTION = Settings(PARAMETERS, ON)

ELSEWHERE = """
    2000: 00000013  nop
    2004: 00000013  nop
    3000: 00000013  nop
    3004: 00000013  nop
"""

#: A branch that goes back to itself, taken or not.
ONE_BRANCH = (
    """
    0ffc: 00000013  nop
    1000: 00000463  beq zero,zero,1008
    1004: ffdff06f  j 1000
    1008: ff9ff06f  j 1000
"""
    + ELSEWHERE
    + "4000: 30200073 mret"
)


def outcomes(text: str) -> str:
    """A flow through ONE_BRANCH: T and N, as they come."""
    return "\n".join(f"1000\n{'1008' if each == 'T' else '1004'}" for each in text)


def row(count: int, at_2000: str = "00000013  nop") -> str:
    """A listing: a nop, `count` branches in a row, a jump to 2000 and what is there."""
    branches = [f"{0x1004 + 4 * i:x}: 00000463  beq zero,zero,8 further" for i in range(count)]
    jump = f"{0x1004 + 4 * count:x}: 00030067  jr t1"
    there = ELSEWHERE.replace("2000: 00000013  nop", f"2000: {at_2000}")
    return "\n".join(["1000: 00000013 nop", *branches, jump, there])


def not_taken(count: int) -> str:
    """A flow through `row(count)`: all branches, not taken, and the jump."""
    return "\n".join(f"{0x1000 + 4 * i:x}" for i in range(count + 2))


def whole(*packets: str, end: str = "2 2004\n3.3 ended_rep", start: str = "3.0 1000") -> str:
    return "\n".join(["3.3 no_change", start, *packets, end])


@pytest.mark.parametrize(
    ("right", "packets"),
    [
        # 30 branches: nothing is due before the jump
        (29, [f"1 {'N' * 29}T 2000"]),
        # the map is full, and not all were right
        (30, [f"1 {'N' * 30}T", "2 2000"]),
        (31, ["0.0 0", "2 2000"]),
        (32, ["0.0 1", "2 2000"]),
        (75, ["0.0 44", "2 2000"]),
    ],
)
def test_a_branch_is_mispredicted(
    implementation: Implementation, right: int, packets: list[str]
) -> None:
    """ "The count value will be the number of correctly predicted branches, minus 31. No address".

    All entries are 01 after the 3.0, so that branches not taken are predicted.
    """
    last = 0x1000 + 4 * (right + 1)
    listing = row(right + 2).replace(f"{last + 4:x}: 00000463", f"{last + 4:x}: 00000013")
    jump = last + 8
    flow = "\n".join([*not_taken(right + 2).split()[: right + 2], f"{jump:x}", "2000", "2004"])
    assert flow.split()[right + 1] == f"{last:x}"
    agree(implementation, listing, flow, whole(*packets), PREDICTION)


@pytest.mark.parametrize(
    ("count", "packet"),
    [(30, f"1 {'N' * 30} 2000"), (31, "0.0 0 2000"), (32, "0.0 1 2000"), (80, "0.0 49 2000")],
)
def test_an_updiscon(implementation: Implementation, count: int, packet: str) -> None:
    """branch_fmt 10: the address is that of no branch."""
    flow = not_taken(count) + "\n2000\n2004"
    agree(implementation, row(count), flow, whole(packet), PREDICTION)


@pytest.mark.parametrize(
    ("count", "outcome", "packet"),
    [
        (30, "", "0.0 0 2000"),  # its target is the 31st that was right
        (31, "", "0.0 1 2000"),
        (29, "taken", f"1 {'N' * 29}T 2000"),
        (30, "taken", f"1 {'N' * 30}T 2000"),  # 31 branches, not all right
        (31, "taken", "0.0 0 2000 fail"),  # the branch that failed is not counted
        (32, "taken", "0.0 1 2000 fail"),
    ],
)
def test_an_updiscon_to_a_branch(
    implementation: Implementation, count: int, outcome: str, packet: str
) -> None:
    listing = row(count, "00000263  beq zero,zero,2004")
    flow = not_taken(count) + f"\n2000 {outcome}\n2004"
    agree(implementation, listing, flow, whole(packet), PREDICTION)


def test_an_exception_behind_a_branch_that_was_right(implementation: Implementation) -> None:
    flow = "\n".join(not_taken(33).split()[:-1])
    agree(
        implementation,
        row(33),
        flow + "\nexception 2 tval=0 at 1088\n3000\n3004",
        whole(
            "0.0 2 1084",
            "3.1 exception 2 tval=0 thaddr=1 3000",
            end="2 3004\n3.3 ended_rep",
        ),
        PREDICTION,
    )


def test_an_exception_behind_a_branch_that_failed(implementation: Implementation) -> None:
    """The address is due (flow chart: "next inst is exc_only") before a count without one is."""
    flow = "\n".join(not_taken(33).split()[:-1])
    agree(
        implementation,
        row(33),
        flow + " taken\nexception 2 tval=0 at 108c\n3000\n3004",
        whole(
            "0.0 1 1084 fail",
            "3.1 exception 2 tval=0 thaddr=1 3000",
            end="2 3004\n3.3 ended_rep",
        ),
        PREDICTION,
    )


def test_a_privilege_change(implementation: Implementation) -> None:
    """A count is a branch map that is not empty: the row before sends its address."""
    listing = row(33).replace("1088: 00030067  jr t1", "1088: 30200073  mret")
    flow = not_taken(33) + "\n2000 priv=0\n2004 priv=0"
    agree(implementation, listing, flow, whole("0.0 2 1088", "3.0 2000 priv=0"), PREDICTION)


def test_an_updiscon_and_an_exception(implementation: Implementation) -> None:
    """updiscon: the target is also the last instruction before a format 3."""
    agree(
        implementation,
        row(35),
        not_taken(35) + "\n2000\nexception 2 tval=0 at 2004\n3000\n3004",
        whole(
            "0.0 4 2000 updiscon",
            "3.1 exception 2 tval=0 thaddr=1 3000",
            end="2 3004\n3.3 ended_rep",
        ),
        PREDICTION,
    )


def test_notify(implementation: Implementation) -> None:
    flow = not_taken(35).replace("1084", "1084 notify") + "\n2000\n2004"
    agree(implementation, row(35), flow, whole("0.0 2 1084 notify", "1 NN 2000"), PREDICTION)


def test_the_last_instruction(implementation: Implementation) -> None:
    flow = "\n".join(not_taken(40).split()[:-1])
    agree(
        implementation,
        row(40),
        flow,
        whole("0.0 9 10a0", end="3.3 ended_rep"),
        PREDICTION,
    )


def test_resynchronisation(implementation: Implementation) -> None:
    """The count goes out before the 3.0, with the address of the row before it."""
    settings = Settings(PARAMETERS, ON, Resync("instructions", 2 * 36))
    flow = not_taken(80) + "\n2000\n2004"
    agree(
        implementation,
        row(80),
        flow,
        whole(
            "0.0 5 1090",  # 36 instructions behind that of the 3.0, all of them branches
            "3.0 1094",
            "0.0 5 1124",  # the branch at 1094 is in the 3.0
            "3.0 1128",
            f"1 {'N' * 6} 2000",
        ),
        settings,
    )


def test_states(implementation: Implementation) -> None:
    """ "The prediction must fail twice for the predicted value to change." """
    agree(
        implementation,
        ONE_BRANCH,
        "0ffc\n"
        + outcomes("N" * 32 + "T")  # 01, 00 and so on; the failure leads to 01
        + "\n"
        + outcomes("N" * 31 + "T")  # still predicted not taken; 00 to 01
        + "\n"
        + outcomes("T" * 31)  # fails again: 11. The rest is right
        + "\n"
        + outcomes("T" * 33 + "N")  # 10
        + "\n"
        + outcomes("T" * 31 + "N")  # still predicted taken: 11, and then 10
        + "\n"
        + outcomes("N" * 31)  # fails again: 00
        + "\n"
        + outcomes("N" * 31 + "T")
        + "\n1000",
        whole(
            "0.0 1",
            "0.0 0",
            f"1 {'T' * 31}",
            "0.0 2",
            "0.0 0",
            f"1 {'N' * 31}",
            "0.0 0",
            "1 N 1000",
            start="3.0 ffc",
            end="3.3 ended_rep",
        ),
        PREDICTION,
    )


def test_a_prediction_that_failed_twice_fails_twice_again(implementation: Implementation) -> None:
    """Taken behind 01 leads to 11, not to 10: one branch not taken changes nothing."""
    agree(
        implementation,
        ONE_BRANCH,
        "0ffc\n"
        + outcomes("N" * 28 + "TTN")  # 00, 01, 11, 10
        + "\n"
        + outcomes("T" * 31 + "N")
        + "\n1000",
        whole(f"1 {'N' * 28}TTN", "0.0 0", "1 N 1000", start="3.0 ffc", end="3.3 ended_rep"),
        PREDICTION,
    )


def test_a_trap_starts_the_predictor_again(implementation: Implementation) -> None:
    """All entries are 01 after a synchronization packet, and that is 3.0 or 3.1."""
    agree(
        implementation,
        ONE_BRANCH,
        "0ffc\n"
        + outcomes("T" * 31)  # the first of them fails
        + "\n"
        + outcomes("T" * 31)
        + "\nexception 2 tval=0 at 1000\n4000\n"
        + outcomes("N")  # the 11 of before would have failed, here and at the next
        + "\n"
        + outcomes("N" * 31 + "T")
        + "\n1000",
        whole(
            f"1 {'T' * 31}",
            "0.0 0 1008",
            "3.1 exception 2 tval=0 thaddr=1 4000",
            "1 N 1000",
            "0.0 0",
            "1 N 1000",
            start="3.0 ffc",
            end="3.3 ended_rep",
        ),
        PREDICTION,
    )


def test_the_branch_of_a_synchronisation_packet(implementation: Implementation) -> None:
    """Its outcome is in the packet; it is not counted and (docs/modes.md) trains nothing."""
    agree(
        implementation,
        ONE_BRANCH,
        outcomes("T") + "\n" + outcomes("T" * 31) + "\n" + outcomes("T" * 31 + "N") + "\n1000",
        whole(
            f"1 {'T' * 31}",
            "0.0 0",
            "1 N 1000",
            start="3.0 1000 taken",
            end="3.3 ended_rep",
        ),
        PREDICTION,
    )


def test_what_it_does_not_train(implementation: Implementation) -> None:
    """The branch of the 3.0 is taken; the entry is 01 all the same, and predicts the others."""
    agree(
        implementation,
        ONE_BRANCH,
        outcomes("T") + "\n" + outcomes("N" * 31 + "T") + "\n1000",
        whole("0.0 0", "1 N 1000", start="3.0 1000 taken", end="3.3 ended_rep"),
        PREDICTION,
    )


@pytest.mark.parametrize(
    ("bpred_size_p", "iaddress_lsb_p", "shared"),
    [(1, 1, True), (2, 1, False), (1, 2, False)],
)
def test_index(
    implementation: Implementation, bpred_size_p: int, iaddress_lsb_p: int, shared: bool
) -> None:
    """Bits size:1, or size+1:2 without compressed instructions.

    1004 is always taken, 1008 never. With an entry between them each second prediction fails.
    """
    p = Parameters(iaddress_width_p=64, bpred_size_p=bpred_size_p, iaddress_lsb_p=iaddress_lsb_p)
    full = ["TN" * 15 + "T", "NT" * 15 + "N"]
    packets = [f"1 {each}" for each in full] if shared else [f"1 {full[0]}"]
    agree(
        implementation,
        """
        1000: 00000013  nop
        1004: 00000263  beq zero,zero,1008
        1008: 00000463  beq zero,zero,1010
        100c: ff9ff06f  j 1004
        """,
        "1000\n" + "1004 taken\n1008\n100c\n" * 32,
        whole(
            *packets,
            "1 TN 100c" if shared else "0.0 2 100c",
            end="3.3 ended_rep",
        ),
        Settings(p, ON),
    )


def test_the_largest_count(implementation: Implementation) -> None:
    """ "The branch count reaches its maximum value": with an address, and counting starts again.

    The maximum is 2 here, not 0xffff_ffff.
    """
    settings = Settings(PARAMETERS, ON, most_branches=2)
    agree(
        implementation,
        row(40),
        not_taken(40) + "\n2000\n2004",
        whole("0.0 2 1084", f"1 {'N' * 7} 2000"),
        settings,
    )


def test_full_address(implementation: Implementation) -> None:
    settings = Settings(PARAMETERS, Modes(branch_prediction=True, full_address=True))
    flow = not_taken(40) + "\n2000\n2004"
    agree(implementation, row(40), flow, whole("0.0 9 2000"), settings)
