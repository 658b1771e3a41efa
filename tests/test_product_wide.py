"""Parameters that encoders out there have: one bit of privilege, wide causes and counters."""

from dataclasses import replace

import pytest

from tests import adapter
from tests.model import adapter as model
from tests.model import rows
from tests.model.framing import FramingError
from tests.model.generate import random_trial
from tests.model.generate_modes import random_modes_trial
from tests.model.rows import Row
from tests.model.settings import Settings


def _same(case_rows: list[Row], settings: Settings, image: object, xlen: int) -> bool:
    """The model's bytes, and every row back; False if the packets are too long to frame."""
    try:
        expected = model.encode(case_rows, settings)
    except FramingError:
        return False
    assert adapter.encode(case_rows, settings) == expected
    found = adapter.decode(expected, settings, [image], xlen)
    assert rows.difference(rows.outcomes(case_rows), found) is None
    return True


def test_privilege_of_one_bit() -> None:
    """1 is M, 0 is U: in packets, in the flow, and for the trap vectors of either level."""
    done: set[int] = set()
    for seed in range(400):
        case, settings = random_trial(seed)
        levels = {row.priv for row in case.rows}
        if not levels <= {0, 3}:
            continue
        settings = replace(settings, parameters=replace(settings.parameters, privilege_width_p=1))
        if _same(case.rows, settings, case.image(), case.xlen):
            done |= levels
    assert done == {0, 3}


def test_causes_of_64_bits() -> None:
    traps = 0
    for seed in range(60):
        case, settings = random_trial(seed)
        every = [
            row if row.retired else replace(row, cause=row.cause | 1 << 63) for row in case.rows
        ]
        parameters = replace(settings.parameters, ecause_width_p=64, nocontext_p=1, notime_p=1)
        if _same(every, replace(settings, parameters=parameters), case.image(), case.xlen):
            traps += sum(not row.retired for row in every)
    assert traps > 30


@pytest.mark.parametrize(("counter", "irdepth"), [(8, None), (12, None), (22, None), (3, 24)])
def test_wide_call_counters_and_a_fixed_irdepth(counter: int, irdepth: int | None) -> None:
    done = 0
    for seed in range(60):
        case, settings = random_modes_trial(seed, ("implicit_return",))
        parameters = replace(
            settings.parameters,
            return_stack_size_p=0,
            call_counter_size_p=counter,
            irdepth_width_p=irdepth,
        )
        settings = adapter.expressible(replace(settings, parameters=parameters))
        done += _same(case.rows, settings, case.image(), case.xlen)
    assert done > 40


@pytest.mark.parametrize(("ioptions", "doptions"), [(0, 0), (3, 4), (7, 4), (32, 32)])
def test_options_of_other_widths(ioptions: int, doptions: int) -> None:
    """Modes whose bits are not there are as the parameters say; what is there is believed."""
    done = 0
    for seed in range(40):
        case, settings = random_modes_trial(seed, ("branch_prediction", "implicit_return"))
        parameters = replace(
            settings.parameters, ioptions_width_p=ioptions, doptions_width_p=doptions
        )
        settings = adapter.expressible(replace(settings, parameters=parameters))
        done += _same(case.rows, settings, case.image(), case.xlen)
    assert done > 25
