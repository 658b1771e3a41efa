"""How to encode, in a user's words: modes by name, and the trap vectors of a program.

A mode that needs a predictor, a cache or a stack gets one of the size below, where the parameters
have none.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from emu.platforms.elf import Program
from etrace.arguments import check_fields
from etrace.errors import InputError
from etrace.recording.filtering import address, one_is_enough
from specs.configuration.parameters import Configuration, Modes, TrapVectors, from_dict

MODES = tuple(each.name for each in fields(Modes))
#: All modes that make traces smaller.
SMALLER = tuple(name for name in MODES if name != "full_address")
_VECTORS = tuple(each.name for each in fields(TrapVectors))

#: Sizes that fit the standard support packet of protocol 2.1 as well.
SIZES = {
    "sijump": {"sijump_p": 1},
    "implicit_return": {"return_stack_size_p": 5},
    "branch_prediction": {"bpred_size_p": 7},
    "jump_target_cache": {"cache_size_p": 6},
}


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """What to change in a configuration; nothing given: nothing.

    `modes`: names of modes, or `all` for `SMALLER`. `protocol`: "2.0" or "2.1". `vectors`: each
    `mtvec=PLACE` (or stvec, ...), for implicit exceptions; a place is a symbol, `symbol+0x10`, or
    an address.
    """

    modes: Sequence[str] = ()
    protocol: str | None = None
    vectors: Sequence[str] = ()

    def __post_init__(self) -> None:
        one_is_enough(self, "modes", "vectors")
        check_fields(self)

    def apply(self, configuration: Configuration, programs: Sequence[Program]) -> Configuration:
        """`configuration` so changed. Raises `InputError` or `ParametersError`."""
        if self == Encoding():
            return configuration
        chosen = configuration.to_dict()
        chosen["protocol"] = self.protocol or configuration.protocol
        for mode in self._modes():
            chosen["modes"][mode] = True
            _size(chosen["parameters"], SIZES.get(mode, {}))
        parameters = chosen["parameters"]
        if parameters["bpred_size_p"] and parameters["cache_size_p"]:
            parameters["f0s_width_p"] = parameters["f0s_width_p"] or 1
        chosen["tvec"] |= dict(_vector(each, programs) for each in self.vectors)
        xlen = configuration.parameters.iaddress_width_p
        checked = from_dict(chosen, 64 if xlen > 32 else 32, "options")
        return replace(configuration, **{name: getattr(checked, name) for name in _CHANGED})

    def _modes(self) -> list[str]:
        names: list[str] = []
        for mode in self.modes:
            if mode != "all" and mode not in MODES:
                close = difflib.get_close_matches(mode, MODES, 1)
                hint = f"; did you mean {close[0]}?" if close else f" ({', '.join(MODES)} or all)"
                raise InputError(f"mode {mode!r}: there is no such mode{hint}")
            names += SMALLER if mode == "all" else (mode,)
        return names


_CHANGED = ("protocol", "parameters", "modes", "tvec")


def _size(parameters: dict[str, Any], sizes: dict[str, int]) -> None:
    for name, size in sizes.items():
        if name == "return_stack_size_p" and parameters["call_counter_size_p"]:
            continue
        parameters[name] = parameters[name] or size


def _vector(text: str, programs: Sequence[Program]) -> tuple[str, int]:
    name, found, where = text.partition("=")
    if not found or name not in _VECTORS:
        raise InputError(
            f"--tvec {text!r}: expected {', '.join(_VECTORS)}, then = and a symbol or an address"
        )
    return name, address(where, programs, f"--tvec {name}:")
