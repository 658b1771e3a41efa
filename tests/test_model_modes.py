"""The optional modes of E-Trace 2.0 in the model: round trips, and the rules of docs/modes.md."""

import os
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from tests.model import assemble, codec, decoder, encoder
from tests.model.codec import Packet, PayloadError
from tests.model.decoder import DecodeError, Report
from tests.model.generate import Case
from tests.model.generate_modes import MODES, random_modes_trial, random_update_trial
from tests.model.predictors import BranchPredictor, ReturnStack
from tests.model.program import Program, from_image
from tests.model.rows import Row, difference, outcomes, trap
from tests.model.settings import Modes, Parameters, Resync, Settings, UpdatedParameters

#: How many programs for each test; more for a soak.
TRIALS = int(os.environ.get("ETRACE_MODES_TRIALS", "150"))

COMBINATIONS = {mode: (mode,) for mode in MODES} | {"all": MODES, "any": None}


def check(case: Case, settings: Settings) -> encoder.Encoder:
    """Encode and decode; what the encoder did."""
    traced = encoder.traced(case.rows, settings)
    p, modes = settings.parameters, settings.modes
    payloads = [codec.to_bytes(packet, p, modes) for packet in traced.packets]
    decoded = decoder.decode_bytes(payloads, case.program, settings, case.xlen)
    assert difference(outcomes(case.rows), decoded) is None
    for payload in payloads:
        assert codec.to_bytes(codec.from_bytes(payload, p, modes), p, modes) == payload
    return traced


@pytest.mark.parametrize("name", COMBINATIONS)
def test_encode_then_decode_gives_the_rows_back(name: str) -> None:
    for seed in range(TRIALS):
        case, settings = random_modes_trial(seed, COMBINATIONS[name])
        try:
            check(case, settings)
        except Exception as error:
            error.add_note(f"random_modes_trial({seed}, {COMBINATIONS[name]}): {settings}")
            raise


def unaware(settings: Settings) -> Settings:
    """What a decoder of protocol 2.1 has to know before the first support packet."""
    parameters = replace(
        settings.parameters,
        notime_p=1,
        f0s_width_p=0,
        return_stack_size_p=0,
        call_counter_size_p=0,
        bpred_size_p=0,
        cache_size_p=0,
    )
    return replace(settings, parameters=parameters, modes=Modes())


