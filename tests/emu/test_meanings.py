"""What instructions mean, over plain numbers; and the kernels that are made of it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emu.engine import drive  # noqa: F401 - makes the kernels
from emu.engine.generate import ATOMIC, BRANCH, KERNELS, VALUE, expression, members, text_of
from emu.engine.operations import (
    ACCESS,
    FIRST_FLOATING,
    FREQUENT,
    MOST_NUMBERS,
    NUMBER,
    SAME_VALUE,
    all_operations,
    operations,
)
from emu.hart.extensions import ALWAYS, allowed, extensions
from emu.isa import kinds
from emu.isa.kinds import Shape, meaning_of, meanings
from specs.isa.names import implied
from specs.isa.tables import ENTRIES
from tests.emu.float_oracle import Format, value_oracle_of
from tests.emu.oracle import AMO, COMPARE, oracle_of, signed
from tests.emu.test_instructions import operands
from tests.emu.words import Word, over_words

WIDTHS = [32, 64]


def of_shape(*shapes: Shape) -> list[tuple[str, int]]:
    return [(n, x) for x in WIDTHS for n, m in meaning_of(x).items() if m.shape in shapes]


def register(value: int, xlen: int) -> Word:
    """As registers keep it."""
    return Word(signed(value, xlen))


@pytest.mark.parametrize(("name", "xlen"), of_shape(Shape.COMPUTE))
def test_compute(name: str, xlen: int) -> None:
    function = meaning_of(xlen)[name].function
    assert function is not None
    count = len(expression(function)[0])
    if name.startswith("f"):  # of registers of 64 bits on either width
        of_slots = value_oracle_of(name)
        for a, b in operands(name, 64, 300):
            assert over_words(function)(*[Word(a), Word(b)][:count]) == of_slots(a, b)
        return
    oracle, bits = oracle_of(name)
    for a, b in operands(name, xlen, 300):
        if bits == 12:
            b = signed(b, 12) & (1 << xlen) - 1
        elif bits >= 0:
            b %= 1 << bits if bits else xlen
        value = over_words(function)(*[register(a, xlen), register(b, xlen)][:count])
        assert value == register(oracle(a, b, xlen), xlen), (hex(a), hex(b))


@pytest.mark.parametrize(("name", "xlen"), of_shape(Shape.BRANCH))
def test_branch(name: str, xlen: int) -> None:
    taken = over_words(meaning_of(xlen)[name].function)
    for a, b in operands(name, xlen, 300):
        assert taken(register(a, xlen), register(b, xlen)) is COMPARE[name](a, b, xlen)


@pytest.mark.parametrize(("name", "xlen"), of_shape(Shape.ATOMIC))
def test_atomic(name: str, xlen: int) -> None:
    base, _, size = name.partition(".")
    bits = {"b": 8, "h": 16, "w": 32, "d": 64}[size]
    combine = over_words(meaning_of(xlen)[name].function)
    for a, b in operands(name, bits, 300):
        new = combine(register(a, bits), register(b, bits))
        assert signed(int(new), bits) == signed(AMO[base](a, b, bits), bits)


@pytest.mark.parametrize(("name", "xlen"), of_shape(Shape.LOAD))
def test_load(name: str, xlen: int) -> None:
    extend = over_words(meaning_of(xlen)[name].function)
    bits = {"b": 8, "h": 16, "w": 32, "d": 64}[name.lstrip("f")[1]]
    for word, _ in operands(name, bits, 100):
        want = word if name.endswith("u") else signed(word, bits)
        if name.startswith("f"):
            want = Format(bits, 0, 0).box(word)
        assert extend(Word(word)) == Word(want)


@pytest.mark.parametrize("xlen", WIDTHS)
def test_upper_and_csr(xlen: int) -> None:
    of = {name: over_words(m.function) for name, m in meaning_of(xlen).items() if m.function}
    for a, b in operands("upper", xlen, 100):
        left, right = Word(a), Word(b)
        assert (of["lui"](left, right), of["auipc"](left, right)) == (left, Word(a + b))
        for suffix in ("", "i"):
            results = [of[f"csrr{action}{suffix}"](left, right) for action in "wsc"]
            assert results == [b, a | b, a & (b ^ (1 << 64) - 1)]


@pytest.mark.parametrize("xlen", WIDTHS)
def test_each_instruction_has_one_meaning(xlen: int) -> None:
    """All of an extension have one, or none; and what has none is illegal."""
    able = implied([*ALWAYS, *extensions()], xlen)
    has = allowed(None, xlen)
    assert has <= able and not able & {"zcmp", "zcmt"} & has
    for entry, number in zip(ENTRIES, operations(xlen, has), strict=True):
        if xlen not in entry.xlens:
            continue
        assert (number != NUMBER["ILLEGAL"]) == (entry.extension in has), entry.name
        assert (entry.expansion in meaning_of(xlen)) or entry.extension not in able
        assert has.issuperset(able & {entry.extension} - {"zcmp", "zcmt"})
    base = {entry.expansion for entry in ENTRIES}
    for meaning in meanings():
        assert {*meaning.rv32} <= base and (meaning.rv32 or {*meaning.names} <= base), meaning.name


def test_two_meanings_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    first = meanings()[0]
    monkeypatch.setattr(kinds, "meanings", lambda: (*meanings(), first))
    with pytest.raises(ValueError, match=f"{first.names[0]} has two meanings"):
        meaning_of.__wrapped__(64)


def test_numbers() -> None:
    """Each fits its byte, but for floating point, which is behind that; and 0 is what zeroed memory
    holds.
    """
    floating = {o.name for o in all_operations().values() if o.shape is Shape.FLOATING}
    behind = sorted(NUMBER[name] for name in floating)
    assert behind == list(range(256, 256 + len(floating))) and FIRST_FLOATING == 256
    plain = sorted(number for name, number in NUMBER.items() if name not in floating)
    assert plain == list(range(len(plain))) and len(plain) <= 256
    assert behind[-1] < MOST_NUMBERS
    assert NUMBER["RESOLVE"] == 0
    sizes = {name: int(ACCESS[NUMBER[name]]) >> 4 for name in ("LB", "LHU", "SW", "LD", "AMOOR_D")}
    assert sizes == {"LB": 1, "LHU": 2, "SW": 4, "LD": 8, "AMOOR_D": 8}


def cases(name: str) -> list[str]:
    """Operations that a generated kernel has a case for, in their order."""
    tree = ast.parse(KERNELS[name].text)
    return [
        node.test.comparators[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and ast.unparse(node.test.left) == "op"
        and isinstance(node.test.comparators[0], ast.Name)
    ]


def test_each_computation_is_in_one_loop() -> None:
    hot, second = cases("emu.engine.hot.run_slice"), cases("emu.engine.slow._computed")
    assert hot == FREQUENT
    assert not {*hot} & {*second}
    computations = {o.name for o in all_operations().values() if o.shape is Shape.COMPUTE}
    assert {same_value(name) for name in computations - {*hot}} == {*second}
    assert len(second) == len({*second})
    loads = [o.name for o in members("LOAD")]
    assert {*loads} - {*hot} == {"FLH"}
    assert {same_value(name) for name in loads} == {*cases("emu.engine.slow._loaded")}


def same_value(name: str) -> str:
    return next(n for n, number in NUMBER.items() if number == SAME_VALUE[NUMBER[name]])


def test_a_value_stands_once_off_the_hot_loop() -> None:
    assert [same_value(name) for name in ("RORI", "ROR", "AMOADD_D", "LD")] == [
        *("ROR", "ROR", "AMOADD_B", "LBU"),
    ]
    assert all(
        all_operations()[name].meaning == all_operations()[same_value(name)].meaning
        for name in all_operations()
        if all_operations()[name].meaning.function
    )


@pytest.mark.parametrize("name", list(KERNELS))
def test_it_is_generated_again_as_it_is(name: str) -> None:
    kernel = KERNELS[name]
    assert kernel.text == kernel.text
    assert Path(kernel.file).read_text(encoding="utf-8") == kernel.text


def by_branch(op, a, b):
    if op in BRANCH:
        return VALUE(a, b)
    return False


def by_size(op, old, operand):
    if op in ATOMIC:
        return VALUE(old + old, operand)
    return old


def test_what_is_generated() -> None:
    function = text_of(by_branch).partition("@njit\n")[2]
    assert function.splitlines()[:5] == [
        "def by_branch(op, a, b):",
        "    if op == BEQ:",
        "        return a == b",
        "    elif op == BNE:",
        "        return a != b",
    ]
    assert "        return not lt_unsigned(a, b)\n    return False\n" in function
    assert f"\nBGEU = {NUMBER['BGEU']}\n" in text_of(by_branch)
    both = text_of(by_size).count("return old + old if lt_signed(old + old, operand) else operand")
    assert both == 4  # amomin of each size


def too_long(a, b):
    total = a + b
    return total


def test_a_meaning_is_one_expression() -> None:
    with pytest.raises(ValueError, match="too_long must be one return statement"):
        expression(too_long)
    with pytest.raises(ValueError, match=r"no case for .'ADD'"):
        text_of(by_branch, ["BEQ", "ADD"])


SHOW = """
import linecache
from emu.engine import drive
from emu.engine.generate import KERNELS
from emu.engine.hot import run_slice
file = KERNELS["emu.engine.hot.run_slice"].file
code = run_slice.py_func.__code__
assert code.co_filename == file
print(file, linecache.getline(file, code.co_firstlineno + 1).strip())
"""


def show(cache: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "ETRACE_CACHE_DIR": cache}
    return subprocess.Popen(
        [sys.executable, "-c", SHOW], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_processes_that_make_them_at_the_same_time(tmp_path: Path) -> None:
    running = [show(str(tmp_path)) for _ in range(3)]
    said = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    (line,) = said
    file, _, text = line.partition(" ")
    assert text == "def run_slice(cpu: Any) -> Any:\n"
    folder = Path(file).parent
    assert folder.is_relative_to(tmp_path)
    assert {p.name for p in folder.glob("*.py")} == {f"{name}.py" for name in KERNELS}
    assert not [p.name for p in folder.iterdir() if p.name.startswith(".")]  # no draft is left


def test_no_place_to_write(tmp_path: Path) -> None:
    """They are made in memory, and tracebacks show their text all the same."""
    nowhere = tmp_path / "file"
    nowhere.touch()
    output, _ = (process := show(str(nowhere / "cache"))).communicate()
    assert process.returncode == 0
    assert output == "<emu.engine.hot.run_slice> def run_slice(cpu: Any) -> Any:\n"
