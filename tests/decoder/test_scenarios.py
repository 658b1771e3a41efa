"""Chapter "Decoder" case by case: packets => instructions (two digits of each pc, `!` a trap)."""

from dataclasses import replace

import pytest

from decoder import Decoder
from specs.interfaces.flow import Ended
from specs.isa.control import CodeMap
from tests.decoder.support import addresses, configuration, decode, gaps, told
from tests.model.settings import Modes, Settings
from tests.spec import notation

#: The loop of "Format 2 notify and updiscon fields": an uninferable jump leads back to `1004`.
LOOP = """
1000: 00000013 nop
1004: 00000013 nop        looplabel
1008: 00000013 nop
100c: 00028067 jr t0
1010: 00000013 nop
"""

#: Branches, a jump, a call through a register, a trap handler with its return.
CODE = """
1000: 00000013 nop
1004: 00050463 beqz a0, 100c
1008: 00000013 nop
100c: 00051463 bnez a0, 1014
1010: ff1ff06f j 1000
1014: 00028067 jr t0
1018: 00000073 ecall
101c: 00000013 nop
1020: 0000006f j .
1080: 00000013 nop        handler
1084: 30200073 mret
1100: 00000013 nop        second handler
1104: 30200073 mret
"""


@pytest.mark.parametrize(
    ("packets", "expected"),
    [
        # 1: round the loop, on to the next packet
        ("2 1004\n2 1004\n2 1010\n3.3 ended_ntr", "00 04 08 0c 04 08 0c 04 08 0c 10"),
        # 2: in the second iteration, then an interrupt
        ("2 1004 updiscon\n3.1 interrupt 7 thaddr=1 1000", "00 04 08 0c 04 ! 00"),
        # 2: in the second iteration, then resynchronisation
        ("2 1004 updiscon\n3.0 1008", "00 04 08 0c 04 08"),
        # 3: in the first iteration, then an interrupt
        ("2 1004\n3.1 interrupt 7 thaddr=1 1000", "00 04 ! 00"),
        # 3: the very next instruction resynchronises
        ("2 1004\n3.0 1008", "00 04 08"),
        # 1, and the instruction after the second visit's jump resynchronises
        ("2 1004\n3.0 1010", "00 04 08 0c 04 08 0c 10"),
        # 4: a notification in the first iteration, then the second
        ("2 1004 notify\n2 1004\n3.3 ended_ntr", "00 04 08 0c 04"),
        # the end in the first iteration, and in the second
        ("2 1004\n3.3 ended_rep", "00 04"),
        ("2 1004\n3.3 ended_ntr", "00 04 08 0c 04"),
        # a context packet between them disturbs nothing
        ("2 1004\n3.2\n2 1010\n3.3 ended_ntr", "00 04 08 0c 04 08 0c 10"),
        ("2 1004\n3.2\n3.3 ended_rep", "00 04"),
        ("2 1004\n3.3 no_change\n3.3 ended_ntr", "00 04 08 0c 04"),
    ],
)
def test_notify_and_updiscon(packets: str, expected: str) -> None:
    flow, code = told(LOOP, f"3.3 no_change\n3.0 1000\n{packets}")
    assert addresses(flow, code) == expected
    assert gaps(flow) == []


@pytest.mark.parametrize(
    ("packets", "expected"),
    [
        # branches taken and not, a jump back, the last one pending until its successor is known
        ("1 NT 100c", "00 04 08 0c"),
        ("1 NN 1000", "00 04 08 0c 10 00"),
        ("1 TNTT 1080", "00 04 0c 10 00 04 0c 14 80"),
        # a full branch map stops at its last branch, whose outcome the next packet's come after
        (
            "1 " + "TN" * 15 + "T\n1 T 1080",
            " ".join(["00 04 0c 10"] * 15) + " 00 04 0c 14 80",
        ),
        # the address of a branch: its outcome is known, not yet followed
        ("1 N 1004\n3.1 exception 2 tval=0 thaddr=1 1080", "00 04 ! 80"),
        ("1 T 1004\n3.1 exception 2 tval=0 thaddr=1 1080", "00 04 ! 80"),
    ],
)
def test_branches(packets: str, expected: str) -> None:
    flow, code = told(CODE, f"3.3 no_change\n3.0 1000\n{packets}")
    assert addresses(flow, code) == expected
    assert gaps(flow) == []


