"""docs/modes.md case by case, as far as it concerns a decoder: packets => instructions."""

from dataclasses import replace

import numpy as np
import pytest

from decoder import Decoder, packets
from specs.interfaces.flow import Flow
from specs.isa.control import CodeMap
from specs.trace.packets import Column
from tests.adapter import configuration
from tests.decoder.support import addresses, decode, framed, gaps
from tests.model import codec
from tests.model.assemble import addi, auipc, branch, jal, jalr, lui
from tests.model.codec import Packet
from tests.model.settings import Modes, Parameters, Settings, UpdatedParameters

NOP = addi(0, 0, 0)
RET = jalr(0, 1, 0)
JR = jalr(0, 6, 0)
BASE = 0x1000

SIZES = Parameters(
    iaddress_width_p=64,
    ecause_width_p=5,
    sijump_p=1,
    bpred_size_p=4,
    cache_size_p=3,
    return_stack_size_p=2,
    f0s_width_p=1,
)


def beq(offset: int) -> int:
    return branch(0, 0, 0, offset)


def on(*modes: str, p: Parameters = SIZES, **more: object) -> Settings:
    """Settings with some modes on, and full addresses."""
    flags = dict.fromkeys((*modes, "full_address"), True)
    return replace(Settings(p, Modes(**flags)), **more)


def support(settings: Settings, status: int = 0) -> Packet:
    fields = codec.support_fields(settings.parameters, settings.modes, False)
    return fields | {"ienable": int(status == 0), "qual_status": status}


def sync(address: int, branch: int = 1) -> Packet:
    return {"format": 3, "subformat": 0, "branch": branch, "privilege": 3, "address": address >> 1}


def trap(privilege: int, cause: int, interrupt: int = 1, **more: int) -> Packet:
    start = sync(0) | {"subformat": 1, "privilege": privilege, "ecause": cause}
    return start | {"interrupt": interrupt, "thaddr": 1, "tval": 0} | more


def tail(depth: int | None, bit: int = 0) -> Packet:
    """The bits behind `bit`: irreport says that the depth counts unless that is None."""
    report = {"irreport": bit if depth is None else bit ^ 1}
    return report | {"irdepth": depth or 0, "irets": depth or 0}


def to(address: int, outcomes: str = "", depth: int | None = None, notify: bool = False) -> Packet:
    """Format 1 or 2."""
    bit = int(notify)
    found = {"format": 2, "address": address >> 1, "notify": bit, "updiscon": bit}
    if outcomes:
        found |= {"format": 1, **branch_map(outcomes)}
    return found | tail(depth, bit)


def branch_map(outcomes: str) -> Packet:
    bits = sum(1 << i for i, each in enumerate(outcomes) if each == "N")
    return {"branches": len(outcomes), "branch_map": bits}


def count(number: int, fmt: int = 0, address: int = 0) -> Packet:
    """Format 0.0; `number` branches, as predicted."""
    found = {"format": 0, "subformat": 0, "branch_count": number - 31, "branch_fmt": fmt}
    return found | {"address": address >> 1, "notify": 0, "updiscon": 0} | tail(None)


def index(number: int, outcomes: str = "", depth: int | None = None) -> Packet:
    """Format 0.1."""
    found = {"format": 0, "subformat": 1, "index": number} | branch_map(outcomes)
    width = codec.branch_map_bits(len(outcomes)) if outcomes else 0
    bit = found["branch_map"] >> width - 1 & 1 if outcomes else 0
    return found | tail(depth, bit)


def code(words: list[int]) -> CodeMap:
    return CodeMap([(BASE, b"".join(word.to_bytes(4, "little") for word in words))], 64)


def stream(settings: Settings, *told: Packet) -> bytes:
    p, modes = settings.parameters, settings.modes
    return framed(codec.to_bytes(packet, p, modes) for packet in told)


def flow(settings: Settings, words: list[int], *told: Packet) -> Flow:
    """What packets say, after a support packet and 3.0 at the start of the code."""
    data = stream(settings, support(settings), sync(BASE), *told)
    return decode(data, configuration(settings, 64), code(words), settings.most_branches)


def said(settings: Settings, words: list[int], *told: Packet) -> tuple[str, list[tuple[str, int]]]:
    found = flow(settings, words, *told)
    return addresses(found, code(words)), gaps(found)


# -- sequentially inferable jumps -----------------------------------------------------------------

#: 00 lui, 04 jalr (to 10), 08 nop, 0c j 04, 10 nop, 14 jr
PAIR = [lui(5, 1), jalr(0, 5, 0x11), NOP, jal(0, -8), NOP, JR]


