"""Our own programs, run, traced and decoded: the flow is what retired."""

from collections.abc import Callable
from pathlib import Path

import pytest

from decoder.decoder import Decoder
from emu.machine import ExitReason, Machine
from emu.platforms import elf
from encoder.encoder import Encoder
from specs.configuration import parameters
from specs.isa.control import CodeMap
from tests.events import Event, copied, flow_events, ingress_events, program_memory, told

PROGRAMS = ("nested", "storm", "idle_wfi", "idle_jump", "fault_first")
SETTINGS = {
    "default": "",
    "often": '[resync]\nunit = "packets"\nperiod = 2\n',
    "instructions": '[resync]\nunit = "instructions"\nperiod = 7\n',
    "full": "[modes]\nfull_address = true\n",
}


#: So that a flow has every round of a loop; tests/etrace/test_loops.py has it otherwise.
EXACT = '[encoder]\nloops = "exact"\n'


def run(path: Path, settings: str, budget: int | None = None) -> tuple[Machine, list[Event]]:
    """The machine after the run, and its events; asserts that the decoded trace has the same."""
    xlen, memory = program_memory(path)
    configuration = parameters.parse(settings + EXACT, xlen)
    machine = Machine([elf.load(str(path))])
    chunks = copied(machine.run(budget))
    encoder = Encoder(configuration)
    packets = b"".join(bytes(encoder.feed(chunk)) for chunk in chunks) + bytes(encoder.finish())
    decoder = Decoder(configuration, CodeMap(memory, xlen))
    decoded = list(flow_events([*decoder.feed(packets), *decoder.finish()], memory))
    events = list(ingress_events(chunks, memory))
    assert machine.instret == sum(event[0] == "retire" for event in events)
    assert told(decoded, events) == events
    return machine, events


def traps(events: list[Event]) -> list[int]:
    """Positions of the traps."""
    return [at for at, event in enumerate(events) if event[0] == "trap"]


def back_to_back(events: list[Event]) -> int:
    """How many traps follow another with nothing retired in between."""
    return sum(b - a == 1 for a, b in zip(traps(events), traps(events)[1:], strict=False))


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("xlen", (32, 64))
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_flow_is_what_retired(program: str, xlen: int, settings: str, firmware: Path) -> None:
    machine, _ = run(firmware / f"{program}-rv{xlen}.elf", SETTINGS[settings])
    assert machine.exit_reason is ExitReason.EXIT
    assert machine.exit_code == 0


def happens_in_nested(events: list[Event]) -> bool:
    """Six traps deep: as many handlers entered before the first mret."""
    first = traps(events)[:6]
    return [events[at][2:] for at in first] == [(7, 0, 1, 3), (3, 0, 1, 3), (11, 0, 0, 3)] * 2


def happens_in_storm(events: list[Event]) -> bool:
    """Every mret of a row of interrupts is followed by the next one, at the same EPC."""
    rows = [event[1] for event in events if event[0] == "trap" and event[4]]
    return len(rows) == 40 * 41 // 2 and len(set(rows)) <= 80


def happens_in_idle_wfi(events: list[Event]) -> bool:
    """One interrupt a wake-up, and waiting costs no instructions."""
    return len(traps(events)) == 40 and len(events) < 20000


def happens_in_idle_jump(events: list[Event]) -> bool:
    """Each of three loops is left twenty times, and goes round for longer and longer."""
    return len(traps(events)) == 60 and len(events) > 20000


def happens_in_fault_first(events: list[Event]) -> bool:
    """25 interrupts each with an exception right behind it, then one at its own handler."""
    *pairs, last = traps(events)
    at_its_handler = events[last][1] == events[last + 1][1]
    return len(pairs) == 50 and back_to_back(events) == 25 and at_its_handler


@pytest.mark.parametrize("xlen", (32, 64))
@pytest.mark.parametrize(
    "happens",
    (
        happens_in_nested,
        happens_in_storm,
        happens_in_idle_wfi,
        happens_in_idle_jump,
        happens_in_fault_first,
    ),
)
def test_the_program_does_what_it_is_there_for(
    happens: Callable[[list[Event]], bool], xlen: int, firmware: Path
) -> None:
    """Otherwise the tests above would show nothing."""
    program = happens.__name__.removeprefix("happens_in_")
    _, events = run(firmware / f"{program}-rv{xlen}.elf", "")
    assert happens(events)


@pytest.mark.parametrize("xlen", (32, 64))
def test_an_endless_trap_loop_ends_the_run(xlen: int, firmware: Path) -> None:
    machine, events = run(firmware / f"trap_loop-rv{xlen}.elf", "")
    assert machine.exit_reason is ExitReason.TRAP_LOOP
    loop = [event for event in events if event[0] == "trap"]
    assert len(loop) >= 2
    assert {event[1:4] for event in loop} == {(loop[0][1], 2, 0xB)}


@pytest.mark.parametrize("xlen", (32, 64))
@pytest.mark.parametrize("budget", (1, 2, 17, 1000, 1001))
def test_a_run_that_its_budget_ends_decodes_to_the_last_instruction(
    budget: int, xlen: int, firmware: Path
) -> None:
    machine, _ = run(firmware / f"idle_jump-rv{xlen}.elf", "", budget)
    assert machine.exit_reason is ExitReason.BUDGET
    assert machine.instret == budget