def test_runs_extend_through_branches_not_taken() -> None:
    flow, _ = told(CODE, "3.3 no_change\n3.0 1000\n1 NN 1000\n3.3 ended_rep")
    assert flow.runs["start"].tolist() == [0x1000, 0x1000]
    assert flow.runs["count"].tolist() == [5, 1]
    assert flow.runs["ended"].tolist() == [Ended.INFERABLE_JUMP, Ended.END]


@pytest.mark.parametrize(
    ("packets", "epcs"),
    [
        # after a sequential instruction, a branch of either outcome, a jump
        ("3.0 1000\n3.1 exception 2 tval=5 thaddr=1 1080", [0x1004]),
        ("3.0 1000\n1 N 1004\n3.1 exception 2 tval=5 thaddr=1 1080", [0x1008]),
        ("3.0 1000\n1 T 1004\n3.1 exception 2 tval=5 thaddr=1 1080", [0x100C]),
        ("3.0 1004 taken\n3.1 exception 2 tval=5 thaddr=1 1080", [0x100C]),
        ("3.0 1010\n3.1 exception 2 tval=5 thaddr=1 1080", [0x1000]),
        # after an uninferable jump, reported with the trap; its handler then by format 3.0
        ("3.0 1014\n3.1 exception 2 tval=5 thaddr=0 2222\n3.0 1080", [0x2222]),
        # the first row traced
        ("3.1 exception 2 tval=5 thaddr=0 2222\n3.0 1080", [0x2222]),
        # another privilege than the instruction before
        ("3.0 1000\n3.1 exception 2 tval=5 thaddr=0 2222 priv=1\n3.0 1080", [0x2222]),
        # two and three in a row: each packet has the next one's EPC
        (
            "3.0 1000\n3.1 exception 2 tval=5 thaddr=0 1080\n3.1 interrupt 7 thaddr=1 1100",
            [0x1004, 0x1080],
        ),
        (
            "3.0 1000\n3.1 exception 2 tval=5 thaddr=0 1080\n3.1 interrupt 7 thaddr=0 1100\n"
            "3.1 interrupt 3 thaddr=1 1080",
            [0x1004, 0x1080, 0x1100],
        ),
        # both at their own rows after a discontinuity
        (
            "3.0 1014\n3.1 exception 2 tval=5 thaddr=0 2222\n"
            "3.1 exception 1 tval=1 thaddr=0 1080\n3.0 1100",
            [0x2222, 0x1080],
        ),
        # ecall as the reference reports it, retired, and as the specification has it
        ("3.0 1018\n3.1 exception 11 tval=0 thaddr=1 1080", [0x1018]),
        ("3.0 1014\n2 1018 updiscon\n3.1 exception 11 tval=0 thaddr=1 1080", [0x1018]),
    ],
)
def test_exception_program_counters(packets: str, epcs: list[int]) -> None:
    flow, _ = told(CODE, f"3.3 no_change\n{packets}")
    assert flow.traps["epc"].tolist() == epcs
    assert flow.traps["epc_known"].all()
    assert gaps(flow) == []


def test_trap_fields() -> None:
    packets = "3.0 1000 priv=1\n3.1 exception 13 tval=abc thaddr=1 1080\n2 1000 updiscon"
    flow, _ = told(CODE, f"3.3 no_change\n{packets}")
    (trap,) = flow.traps
    fields = ("cause", "interrupt", "tval", "thaddr", "priv", "run", "packet")
    assert [int(trap[field]) for field in fields] == [13, 0, 0xABC, 1, 1, 1, 2]
    assert flow.runs["priv"].tolist() == [1, 3, 3]
    assert flow.runs["ended"].tolist()[:2] == [Ended.TRAP, Ended.TRAP_RETURN]


def test_unknown_epc_of_interrupt() -> None:
    """A source that does not know where an interrupt was taken reports 0."""
    flow, _ = told(CODE, "3.3 no_change\n3.0 1014\n3.1 interrupt 7 thaddr=0 0\n3.0 1080")
    assert flow.traps["epc_known"].tolist() == [0]
    assert gaps(flow) == []