def test_sijump_behind_its_lui() -> None:
    """Bit 0 of the target is cleared."""
    assert said(on("sijump"), PAIR, to(0x1000)) == ("00 04 10 14 00", [])


def test_sijump_that_another_jump_leads_to_is_uninferable() -> None:
    words = [jal(0, 4), *PAIR[1:]]
    words[0], words[2] = jal(0, 8), lui(5, 1)
    found = said(on("sijump"), words, to(0x1010), to(0x1000))
    assert found == ("00 08 0c 04 10 14 00", [])


def test_sijump_is_uninferable_without_the_mode() -> None:
    assert said(on("branch_prediction"), PAIR, to(0x1010))[0] == "00 04 10"
    assert said(on(), PAIR, to(0x1014), to(0x1000))[0].split()[:3] == ["00", "04", "14"]


def test_sijump_at_a_packets_address() -> None:
    """A walk has seen the lui; a decoder that starts there has not."""
    walked = said(on("sijump"), PAIR, to(0x1004, notify=True), to(0x1000))
    assert walked == ("00 04 10 14 00", [])
    resynchronised = said(on("sijump"), PAIR, sync(0x1004), to(0x1000))
    assert resynchronised == ("00 04 10 14 00", [])
    settings = on("sijump")
    ended = support(settings, 1)
    fresh = said(settings, PAIR, to(0x1004, notify=True), ended, sync(0x1004), to(0x1008))
    assert fresh == ("00 04 04 08", [])


def test_sijump_of_a_return_leaves_the_stack_alone() -> None:
    # 00 jal ra, 0c; 04 nop; 08 jr; 0c auipc t0; 10 jr 8(t0) (14); 14 ret
    words = [jal(1, 12), NOP, JR, auipc(5, 0), jalr(0, 5, 8), RET]
    found = said(on("sijump", "implicit_return"), words, to(0x1000))
    assert found == ("00 0c 10 14 04 08 00", [])


# -- implicit exception ---------------------------------------------------------------------------

HANDLERS = [NOP] * 64 + [JR]


@pytest.mark.parametrize(
    ("vector", "told", "expected"),
    [
        (0x1080, trap(3, 7), "00 ! 80 84"),
        (0x1081, trap(3, 7), "00 ! 9c a0"),
        (0x1081, trap(3, 2, interrupt=0), "00 ! 80 84"),
    ],
)
def test_implicit_exception(vector: int, told: Packet, expected: str) -> None:
    settings = on("implicit_exception", tvec=((3, vector),))
    last = int(expected.split()[-1], 16) + 0x1000
    assert said(settings, HANDLERS, told, to(last)) == (expected, [])


def test_the_next_difference_refers_to_the_inferred_handler() -> None:
    settings = on("implicit_exception", tvec=((3, 0x1080),))
    settings = replace(settings, modes=replace(settings.modes, full_address=False))
    assert said(settings, HANDLERS, trap(3, 7), to(8)) == ("00 ! 80 84 88", [])


def test_an_unknown_trap_vector_is_a_gap() -> None:
    settings = on("implicit_exception", tvec=((1, 0x1080),))
    assert said(settings, HANDLERS, trap(3, 7)) == ("00 !", [("NO_VECTOR", 3)])


# -- branch prediction ----------------------------------------------------------------------------

#: 00 nop; 04 beq to 00; 08 jr
LOOP = [NOP, beq(-4), JR]


#: Two rounds, after which the branch is predicted to be taken. (Without notify a packet would ask
#: for a second visit.)
TWICE = to(0x1004, "TT", notify=True)


def test_a_count_and_the_branch_that_failed() -> None:
    settings = on("branch_prediction")
    # 2 by the map (the second is pending), 40 as predicted, 1 that failed
    expected = " ".join(["00 04"] * 43 + ["08"])
    assert said(settings, LOOP, TWICE, count(40), to(0x1008)) == (expected, [])


def test_a_count_with_address() -> None:
    settings = on("branch_prediction")
    expected = " ".join(["00 04"] * 33 + ["00"])
    assert said(settings, LOOP, TWICE, count(31, 2, 0x1000)) == (expected, [])
    expected = " ".join(["00 04"] * 34 + ["08"])
    assert said(settings, LOOP, TWICE, count(31, 3, 0x1008)) == (expected, [])


def test_the_largest_count_reports_its_last_branch_for_good() -> None:
    """Else the packet after it would ask for a second visit."""
    settings = on("branch_prediction", most_branches=2)
    expected = " ".join(["00 04"] * 36 + ["08"])
    told = TWICE, count(33, 2, 0x1004), to(0x1008, "N")
    assert said(settings, LOOP, *told) == (expected, [])
    above = count(34, 2, 0x1004)
    assert said(settings, LOOP, TWICE, above)[1] == [("BAD_COUNT", 3)]