@pytest.mark.parametrize("name", ("implicit_return", "all", "any"))
@pytest.mark.parametrize("most", (255, 2))
def test_protocol_2_1(name: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """irets, also where it reaches its limit; the decoder learns all from the support packet."""
    monkeypatch.setattr(encoder, "MAX_IRETS", most)
    added: Counter[str] = Counter()
    for seed in range(TRIALS // 2):
        case, settings = random_update_trial(seed, COMBINATIONS[name])
        traced = encoder.traced(case.rows, settings)
        added += traced.added
        p, modes = settings.parameters, settings.modes
        payloads = [codec.to_bytes(packet, p, modes) for packet in traced.packets]
        decoded = decoder.decode_bytes(payloads, case.program, unaware(settings), case.xlen)
        assert difference(outcomes(case.rows), decoded) is None, seed
    assert added["a mispredicted return that could be another"] == 0


def _kinds(packet: Packet, settings: Settings) -> set[object]:
    kinds: set[object] = set()
    if "branch_count" in packet:
        kinds.add(("branch_fmt", packet["branch_fmt"]))
        kinds.add(("most", packet["branch_count"] == settings.most_branches))
    if "index" in packet:
        kinds.add(("index, branches", packet["branches"] > 0))
        kinds.add(("subformat", "subformat" in packet))
    if "irreport" in packet and codec.reported_depth(packet) is not None:
        kinds.add(("irreport", packet["format"]))
    if packet["format"] == 3 and "ecause" in packet:
        kinds.add(("thaddr", packet["thaddr"], "address" in packet))
    return kinds


def test_the_generator_reaches_every_corner() -> None:
    seen: set[object] = set()
    added: Counter[str] = Counter()
    for seed in range(500):
        case, settings = random_modes_trial(seed, None if seed % 2 else MODES)
        traced = encoder.traced(case.rows, settings)
        added += traced.added
        seen |= {("sijump", row.itype) for row in case.rows if row.sijump}
        for packet in traced.packets:
            seen |= _kinds(packet, settings)
    wanted: set[object] = {("branch_fmt", fmt) for fmt in (0, 2, 3)}
    wanted |= {("most", True), ("most", False), ("subformat", True), ("subformat", False)}
    wanted |= {("index, branches", True), ("index, branches", False)}
    wanted |= {("irreport", format_) for format_ in (0, 1, 2)}
    wanted |= {("thaddr", 1, False), ("thaddr", 1, True), ("thaddr", 0, True)}
    wanted |= {("sijump", itype) for itype in (8, 10, 12, 13, 14)}
    assert wanted <= seen
    assert set(added) >= {
        "a loop",
        "a mispredicted return that could be another",
        "an earlier visit",
    }


class PseudoCode(decoder.Decoder):
    """Where a return is explicit, and where a walk stops, by the letter of the pseudo-code."""

    def prediction(self, report: Report | None) -> int | None:
        if not self.modes.implicit_return or not self.instruction().is_return:
            return None
        if report is not None and report.depth == self.stack.depth:
            return None
        return self.stack.top

    def walk_to_address(self, report: Report) -> None:
        for _ in range(decoder.MAX_WALK):
            arrived = self.step(report)
            self.report(self.pc)
            if arrived:
                assert not self.unprocessed_branches()
                self.arrived(report)
                return
            assert self.last_pc is not None
            if self.pc != report.address or self.unprocessed_branches():
                continue
            if report.notify or report.final_branch:
                return
            if self.code(self.last_pc).is_updiscon or report.updiscon:
                continue
            if report.depth is None or report.depth == self.stack.depth:
                self.inferred = report
                return
        raise DecodeError(f"{report.address:#x} is not reached")


@pytest.mark.parametrize("name", ("implicit_return", "all"))
def test_streams_decode_by_the_letter_too(name: str) -> None:
    """Save for returns mispredicted at the full depth of a call counter (docs/modes.md)."""
    full = 0
    for seed in range(TRIALS):
        case, settings = random_modes_trial(seed, COMBINATIONS[name])
        packets = encoder.encode(case.rows, settings)
        depths = [codec.reported_depth(packet) for packet in packets if "irreport" in packet]
        if 0 in depths:
            assert settings.parameters.return_stack_size_p == 0
            full += 1
            continue
        by_the_letter = PseudoCode(case.program, settings, case.xlen)
        for packet in packets:
            by_the_letter.process(packet)
        assert difference(outcomes(case.rows), by_the_letter.outcomes) is None, seed
    assert full < TRIALS // 20


def test_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost packets and flipped bits: an error or a wrong flow, never a hang or a surprise."""
    monkeypatch.setattr(decoder, "MAX_WALK", 1000)
    noticed = 0
    for seed in range(100):
        case, settings = random_modes_trial(seed, MODES)
        rng = Random(f"damage {seed}")
        payloads = encoder.encode_bytes(case.rows, settings)
        at = rng.randrange(len(payloads))
        flipped = bytearray(payloads[at])
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        payloads[at : at + 1] = [bytes(flipped)] if seed % 2 else []
        try:
            decoded = decoder.decode_bytes(payloads, case.program, settings, case.xlen)
        except (DecodeError, PayloadError, LookupError):
            noticed += 1
            continue
        noticed += difference(outcomes(case.rows), decoded) is not None
    assert noticed > 30


# -- the rules, one by one ------------------------------------------------------------------------

BASE = 0x1000
NOP = assemble.addi(0, 0, 0)
RET = assemble.jalr(0, 1, 0)


def memory(*words: int) -> Program:
    return from_image(BASE, b"".join(word.to_bytes(4, "little") for word in words), 32)


def walk(program: Program, path: list[int]) -> list[Row]:
    """Rows of an execution, by instruction numbers; branches are taken if the path says so."""
    rows: list[Row] = []
    for at, number in enumerate(path):
        iaddr = BASE + 4 * number
        instruction = program[iaddr]
        following = path[at + 1] if at + 1 < len(path) else number + 1
        itype = instruction.itype
        if itype == 4 and following != number + 1:
            itype = 5
        before = rows[-1] if rows else None
        pair = before is not None and program[before.iaddr].constant is not None
        pair = pair and instruction.is_updiscon and instruction.itype != 3
        rows.append(Row(True, iaddr, 4, itype, 3, sijump=pair))
    return rows


def trace(program: Program, rows: list[Row], settings: Settings) -> list[Packet]:
    """The packets between first synchronisation and last support packet; they decode."""
    packets = encoder.encode(rows, settings)
    decoded = decoder.decode(packets, program, settings, 32)
    assert difference(outcomes(rows), decoded) is None
    return packets[2:-1]


def addresses(packets: list[Packet]) -> list[int]:
    """The differences that packets report, in instructions."""
    return [(each["address"] << 1 ^ 1 << 31) - (1 << 31) >> 2 for each in packets]


def test_predictor_states() -> None:
    """E-Trace 2.0, "Branch prediction mode": two failures turn a prediction round."""
    predictor = BranchPredictor(Parameters(bpred_size_p=1))
    seen = []
    for taken in (True, True, False, True, False, False, False, True, False):
        seen.append(predictor.predicts_taken(0x100))
        predictor.update(0x100, taken)
    assert seen == [False, True, True, True, True, True, False, False, False]
    predictor.reset()
    assert predictor.state(0x100) == 0b01


def test_index_bits() -> None:
    """Bits size:1 of the address, or size+1:2 without compressed instructions."""
    both = BranchPredictor(Parameters(bpred_size_p=1, iaddress_lsb_p=1))
    both.update(0x102, True)
    assert (both.state(0x106), both.state(0x104)) == (0b11, 0b01)
    aligned = BranchPredictor(Parameters(bpred_size_p=1, iaddress_lsb_p=2))
    aligned.update(0x104, True)
    assert (aligned.state(0x10C), aligned.state(0x108)) == (0b11, 0b01)


def test_return_stack_forgets_the_oldest() -> None:
    stack = ReturnStack(Parameters(return_stack_size_p=1))
    for link in (4, 8, 12):
        stack.push(link)
    assert stack.links == [8, 12]


def test_sequentially_inferable_jump() -> None:
    """lui and jalr: no packet; jalr alone, or with a trap behind it: the address."""
    program = memory(assemble.lui(6, 1), assemble.jalr(0, 6, 12), NOP, NOP)
    settings = Settings(Parameters(sijump_p=1), Modes(sijump=True))
    packets = trace(program, walk(program, [0, 1, 3]), settings)
    assert addresses(packets) == [3]
    packets = trace(program, walk(program, [1, 3]), settings)
    assert addresses(packets) == [2]
    assert not codec.is_notify(packets[0], settings.parameters)
    rows = [*walk(program, [0, 1]), trap(BASE + 12, 3, 5), *walk(program, [2])]
    packets = trace(program, rows, settings)
    assert [each["format"] for each in packets] == [2, 3, 3]
    assert (packets[1]["thaddr"], packets[1]["address"] << 1) == (0, BASE + 12)


def test_resynchronisation_waits_for_the_pair() -> None:
    """A 3.0 at the jump would leave a decoder that starts there without the lui."""
    program = memory(NOP, NOP, assemble.lui(6, 1), assemble.jalr(0, 6, 16), NOP)
    settings = Settings(Parameters(sijump_p=1), Modes(sijump=True), Resync("packets", 1))
    rows = walk(program, [0, 1, 2, 3, 4])
    rows[1:3] = [replace(row, notify=True) for row in rows[1:3]]
    packets = trace(program, rows, settings)
    assert addresses(packets[:3]) == [1, 1, 1]
    assert codec.is_notify(packets[2], settings.parameters)
    assert [each["format"] for each in packets[3:]] == [3]


def test_implicit_exception() -> None:
    """The address goes where the vector tells it; elsewhere thaddr 0 and 3.0 report the handler."""
    program = memory(NOP, NOP, NOP, NOP, NOP, NOP)
    settings = Settings(modes=Modes(implicit_exception=True), tvec=((3, BASE + 8 + 1),))
    start = walk(program, [0])
    exception = [*start, trap(BASE + 4, 3, 5), *walk(program, [2, 3])]
    packets = trace(program, exception, settings)
    assert (packets[0]["thaddr"], "address" in packets[0]) == (1, False)
    interrupt = [*start, trap(BASE + 4, 3, 3, interrupt=True), *walk(program, [5])]
    packets = trace(program, interrupt, settings)
    assert (packets[0]["thaddr"], "address" in packets[0]) == (1, False)
    elsewhere = [*start, trap(BASE + 4, 3, 5), *walk(program, [3, 4])]
    packets = trace(program, elsewhere, settings)
    assert [(each["format"], each.get("thaddr")) for each in packets[:2]] == [(3, 0), (3, None)]
    with pytest.raises(DecodeError, match="no trap vector"):
        packets = encoder.encode(exception, settings)
        decoder.decode(packets, program, Settings(modes=settings.modes), 32)


def test_branch_counts() -> None:
    """Branches predicted by the dozen are a count; what ends it says where and how."""
    program = memory(assemble.branch(0, 0, 0, 0), NOP, NOP)
    settings = Settings(Parameters(bpred_size_p=1), Modes(branch_prediction=True))
    # The first is in the 3.0 and predicts nothing; the next fails, so that 31 go in a branch map.
    packets = trace(program, walk(program, [0] * 72 + [1, 2]), settings)
    assert [(each["format"], each.get("branches")) for each in packets[:1]] == [(1, 0)]
    assert (packets[1]["branch_count"], packets[1]["branch_fmt"]) == (72 - 2 - 31 - 31, 0)
    failing = walk(program, [0] * 70)
    packets = trace(program, failing, settings)
    assert (packets[1]["branch_count"], packets[1]["branch_fmt"]) == (70 - 2 - 31 - 31, 3)
    packets = trace(program, [*failing[:-1], replace(failing[-1], itype=5)], settings)
    assert (packets[1]["branch_count"], packets[1]["branch_fmt"]) == (70 - 1 - 31 - 31, 2)


def test_most_branches() -> None:
    """The largest count has an address, and is not mistaken for an updiscon's target."""
    program = memory(assemble.branch(0, 0, 0, 0), assemble.jalr(0, 6, 0), NOP)
    settings = Settings(Parameters(bpred_size_p=1), Modes(branch_prediction=True), most_branches=2)
    packets = trace(program, walk(program, [0] * 65 + [0, 1, 0, 1, 2]), settings)
    counts = [
        (each["branch_count"], each["branch_fmt"]) for each in packets if "branch_fmt" in each
    ]
    assert counts == [(2, 2)]


def test_jump_target_cache() -> None:
    """The second jump to a target sends its index; after a 3.0 the cache is empty."""
    program = memory(NOP, assemble.jalr(0, 6, 0), NOP, NOP)
    settings = Settings(Parameters(cache_size_p=2), Modes(jump_target_cache=True))
    rows = walk(program, [0, 1, 0, 1, 0, 1, 0])
    packets = trace(program, rows, settings)
    assert ["index" in each for each in packets] == [False, True, True]
    assert [each.get("format") for each in packets] == [2, 0, 0]
    resync = Settings(settings.parameters, settings.modes, Resync("packets", 2))
    formats = [each["format"] for each in trace(program, [*rows, *rows[1:]], resync)]
    # The third could have been an index, but only format 2 can say that a 3.0 follows.
    assert formats[:5] == [2, 0, 2, 3, 2]


def test_the_shorter_packet() -> None:
    """A difference of zero takes a byte, an index with its top bit set two."""
    program = memory(*[NOP] * 33, assemble.jalr(0, 6, 0))
    settings = Settings(Parameters(cache_size_p=7), Modes(jump_target_cache=True))
    rows = walk(program, [32, 33, 32, 33, 32, 33, 32])
    assert [each["format"] for each in trace(program, rows, settings)] == [2, 0, 0]
    settings = replace(settings, shorter_packet=True)
    assert [each["format"] for each in trace(program, rows, settings)] == [2, 2, 2]


def implicit(size: int = 3, counter: int = 0) -> Settings:
    parameters = Parameters(return_stack_size_p=size, call_counter_size_p=counter)
    return Settings(parameters, Modes(implicit_return=True))


def test_returns_are_silent() -> None:
    """0 calls 3 twice; only the last address is reported."""
    program = memory(assemble.jal(1, 12), assemble.jal(1, 8), NOP, NOP, RET)
    rows = walk(program, [0, 3, 4, 1, 3, 4, 2])
    packets = trace(program, rows, implicit())
    assert addresses(packets) == [2], "a second visit behind a return is no loop"
    rows = walk(program, [3, 4, 0, 3, 4, 1])
    packets = trace(program, rows, implicit())
    assert addresses(packets) == [-3, 1], "no call before the first return"


@pytest.mark.parametrize("counter", (False, True))
def test_mispredicted_return(counter: bool) -> None:
    settings = implicit(0, 3) if counter else implicit()
    program = memory(assemble.jal(1, 12), NOP, NOP, RET)
    packets = trace(program, walk(program, [0, 3, 2]), settings)
    assert [codec.reported_depth(each) for each in packets] == [1]


def test_two_returns_to_one_depth() -> None:
    """The 2.1 draft's example of what irdepth cannot tell, with a mispredicted second return."""
    program = memory(assemble.jal(1, 12), assemble.jal(1, 12), NOP, RET, RET, NOP)
    rows = walk(program, [0, 3, 1, 4, 5])
    traced = encoder.traced(rows, implicit())
    assert traced.added["a mispredicted return that could be another"] == 1
    packets = trace(program, rows, implicit())
    assert [codec.reported_depth(each) for each in packets] == [None, 1]
    correct = [*walk(program, [0, 3, 1, 4, 2]), trap(BASE + 12, 3, 5), *walk(program, [5])]
    packets = trace(program, correct, implicit())
    assert codec.is_notify(packets[0], implicit().parameters)
    assert codec.reported_depth(packets[0]) is None


def test_recursion_unwinds_in_silence() -> None:
    """0 calls itself; every return goes to 2. What ends that is told by one packet a visit."""
    program = memory(assemble.branch(0, 0, 0, 8), assemble.jal(1, -4), NOP, RET)
    rows = walk(program, [0, 1, 0, 1, 0, 1, 0, 2, 3, 2, 3, 2, 3])
    rows += [trap(BASE + 8, 3, 5), *walk(program, [0])]
    traced = encoder.traced(rows, implicit())
    packets = trace(program, rows, implicit())
    assert traced.added["an earlier visit"] == 2
    assert addresses(packets[:3]) == [3, 0, 0]
    notified = [codec.is_notify(each, implicit().parameters) for each in packets[:3]]
    assert notified == [True, True, False]
    out = walk(program, [0, 1, 0, 1, 0, 2, 3, 2, 3, 2, 3, 0, 1, 0])
    packets = trace(program, out, implicit())
    assert [each["format"] for each in packets] == [1, 1], "the one return that had no call"


def test_more_segments_than_are_kept() -> None:
    """Unwinding further than 64 rounds costs a packet a round."""
    program = memory(assemble.branch(0, 0, 0, 8), assemble.jal(1, -4), NOP, RET)
    rows = walk(program, [0, 1] * 70 + [0] + [2, 3] * 70 + [2])
    traced = encoder.traced(rows, implicit(7))
    trace(program, rows, implicit(7))
    assert traced.added["too many segments"] == 1
    assert traced.added["an earlier visit"] > 60


# -- protocol 2.1 ---------------------------------------------------------------------------------


def update(stack: int = 3) -> Settings:
    parameters = UpdatedParameters(return_stack_size_p=stack)
    return Settings(parameters, Modes(implicit_return=True))


def test_standard_support_packet() -> None:
    """2.1 draft, "Standard Support Packet format": fields in order, 38 bits behind the format."""
    parameters = UpdatedParameters(
        return_stack_size_p=2, bpred_size_p=3, f0s_width_p=1, cache_size_p=4
    )
    modes = Modes(sijump=True, jump_target_cache=True, full_address=True)
    packet = encoder.encode([], Settings(parameters, modes))[0]
    bits = codec.to_bits(packet, parameters, modes)
    assert len(bits) == 4 + 38
    assert bits[4:9] == "10000", "ienable, encoder_mode, qual_status"
    assert bits[9:17] == "10010111", "sijump .. iret_ext; resync is off"
    assert bits[17:22] == "00010", "time_width, f0s_width"
    assert bits[22:35] == "0100000110001", "sizes of stack, counter, predictor, cache"


def test_irets_tells_two_returns_to_one_depth_apart() -> None:
    """The draft's example: the second of two functions is reported because a trap follows."""
    program = memory(assemble.jal(1, 12), assemble.jal(1, 12), NOP, RET, RET, NOP)
    rows = [*walk(program, [0, 3, 1, 4, 2]), trap(BASE + 12, 3, 5), *walk(program, [5])]
    packets = trace(program, rows, update())
    assert (codec.reported_depth(packets[0]), codec.is_updiscon(packets[0])) == (1, True)
    mispredicted = walk(program, [0, 3, 1, 4, 5])
    packets = trace(program, mispredicted, update())
    assert [codec.reported_depth(each) for each in packets] == [1]


def test_irets_in_recursion() -> None:
    """Unwinding past one address: one packet, whichever round ends it."""
    program = memory(assemble.branch(0, 0, 0, 8), assemble.jal(1, -4), NOP, RET)
    for rounds in range(1, 5):
        unwound = [0, 1] * 5 + [0] + [2, 3] * rounds
        rows = [*walk(program, unwound), trap(BASE + 8, 3, 5), *walk(program, [0])]
        packets = trace(program, rows, update())
        # The last return has a trap behind it: not inferred, but reported by thaddr 0.
        assert codec.reported_depth(packets[0]) == (rounds - 1 or None)
        assert [each["format"] for each in packets] == [1, 3, 3]
        rows = [*walk(program, [*unwound, 2]), trap(BASE + 12, 3, 5), *walk(program, [0])]
        packets = trace(program, rows, update())
        assert codec.reported_depth(packets[0]) == rounds - 1


def test_recursion_counts_in_one_entry() -> None:
    """The draft's pseudo-code: with both sizes, an entry counts calls to its own address."""
    stack = ReturnStack(UpdatedParameters(return_stack_size_p=1, call_counter_size_p=2))
    for _ in range(5):
        stack.push(8)
    assert (stack.links, stack.counts) == ([8, 8], [3, 0])
    for depth in (1, 1, 1, 1, 0):
        stack.pop()
        assert stack.depth == depth