def test_privilege_changes_at_trap_return() -> None:
    packets = "3.3 no_change\n3.0 1080\n3.0 1000 priv=0\n1 T 1004 \n3.3 ended_rep"
    flow, code = told(CODE, packets)
    assert addresses(flow, code) == "80 84 00 04"
    assert flow.runs["priv"].tolist() == [3, 0]
    assert flow.runs["ended"].tolist() == [Ended.TRAP_RETURN, Ended.END]


def test_full_addresses() -> None:
    settings = Settings(notation.RV64.parameters, Modes(full_address=True))
    flow, code = told(LOOP, "3.3 no_change\n3.0 1000\n2 1010\n3.3 ended_ntr", settings)
    assert addresses(flow, code) == "00 04 08 0c 10"


def test_several_sessions_in_one_stream() -> None:
    session = "3.3 no_change\n3.0 1000\n2 1010\n3.3 ended_rep"
    flow, code = told(LOOP, f"{session}\n{session}")
    assert addresses(flow, code) == "00 04 08 0c 10 00 04 08 0c 10"
    assert flow.runs["ended"].tolist() == [Ended.UNINFERABLE_JUMP, Ended.END] * 2
    assert gaps(flow) == []


def test_statistics() -> None:
    code = CodeMap(notation.code(LOOP), 64)
    chosen = configuration(notation.RV64)
    assert chosen is not None
    decoder = Decoder(chosen, code)
    data = notation.stream("3.3 no_change\n3.0 1000\n2 1010\n3.3 ended_rep", notation.RV64)
    assert sum(flow.instructions for flow in [*decoder.feed(data), *decoder.finish()]) == 5
    statistics = decoder.statistics
    assert statistics.instructions == 5
    assert statistics.bytes == len(data)
    assert {name: count for name, count in statistics.packets.items() if count} == {
        "2": 1,
        "3.0": 1,
        "3.3": 2,
    }


# -- gaps: after each, the next packet with a full address starts afresh -------------------------


@pytest.mark.parametrize(
    ("packets", "expected", "reason"),
    [
        ("2 1010", "", ("NO_SYNC", 0)),
        ("1 T 1010\n2 1010", "", ("NO_SYNC", 0)),
        ("3.0 1000\n3.3 ended_rep\n2 1000", "00", ("NO_SYNC", 0)),
        # nothing is there; or the jump leads to where nothing is
        ("3.0 3000", "", ("NO_CODE", 0x3000)),
        ("3.0 1014\n2 3000", "14", ("NO_CODE", 0x3000)),
        ("3.0 1014\n3.0 3000", "14", ("NO_CODE", 0x3000)),
        ("3.0 1000\n3.1 interrupt 7 thaddr=1 3000", "00 !", ("NO_CODE", 0x3000)),
        # a jump to itself is all that follows
        ("3.0 101c\n2 1014", None, ("NOT_REACHED", 0x1014)),
        # a branch on the way without an outcome
        ("3.0 1000\n2 1014", "00 04", ("NO_BRANCH", 0x1004)),
        # one outcome too many at the address
        ("3.0 1014\n1 T 1000", "14 00", ("UNPROCESSED_BRANCHES", 0x1000)),
        # a full branch map leads over an uninferable jump
        ("3.0 1014\n1 " + "T" * 31, "14", ("UNEXPECTED_DISCONTINUITY", 0x1014)),
        # another privilege, and no return from a trap on the way
        (
            "3.0 1014\n3.0 1000 priv=0\n3.3 ended_rep",
            "14 00 00",
            ("UNEXPECTED_DISCONTINUITY", 0x1000),
        ),
        ("3.0 1000\n3.3 trace_lost", "00", ("TRACE_LOST", 0)),
    ],
)
def test_gaps(packets: str, expected: str | None, reason: tuple[str, int]) -> None:
    flow, code = told(CODE, f"3.3 no_change\n{packets}\n3.0 1080")
    assert gaps(flow) == [reason]
    if expected is not None:
        assert addresses(flow, code) == f"{expected} 80".strip()


