"""What support packets (format 3, subformat 3) say of an encoder, and what a decoder learns.

2.0: `ioptions` is implementation defined; ours has a bit a mode (`specs.trace.packets.IOPTIONS`),
as far as `ioptions_width_p` goes, and sizes come from the parameters. 2.1: the standard support
packet has modes and sizes.
"""

from collections.abc import Mapping
from dataclasses import replace

from specs.configuration.parameters import Configuration, ParametersError, from_dict
from specs.trace.packets import IOPTIONS, Column

#: A mode's column in the standard support packet.
_MODES = {
    "sijump": Column.sijump,
    "implicit_return": Column.implicit_return,
    "branch_prediction": Column.branch_predictor,
    "jump_target_cache": Column.jump_target_cache,
    "implicit_exception": Column.implicit_except,
    "full_address": Column.full_iaddress,
}
#: A parameter's column there.
_SIZES = {
    "f0s_width_p": Column.f0s_width,
    "return_stack_size_p": Column.return_stack_size,
    "call_counter_size_p": Column.call_counter_size,
    "bpred_size_p": Column.bpred_size,
    "cache_size_p": Column.cache_size,
}
#: `time_width` counts these.
_TIME_UNIT = 16


def describe(configuration: Configuration) -> dict[Column, int]:
    """The fields of a support packet that a configuration decides, those not 0."""
    parameters, modes = configuration.parameters, configuration.modes
    if configuration.protocol == "2.0":
        bits = sum(1 << bit for bit, mode in enumerate(IOPTIONS) if getattr(modes, mode))
        return {Column.ioptions: bits}
    values = {column: int(getattr(modes, mode)) for mode, column in _MODES.items()}
    values |= {column: getattr(parameters, size) for size, column in _SIZES.items()}
    values[Column.resync_disabled] = int(configuration.resync.unit == "off")
    values[Column.iret_ext] = int(configuration.has_irets)
    values[Column.time_width] = 0 if parameters.notime_p else parameters.time_width_p // _TIME_UNIT
    return values


def learn(configuration: Configuration, packet: Mapping[int, int]) -> Configuration:
    """The configuration after a support packet (values by `Column`).

    Raises `ParametersError` if it announces what cannot be, with the sizes that are known.
    """
    if packet[Column.encoder_mode]:
        raise ParametersError([f"encoder_mode {packet[Column.encoder_mode]} is not branch trace"])
    parameters, modes = configuration.parameters, configuration.modes
    if configuration.protocol == "2.0":
        options = packet[Column.ioptions]
        known = IOPTIONS[: parameters.ioptions_width_p]
        announced = {mode: bool(options >> bit & 1) for bit, mode in enumerate(known)}
    else:
        announced = {mode: bool(packet[column]) for mode, column in _MODES.items()}
        width = _TIME_UNIT * packet[Column.time_width]
        parameters = replace(
            parameters,
            **{size: packet[column] for size, column in _SIZES.items()},
            notime_p=int(width == 0),
            time_width_p=width or parameters.time_width_p,
            sijump_p=int(parameters.sijump_p or announced["sijump"]),
        )
    learned = replace(configuration, parameters=parameters, modes=replace(modes, **announced))
    if learned == configuration:
        return configuration
    from_dict(learned.to_dict(), parameters.iaddress_width_p, "support packet")
    return learned
