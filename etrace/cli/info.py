"""`etrace info`: what a trace is, and what is in it."""

import json
from typing import TYPE_CHECKING, Any

import click

from etrace.cli import options, out, say
from etrace.cli.summary import counted
from etrace.errors import EtraceError, Exit, one_line, printable
from etrace.trace.ending import CUT_SHORT

if TYPE_CHECKING:
    from etrace.analyses.inventory import Inventory
    from etrace.trace.header import Header
    from etrace.trace.reading import Reading


@click.command("info")
@options.READING
@options.JSON
def command(
    reading: "Reading",
    as_json: bool,
) -> int:
    """Tell parameters, program, counts, packet mix, bits per instruction, traps and gaps of FILE.

    Without its program only what the packets alone tell.
    """
    from etrace.analyses.inventory import take_inventory, together
    from etrace.cli.gaps import advise
    from etrace.cli.source import opened
    from etrace.trace.program import for_header

    with opened(reading, need_code=False) as source:
        try:
            source.code = for_header(source.header, reading)
        except EtraceError as error:
            if reading.elf or reading.image:
                raise
            say(f"{one_line(error)}: instructions are not counted")
        by_hart = [take_inventory(each) for each in source.each_hart()]
    inventory = together(by_hart)
    values = _values(source.name, source.header, inventory)
    if len(by_hart) > 1:
        values["by_hart"] = [_counts(each) for each in by_hart]
    values |= {"lead_in": source.lead_in, "seam": source.seam and source.seam.pointer}
    if as_json:
        out(json.dumps(values, sort_keys=True) + "\n")
    else:
        _show(source.header, by_hart, values)
    problem = ""
    if inventory.gaps:
        problem = f"{inventory.gaps:,} gap(s)"
    elif not sum(inventory.packets.values()):
        problem = "no packets in the stream"
    elif not inventory.ended and (source.seam is None or inventory.instructions == 0):
        problem = CUT_SHORT
    if problem:
        say(f"{source.name}: {problem}")
        advise(source)
        return Exit.CORRUPT
    return Exit.OK


def _values(name: str, header: "Header", inventory: "Inventory") -> dict[str, Any]:
    from etrace.trace.header import sideband_values

    return {
        "file": name,
        "source": header.source,
        "command": list(header.command),
        "xlen": header.xlen,
        "platform": header.platform,
        "isa": header.isa,
        "modes": header.modes,
        "memory": [list(region) for region in header.memory],
        "max_instructions": header.max_instructions,
        "semihosting": header.semihosting,
        "tohost": header.tohost,
        "sideband": None if header.sideband is None else sideband_values(header.sideband),
        "programs": [{"path": each.path, "sha256": each.sha256} for each in header.programs],
        "images": [
            {"address": each.address, "path": each.path, "sha256": each.sha256}
            for each in header.images
        ],
        "harts": header.harts,
        "quantum": header.quantum,
        "configuration": header.configuration.to_dict(),
        **_counts(inventory),
    }


def _counts(inventory: "Inventory") -> dict[str, Any]:
    return {
        "bytes": inventory.bytes,
        "packets": inventory.packets,
        "packet_bytes": inventory.packet_bytes,
        "instructions": inventory.instructions,
        "bits_per_instruction": inventory.bits_per_instruction,
        "events": inventory.events,
        "traps": inventory.traps,
        "reports": inventory.reports,
        "pauses": inventory.pauses,
        "loops": inventory.loops,
        "losses": inventory.losses,
        "ended": inventory.ended,
        "gaps": inventory.gaps,
        "gap_list": inventory.gap_list,
    }