def test_illegal_code() -> None:
    """A 32-bit instruction that would run past the end of memory is none."""
    flow, code = told("1000: 8082\n1002: 0013", "3.3 no_change\n3.0 1000\n2 1002\n3.0 1000")
    assert addresses(flow, code) == "00 00"
    assert gaps(flow) == [("ILLEGAL_CODE", 0x1002)]


def test_path_off_the_end_of_memory() -> None:
    flow, code = told("1000: 00000013\n1004: 00000013", "3.3 no_change\n3.0 1000\n2 1020\n3.0 1004")
    assert addresses(flow, code) == "00 04 04"
    assert gaps(flow) == [("NO_CODE", 0x1008)]


def test_gap_stands_after_what_was_decoded() -> None:
    flow, _ = told(CODE, "3.3 no_change\n3.0 1000\n2 1014\n1 T 1000\n3.0 1080")
    (gap,) = flow.gaps
    assert (int(gap["run"]), int(gap["packet"])) == (1, 2)
    assert flow.runs["ended"].tolist()[0] == Ended.GAP


def test_endless_jumps_are_noticed() -> None:
    """`j .`, longer circles, and circles that the address lies in but never on an instruction."""
    circle = "1000: 00000013\n1004: 0040006f j 1008\n1008: ff9ff06f j 1000\n100c: 00000013"
    for listing, address in ((CODE, "1080"), (circle, "100c"), (circle, "1006"), (circle, "1002")):
        start = "1020" if listing is CODE else "1000"
        flow, _ = told(listing, f"3.3 no_change\n3.0 {start}\n2 {address}\n3.0 1000")
        assert gaps(flow) == [("NOT_REACHED", int(address, 16))]
        assert len(flow.runs) < 100
        flow, _ = told(listing, f"3.3 no_change\n3.0 {start}\n1 {'T' * 31}\n3.0 1000")
        assert [reason for reason, _ in gaps(flow)] == ["NOT_REACHED"]


def test_long_chains_of_jumps_are_followed() -> None:
    """Two hundred jumps in a row, and the reported address only after them."""
    listing = "\n".join(f"{0x1000 + 4 * i:x}: 0040006f" for i in range(200)) + "\n1320: 00000013"
    flow, _ = told(listing, "3.3 no_change\n3.0 1000\n2 1320\n3.3 ended_rep")
    assert gaps(flow) == []
    assert flow.instructions == 201


@pytest.mark.parametrize("bit", [0, 3, 4])
def test_modes_that_the_parameters_rule_out_are_refused(bit: int) -> None:
    plain = notation.stream("3.3 no_change\n3.0 1000", notation.RV64)
    # ioptions begin at bit 8 of the support packet: format, subformat, ienable, mode, qual_status.
    announced = bytes([0x42, plain[1], 1 << bit])
    chosen = configuration(notation.RV64)
    assert chosen is not None
    code = CodeMap(notation.code(LOOP), 64)
    flow = decode(announced + plain[2:] + plain, chosen, code)
    assert gaps(flow) == [("UNSUPPORTED_MODE", 0)]
    assert addresses(flow, code) == "00"
    assert int(flow.gaps[0]["run"]) == 0


@pytest.mark.parametrize(
    ("packets", "expected", "gap"),
    [
        # the outcome in a 3.0 is that of its own branch, which is not one of those before
        ("3.0 1000\n3.0 100c", "00 04 0c", ("NO_BRANCH", 0x1004)),
        ("3.0 1000\n3.0 100c taken", "00 04 0c", ("NO_BRANCH", 0x1004)),
        # with one outcome of two, as far as that goes
        ("3.0 1000\n1 T 1004 notify\n3.0 1004 taken", "00 04 0c 04", ("NO_BRANCH", 0x100C)),
        ("3.0 1000\n1 N 1004 notify\n3.0 1004", "00 04 08 0c 04", ("NO_BRANCH", 0x100C)),
        # nor is it needed where the packet's instruction is no branch
        ("3.0 1000\n1 T 1004 notify\n3.0 1014", "00 04 0c 14", ("NO_BRANCH", 0x100C)),
    ],
)
def test_what_certainly_ran_before_a_branch_without_outcome(
    packets: str, expected: str, gap: tuple[str, int]
) -> None:
    """All of it comes, up to the branch, which the gap names."""
    flow, code = told(CODE, f"3.3 no_change\n{packets}")
    assert addresses(flow, code) == expected
    assert gaps(flow) == [gap]