def test_the_branch_of_a_synchronisation_trains_nothing() -> None:
    """A new entry predicts not taken, and still does after the packet's own taken branch."""
    # 00 beq to 08; 04 j 00; 08 nop; 0c j 00
    words = [beq(8), jal(0, -4), NOP, jal(0, -12)]
    told = sync(0x1000, branch=0), count(31, 2, 0x1004)
    expected = " ".join(["00 04 00 08 0c", *["00 04"] * 31])
    assert said(on("branch_prediction"), words, *told) == (expected, [])


def test_branch_fmt_1_is_a_gap() -> None:
    settings = on("branch_prediction")
    bits = list(codec.to_bits(count(40), settings.parameters, settings.modes))
    fmt = 2 + settings.parameters.f0s_width_p + 32
    bits[fmt] = "1"
    payload = codec.compress("".join(bits) + "0")
    data = stream(settings, support(settings), sync(BASE)) + framed([payload])
    found = decode(data, configuration(settings, 64), code(LOOP))
    assert gaps(found) == [("BAD_COUNT", 9)]


def test_an_index_without_a_cache_is_a_gap() -> None:
    assert said(on("branch_prediction"), LOOP, index(0))[1] == [("MODE_OFF", 0)]
    assert said(on(), LOOP, index(0))[1] == [("MODE_OFF", 0)]


def test_a_count_without_prediction_is_a_gap() -> None:
    assert said(on("jump_target_cache"), LOOP, count(40))[1] == [("MODE_OFF", 0)]
    assert said(on(), LOOP, count(40))[1] == [("MODE_OFF", 0)]


def test_a_count_that_no_walk_can_use_up() -> None:
    """Straight to a jump through a register, and round an inferable circle: a gap, at once."""
    settings = on("branch_prediction")
    found = said(settings, [NOP, beq(8), JR], count(31 + 0xFFFF_FFFF))
    assert found[1] == [("UNEXPECTED_DISCONTINUITY", 0x1008)]
    found = said(settings, [NOP, jal(0, -4)], count(31 + 0xFFFF_FFFF))
    assert found[1] == [("NOT_REACHED", 0x1004)]


def test_a_long_count_comes_in_chunks() -> None:
    """A path is interrupted where the runs of a chunk are full, and goes on."""
    settings = on("branch_prediction")
    number = 300_000
    told = (support(settings), sync(BASE), TWICE, count(number, 3, 0x1008))
    decoder = Decoder(configuration(settings, 64), code(LOOP))
    chunks = [*decoder.feed(stream(settings, *told)), *decoder.finish()]
    assert len(chunks) > 4
    assert max(len(chunk.runs) for chunk in chunks) <= 1 << 16
    assert not any(len(chunk.gaps) for chunk in chunks)
    assert sum(chunk.instructions for chunk in chunks) == 2 * (2 + number + 1) + 1
    assert decoder.statistics.packets["0.0"] == 1


# -- jump target cache ----------------------------------------------------------------------------

#: 00 nop; 04 jr; 08 nop; 0c jr
JUMPS = [NOP, JR, NOP, JR]


def test_a_target_from_the_cache() -> None:
    settings = on("jump_target_cache")
    settings = replace(settings, modes=replace(settings.modes, full_address=False))
    told = (to(8), to((1 << 64) - 8), index(4), to((1 << 64) - 8))
    assert said(settings, JUMPS, *told) == ("00 04 08 0c 00 04 08 0c 00", [])


def test_an_empty_entry_is_a_gap() -> None:
    settings = on("jump_target_cache")
    assert said(settings, JUMPS, to(0x1008), index(3))[1] == [("EMPTY_ENTRY", 3)]
    emptied = said(settings, JUMPS, to(0x1008), sync(0x1008), index(4))
    assert emptied[1] == [("EMPTY_ENTRY", 4)]


# -- implicit return ------------------------------------------------------------------------------

#: 00 jal ra, 10; 04 jal ra, 10; 08 nop; 0c jr; 10 nop; 14 ret; 18 nop; 1c jr
CALLS = [jal(1, 16), jal(1, 12), NOP, JR, NOP, RET, NOP, JR]


def test_returns_need_no_packet() -> None:
    assert said(on("implicit_return"), CALLS, to(0x1000)) == ("00 10 14 04 10 14 08 0c 00", [])


@pytest.mark.parametrize("updated", [False, True])
def test_a_mispredicted_return(updated: bool) -> None:
    """irdepth is the number of entries, which 2.0 leaves alone; irets that of the implicit returns
    before, and 2.1 pops."""
    p = UpdatedParameters(**vars(SIZES)) if updated else SIZES
    settings = on("implicit_return", p=p)
    told = to(0x1018, depth=0 if updated else 1), to(0x1014), to(0x1000)
    expected = "00 10 14 18 1c 14 00" if updated else "00 10 14 18 1c 14 04 10 14 08 0c 00"
    assert said(settings, CALLS, *told) == (expected, [])


