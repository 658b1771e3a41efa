"""What a configuration tells the kernels, as places in an int64 array.

It is made anew when a support packet announces other modes or sizes.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from specs.configuration.parameters import Configuration

#: The spec's largest *branch_count*.
MOST_BRANCHES = 0xFFFF_FFFF
_PRIVILEGES = 16


class Setting(IntEnum):
    """Places; a mode is 0 or 1."""

    LSB = 0  # iaddress_lsb_p
    WIDTH = 1  # iaddress_width_p
    HAS_CONTEXT = 2  # whether formats 3.0 to 3.2 hold context or time
    FULL_ADDRESS = 3
    IMPLICIT_EXCEPTION = 4
    SIJUMP = 5
    IMPLICIT_RETURN = 6
    BRANCH_PREDICTION = 7
    JUMP_TARGET_CACHE = 8
    MODES = 9  # any of the last four
    HAS_IRETS = 10  # protocol 2.1: irets stands in the place of irdepth
    DEPTH_MASK = 11  # all ones in irdepth
    MOST_BRANCHES = 12
    EXACT_LOOPS = 13  # [encoder] loops = "exact": there is a packet for each round
    EXACT_VISITS = 14  # [encoder] ambiguous = "exact": there is one for each visit
    VECTORS = 15  # a bit for each privilege whose trap vector is known
    VECTOR = 16  # the trap vectors, by privilege


SETTINGS = int(Setting.VECTOR) + _PRIVILEGES


def settings(
    configuration: Configuration, most_branches: int = MOST_BRANCHES
) -> npt.NDArray[np.int64]:
    """The array for a configuration; `most_branches` is the largest *branch_count*."""
    parameters, modes = configuration.parameters, configuration.modes
    context = 0 if parameters.nocontext_p else parameters.context_width_p
    time = 0 if parameters.notime_p else parameters.time_width_p
    following = modes.sijump, modes.implicit_return, modes.branch_prediction
    found = np.zeros(SETTINGS, np.int64)
    found[Setting.LSB] = parameters.iaddress_lsb_p
    found[Setting.WIDTH] = parameters.iaddress_width_p
    found[Setting.HAS_CONTEXT] = context + time > 0
    found[Setting.FULL_ADDRESS] = modes.full_address
    found[Setting.IMPLICIT_EXCEPTION] = modes.implicit_exception
    found[Setting.SIJUMP] = modes.sijump
    found[Setting.IMPLICIT_RETURN] = modes.implicit_return
    found[Setting.BRANCH_PREDICTION] = modes.branch_prediction
    found[Setting.JUMP_TARGET_CACHE] = modes.jump_target_cache
    found[Setting.MODES] = any(following) or modes.jump_target_cache
    found[Setting.HAS_IRETS] = configuration.has_irets
    found[Setting.DEPTH_MASK] = (1 << configuration.irdepth_bits) - 1
    found[Setting.MOST_BRANCHES] = most_branches
    found[Setting.EXACT_LOOPS] = configuration.encoder.loops == "exact"
    found[Setting.EXACT_VISITS] = configuration.encoder.ambiguous == "exact"
    for level, vector in configuration.tvec.by_privilege().items():
        found[Setting.VECTORS] |= 1 << level
        found.view(np.uint64)[Setting.VECTOR + level] = vector
    return found
