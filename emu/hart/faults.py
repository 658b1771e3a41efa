"""What an instruction that did not do what it says leaves behind."""

from typing import Any

from emu.hart.state import CAUSE, TVAL
from specs.kernels.njit import njit
from specs.kernels.words import u64

OK, FAULT = 0, 1


@njit
def fault(cpu: Any, cause: Any, tval: Any) -> Any:
    cpu[CAUSE] = u64(cause)
    cpu[TVAL] = tval
    return FAULT