def _show(header: "Header", by_hart: "list[Inventory]", values: dict[str, Any]) -> None:
    from etrace.analyses.inventory import together
    from specs.trace.single import TITLES

    inventory = together(by_hart)

    rows = [("file", values["file"]), ("made by", " ".join(header.command) or header.source)]
    rows += [("program", f"{each.path} (sha256 {each.sha256})") for each in header.programs]
    rows += [
        ("image", f"{each.path} at {each.address:#x} (sha256 {each.sha256})")
        for each in header.images
    ]
    rows.append(("hart", f"RV{header.xlen}, isa {header.isa or 'not restricted'}, "
                 + (f"modes {header.modes}, " if header.modes else "")
                 + f"platform {header.platform or 'none'}"))  # fmt: skip
    if header.harts > 1:
        rows.append(("harts", f"{header.harts}, in turns of {header.quantum:,} instructions"))
    if header.max_instructions is not None:
        rows.append(("budget", f"{header.max_instructions:,} instructions"))
    if header.semihosting is not None:
        rows.append(("semihosting", f"command line {header.semihosting!r}"))
    if header.tohost is not None:
        rows.append(("tohost", header.tohost if header.tohost == "none" else f"{header.tohost:#x}"))
    rows += [("told", text) for text in _told(header)]
    rows += list(_settings(header).items())
    rows.append(("bytes", f"{inventory.bytes:,}"))
    if inventory.instructions is not None:
        least = " or more" if inventory.loops else ""
        rows.append(("instructions", f"{inventory.instructions:,}{least}"))
    if inventory.bits_per_instruction is not None:
        rows.append(("density", f"{inventory.bits_per_instruction:.3f} bits per instruction"))
    rows.append(("packets", f"{sum(inventory.packets.values()):,}"))
    for name, count in inventory.packets.items():
        if count:
            size = inventory.packet_bytes[name]
            rows.append((f"  {name}", f"{count:,} {TITLES[name]}, {size:,} bytes"))
    if inventory.events is not None and inventory.traps is not None:
        counts = [f"{name} {count:,}" for name, count in inventory.events.items()]
        rows.append(("events", ", ".join(counts)))
        rows.append(("traps", f"{sum(inventory.traps.values()):,}"))
        rows += [(f"  {count:,}", name) for name, count in inventory.traps.items()]
    if inventory.reports is not None and any(inventory.reports.values()):
        counts = [f"{count:,} {name}" for name, count in inventory.reports.items()]
        rows.append(("context", f"{', '.join(counts)} reports"))
    if inventory.pauses is not None and (inventory.pauses or not header.configuration.filters.idle):
        rows.append(("pauses", f"{inventory.pauses:,}: not traced there, as the encoder was told"))
    if inventory.loops:
        rows.append(("loops", f"{inventory.loops:,}: the packets do not tell how many rounds"))
    if inventory.losses or header.configuration.sink.kind != "none":
        rows.append(("losses", f"{inventory.losses:,} times the encoder lost packets"))
    rows.append(("gaps", f"{inventory.gaps:,}"))
    rows += [("", text) for text in inventory.gap_list]
    if len(by_hart) > 1:
        rows += [(f"hart {number}", _line(each)) for number, each in enumerate(by_hart)]
    out("".join(f"{name:<13} {printable(text)}\n" for name, text in rows))


def _line(inventory: "Inventory") -> str:
    """What is one hart's, of several."""
    parts = [counted(sum(inventory.packets.values()), "packet")]
    parts.append(counted(sum(inventory.packet_bytes.values()), "byte"))
    if inventory.instructions is not None and inventory.traps is not None:
        traps = counted(sum(inventory.traps.values()), "trap")
        parts = [counted(inventory.instructions, "instruction"), traps, *parts]
    if inventory.gaps:
        parts.append(counted(inventory.gaps, "gap"))
    return ", ".join(parts)


def _told(header: "Header") -> list[str]:
    """What the hart told besides what retired."""
    options = header.sideband
    if options is None:
        return []
    from emu.ingress.options import shown
    from etrace.recording.sideband import access_names, pulse_names
    from specs.isa.csrs import ADDRESS

    lines = []
    if options.context_csr is not None:
        names = [name for name, number in ADDRESS.items() if number == options.context_csr]
        csr = names[0] if names else f"CSR {options.context_csr:#x}"
        lines.append(f"context: {csr}, ctype {options.context_type}")
    if options.time is not None:
        lines.append(f"time: {options.time.value}, every {options.time_every:,} instructions")
    lines += [f"trigger: {pulse_names(pulses)} at {at:#x}" for at, pulses in options.triggers]
    lines += [
        f"trigger: {pulse_names(pulses)} at {access_names(accesses)} of {at:#x}"
        for at, pulses, accesses in options.watches
    ]
    if options.windows:
        windows = ", ".join(shown(*each) for each in options.windows)
        lines.append(f"windows (instructions to skip and to trace): {windows}")
    return lines


def _settings(header: "Header") -> dict[str, str]:
    """By table, what differs from the defaults (everything of resync and framing)."""
    from specs.configuration.filters import NAMES
    from specs.configuration.parameters import TABLES, Configuration

    chosen = header.configuration.to_dict()
    default = Configuration.default(header.xlen).to_dict()
    settings = {"protocol": str(chosen["protocol"])}
    for table in TABLES:
        different = {
            name: _shown(table, name, value)
            for name, value in chosen[table].items()
            if table in _WHOLE or value != default[table].get(name)
        }
        if different or table in _ALWAYS:
            settings[table] = (
                ", ".join(f"{name} {value}" for name, value in different.items()) or "defaults"
            )
    for table in NAMES:
        units = chosen.get(table, [])
        for number, unit in enumerate(units if isinstance(units, list) else [units]):
            label = f"{table} {number}" if isinstance(units, list) else table
            settings[label] = ", ".join(
                f"{name} {_shown(table, name, value)}" for name, value in unit.items()
            )
    return {table: text for table, text in settings.items() if text}


#: Tables that are shown in whole, and those that are shown even if they say nothing new.
_WHOLE = ("resync", "framing")
_ALWAYS = ("parameters", "modes", *_WHOLE)


def _shown(table: str, name: str, value: object) -> str:
    """A value as people read it: modes and switches as true and false, addresses in hexadecimal."""
    if isinstance(value, bool):
        return str(value).lower()
    if table == "tvec" or name.endswith(("PMatch", "SMatch")):
        return f"{value:#x}"
    return str(value)