def test_an_impossible_depth_is_a_gap() -> None:
    settings = on("implicit_return")
    # All returns are implicit then, and the next uninferable jump is the one at 0c.
    found = said(settings, CALLS, to(0x1018, depth=7))
    assert found == ("00 10 14 04 10 14 08 0c 18", [])
    circle = [jal(1, 8), jal(0, -4), RET]
    assert said(settings, circle, to(0x1004, depth=7))[1] == [("NOT_REACHED", 0x1004)]


def test_a_synchronisation_empties_the_stack() -> None:
    found = said(on("implicit_return"), CALLS, sync(0x1010), to(0x1018), to(0x1000))
    assert found == ("00 10 14 18 1c 00", [])


def test_a_full_stack_drops_the_oldest() -> None:
    """Of five calls four return by the stack; the last return needs its packet."""
    # 00 jal 08; 04 jr; then functions of jal to the next and ret; 28 ret
    words = [jal(1, 8), JR, *[jal(1, 8), RET] * 4, RET]
    found = said(on("implicit_return"), words, to(0x1004), to(0x1000))
    assert found == ("00 08 10 18 20 28 24 1c 14 0c 04 00", [])


def test_recursion_is_counted() -> None:
    """2.1: each of two entries counts four calls with one return address; a ninth drops four."""
    p = UpdatedParameters(**vars(SIZES) | {"return_stack_size_p": 1, "call_counter_size_p": 2})
    settings = on("implicit_return", p=p)
    # 00 beq to 0c; 04 jal ra, 00; 08 ret; 0c ret; 10 jr
    words = [beq(12), jal(1, -4), RET, RET, JR]
    for rounds, known in ((8, 8), (9, 5)):
        told = to(0x1010, "N" * (rounds - 1) + "T")  # the first is in 3.0
        calls = ["00 04"] * rounds + ["00 0c"]
        found = said(settings, words, told)
        assert found == (" ".join([*calls, *["08"] * known, "10"]), [])


# -- support packets ------------------------------------------------------------------------------


def test_modes_change_with_a_support_packet() -> None:
    """Layout and rules are the announced ones, for flow and packets."""
    off, both = on(), on("implicit_return", "branch_prediction")
    data = stream(off, support(off), sync(BASE), to(0x1010, notify=True), support(off, 1))
    data += stream(both, support(both), sync(BASE), to(0x1000))
    chosen = configuration(off, 64)
    found = decode(data, chosen, code(CALLS))
    assert addresses(found, code(CALLS)) == "00 10 00 10 14 04 10 14 08 0c 00"
    assert gaps(found) == []
    rows = packets(data, chosen)
    assert rows[:, Column.table].tolist() == [7, 4, 3, 7, 7, 4, 3]


@pytest.mark.parametrize("announce", ["f0s_width_p", "bpred_size_p", "time"])
def test_sizes_are_learned(announce: str) -> None:
    """2.1: another decoder's idea of them is corrected by the first packet."""
    p = UpdatedParameters(**vars(SIZES) | {"time_width_p": 16, "notime_p": 0})
    settings = on("branch_prediction", "jump_target_cache", p=p)
    wrong = {"f0s_width_p": 2} if announce == "f0s_width_p" else {"bpred_size_p": 1}
    if announce == "time":
        wrong = {"notime_p": 1}
    believed = replace(settings, parameters=replace(p, **wrong))
    starts = [sync(BASE) | {"time": 5}, TWICE, count(31, 2, 0x1000)]
    data = stream(settings, support(settings), *starts)
    found = decode(data, configuration(believed, 64), code(LOOP))
    assert addresses(found, code(LOOP)) == " ".join(["00 04"] * 33 + ["00"])
    assert gaps(found) == []
    assert found.contexts["time"].tolist() == [5]


def test_what_the_parameters_rule_out() -> None:
    """Then only a support packet counts, until a good one."""
    off = on(p=replace(SIZES, bpred_size_p=0))
    bad = support(off) | {"ioptions": 0b10100}
    data = stream(off, support(off), sync(BASE), bad, to(0x1008), bad, support(off), sync(BASE))
    found = decode(data, configuration(off, 64), code(LOOP))
    assert gaps(found) == [("UNSUPPORTED_MODE", 0)]
    assert addresses(found, code(LOOP)) == "00 00"
    assert np.count_nonzero(packets(data, configuration(off, 64))[:, Column.reason]) == 0
