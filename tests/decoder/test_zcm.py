"""Programs of a hart with Zcmp and Zcmt: returns of cm.popret and table jumps, decoded by the model
and by the product. They are random programs whose c.jr and c.jalr have become these.
"""

from collections import Counter
from dataclasses import replace
from random import Random

from specs.isa.control import CodeMap
from specs.isa.decode import decode
from specs.isa.tables import ZCM
from tests import adapter
from tests.model import adapter as model
from tests.model import decoder as model_decoder
from tests.model import encoder, rows
from tests.model.framing import FramingError
from tests.model.generate import Case, random_trial
from tests.model.generate_modes import random_modes_trial
from tests.model.settings import Settings
from tests.test_product_modes import is_ambiguous

RETURN, JUMP, CALL = 13, 10, 8


def _word(rng: Random, itype: int) -> int:
    if itype == RETURN:  # cm.popretz or cm.popret, of any list
        return 0xBC02 | rng.randrange(2) << 9 | rng.randrange(4, 16) << 4 | rng.randrange(4) << 2
    index = rng.randrange(32) if itype == JUMP else rng.randrange(32, 256)
    return 0xA002 | index << 2


def with_zcm(case: Case, rng: Random) -> tuple[Case, Counter[str]]:
    """`case` with other instructions that jump as its compressed ones; and how often each ran."""
    code = bytearray(case.code)
    jumps = {
        row.iaddr: row.itype
        for row in case.rows
        if row.retired and row.size == 2 and row.itype in (RETURN, JUMP, CALL)
    }
    for address, itype in jumps.items():
        at = address - case.base
        code[at : at + 2] = _word(rng, itype).to_bytes(2, "little")
    ran = Counter[str]()
    for row in case.rows:
        if row.iaddr in jumps and row.retired:
            at = row.iaddr - case.base
            found = decode(int.from_bytes(code[at : at + 2], "little"), case.xlen | ZCM)
            assert found is not None
            ran[found.name] += 1
    return replace(case, code=bytes(code), zcm=True), ran


def trials(seed: int) -> list[tuple[Case, Settings]]:
    return [random_trial(seed), random_modes_trial(seed, ("implicit_return",))]


def test_what_the_model_encodes_both_decode() -> None:
    done = Counter[str]()
    for seed in range(100):
        for given, settings in trials(seed):
            settings = adapter.expressible(settings)
            case, ran = with_zcm(given, Random(seed))
            try:
                data = model.encode(case.rows, settings)
            except FramingError:
                continue
            expected = rows.outcomes(case.rows)
            payloads = encoder.encode_bytes(case.rows, settings)
            found = model_decoder.decode_bytes(payloads, case.program, settings, case.xlen)
            assert rows.difference(expected, found) is None, f"seed {seed}"
            if is_ambiguous(case, settings, data):
                continue
            code = CodeMap([case.image()], case.xlen, zcm=True)
            found = adapter.decode(data, settings, code, case.xlen)
            assert rows.difference(expected, found) is None, f"seed {seed}"
            done += ran
    assert {"cm.popret", "cm.popretz", "cm.jt", "cm.jalt"} <= done.keys()
    assert min(done.values()) > 5


def test_a_hart_with_zcd_has_no_such_jumps() -> None:
    case, ran = with_zcm(random_trial(7)[0], Random(7))
    plain = CodeMap([case.image()], case.xlen)
    jumping = CodeMap([case.image()], case.xlen, zcm=True)
    other = [slot for slot in range(plain.kind.size) if plain.kind[slot] != jumping.kind[slot]]
    assert plain.selection == case.xlen and jumping.selection == case.xlen | ZCM
    assert all(plain.kind[slot] == 0 for slot in other)
    assert bool(other) == bool(ran)
