"""What a recording or an encoding came to, in one line or as JSON."""

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from etrace.cli import out, say

if TYPE_CHECKING:
    from etrace.recording.recorder import Summary


def counted(number: int, what: str) -> str:
    """So many of `what`, in words."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def show_summary(summary: "Summary", as_json: bool) -> None:
    """One line on standard error, and another one about added packets; with `as_json` an object on
    standard output."""
    if as_json:
        account = None if summary.account is None else summary.account.values()
        values = {**asdict(replace(summary, account=None)), "account": account}
        values["bits_per_instruction"] = summary.bits_per_instruction
        out(json.dumps(values, sort_keys=True) + "\n")
        return
    packets = sum(summary.packets.values())
    parts = [counted(packets, "packet"), counted(summary.bytes, "byte")]
    if summary.instructions is not None:
        traps = sum(summary.traps.values())
        instructions = counted(summary.instructions, "instruction")
        parts = [instructions, counted(traps, "trap"), *parts]
    if summary.bits_per_instruction is not None:
        parts.append(f"{summary.bits_per_instruction:.3f} bits per instruction")
    if summary.harts > 1:
        parts.insert(0, counted(summary.harts, "hart"))
    if added := ", ".join(f"{name} {count:,}" for name, count in summary.added.items() if count):
        parts.append(f"{counted(sum(summary.added.values()), 'packet')} added ({added})")
    if summary.lost:
        parts.append(f"{counted(summary.lost, 'packet')} lost")
    if summary.stalled:
        parts.append(f"stalled for {summary.stalled:,} half-words")
    if summary.end is not None:
        exit_code = f" {summary.guest_exit}" if summary.guest_exit is not None else ""
        parts.append(f"end: {summary.end}{exit_code}")
    say(", ".join(parts))
    if added:
        say(
            "the added packets are beyond the letter of the specification: a chip does not send "
            "them, but without them the trace could not be decoded exactly; [encoder] loops and "
            "ambiguous choose (docs/choices.md)"
        )