@pytest.mark.parametrize("modes", [Modes(), Modes(branch_prediction=True)])
def test_a_long_path_ends_at_the_branch_without_outcome(modes: Modes) -> None:
    """Eleven instructions behind the last branch that has an outcome, past jumps."""
    listing = "\n".join(f"{0x1000 + 4 * n:x}: 00000013 nop" for n in range(64) if n not in (2, 12))
    listing += "\n1008: 00050463 beqz a0, 1010\n1030: fc050ee3 beqz a0, 100c"
    settings = Settings(notation.RV64.parameters, modes)
    if modes.branch_prediction:
        settings = replace(settings, parameters=replace(settings.parameters, bpred_size_p=4))
    flow, code = told(listing, "3.3 no_change\n3.0 1000\n1 T 1008 notify\n3.0 1030", settings)
    assert addresses(flow, code) == "00 04 08 10 14 18 1c 20 24 28 2c 30"
    assert gaps(flow) == []
    flow, code = told(listing, "3.3 no_change\n3.0 1000\n1 T 1008 notify\n3.0 1008 taken", settings)
    assert addresses(flow, code) == "00 04 08 10 14 18 1c 20 24 28 2c 30 08"
    assert gaps(flow) == [("NO_BRANCH", 0x1030)]


#: The last two instructions of the address space, and the first ones.
TOP = """
fffffff8: 00000013 nop
fffffffc: 00000013 nop
"""


@pytest.mark.parametrize("modes", [Modes(), Modes(sijump=True)])
def test_addresses_wrap(modes: Modes) -> None:
    """At 2^32 on RV32: in the flow, and in the EPC that is inferred."""
    parameters = replace(notation.RV64.parameters, iaddress_width_p=32, sijump_p=1)
    settings = Settings(parameters, modes)
    packets = "3.3 no_change\n3.0 fffffff8\n2 fffffffc\n3.1 exception 1 tval=0 thaddr=1 fffffff8"
    flow, code = told(TOP, packets, settings, 32)
    assert addresses(flow, code) == "f8 fc ! f8"
    assert (flow.traps["epc"].tolist(), flow.traps["epc_known"].tolist()) == ([0], [1])
    over = TOP + "0: 00000013 nop\n4: 00028067 jr t0"
    packets = "3.3 no_change\n3.0 fffffff8\n2 fffffff8\n3.3 ended_rep"
    flow, code = told(over, packets, settings, 32)
    assert addresses(flow, code) == "f8 fc 00 04 f8"
    assert gaps(flow) == []
    flow, _ = told(TOP, "3.3 no_change\n3.0 fffffff8\n1 N fffffff8", settings, 32)
    assert gaps(flow) == [("NO_CODE", 0)]


def test_loops_of_unknown_length() -> None:
    """Each packet that reports a place in a circle says so anew; a wait behind it does not."""
    packets = """
    3.3 no_change
    3.0 1020
    2 1020
    3.1 interrupt 7 thaddr=1 1080
    2 1020 updiscon
    3.1 interrupt 7 thaddr=1 1080
    2 1020
    2 1020
    3.0 1020
    3.1 interrupt 7 thaddr=1 1080
    3.3 ended_rep
    """
    flow, code = told(CODE, packets)
    assert addresses(flow, code) == "20 20 ! 80 84 20 ! 80 84 20 20 20 ! 80"
    assert flow.loops["start"].tolist() == [0x1020] * 3
    assert flow.loops["count"].tolist() == [1] * 3
    assert flow.loops["endless"].tolist() == [1] * 3
    assert flow.loops["packet"].tolist() == [2, 7, 8]
    starts = flow.runs["start"][flow.loops["run"].astype(int)]
    assert starts.tolist() == [0x1020] * 3
    exact, _ = told(CODE, packets, replace(notation.RV64, exact_loops=True))
    assert not len(exact.loops)
    assert addresses(exact, code) == addresses(flow, code)
