"""cocotb: the packetiser's packets, each cycle, against those of `etrace.model`.

The simulator runs this module; `simulate.py` starts it. Environment: EVENTS, an ingress CSV;
PARAMS, the parameter file.
"""

import os
from collections.abc import Iterator
from typing import Any

import cocotb
from bitstring import Bits
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from etrace import model
from etrace.model import Block, Packet

EXCEPTION, INTERRUPT, SUPPORT = 1, 2, "3.3"
#: breakpoint and environment calls: they do not retire, whatever the file says.
NEVER_RETIRES = (3, 8, 9, 10, 11)


def cycles(blocks: Iterator[Block]) -> Iterator[Block]:
    """One event a cycle: an instruction that retires and then traps takes two."""
    for block in blocks:
        trap = block.itype in (EXCEPTION, INTERRUPT)
        if trap and block.iretire:
            if block.itype == INTERRUPT or block.cause not in NEVER_RETIRES:
                yield block._replace(itype=0)
                block = block._replace(iaddr=block.iaddr + (2 << block.ilastsize))
            block = block._replace(iretire=0)
        yield block


def drive(dut: Any, block: Block) -> None:
    dut.valid.value = 1
    dut.itype.value = block.itype
    dut.cause.value = block.cause
    dut.tval.value = block.tval
    dut.priv.value = block.priv
    dut.iaddr.value = block.iaddr


def sent(dut: Any, params: str) -> list[Packet]:
    """The packets of this cycle."""
    found = []
    for name in ("report", "sync"):
        if getattr(dut, f"{name}_valid").value:
            length = int(getattr(dut, f"{name}_length").value)
            bits = Bits(bin=str(getattr(dut, f"{name}_bits").value))
            found.append(Packet.parse(bits[-length:], params))
    return found


def compare(where: str, expected: list[Packet], got: list[Packet]) -> None:
    """Fail, in words, at the first packet that is not the model's."""
    for number in range(max(len(expected), len(got))):
        if number >= len(got):
            told = f"the model sends\n  {expected[number]}\nand the packetiser nothing"
        elif number >= len(expected):
            told = f"the model sends nothing, and the packetiser\n  {got[number]}"
        elif expected[number] != got[number] or expected[number].bits != got[number].bits:
            wanted = expected[number]
            told = (
                f"the model sends, for blocks {wanted.rows.start} to {wanted.rows[-1]},\n"
                f"  {wanted}\nand the packetiser\n  {got[number]}\n"
                f"expected {wanted.difference(got[number])}"
            )
        else:
            continue
        raise AssertionError(f"{where}: {told}")


@cocotb.test()
async def packets_are_those_of_the_model(dut: Any) -> None:
    params = os.environ["PARAMS"]
    encoder = model.Encoder(params)
    configuration = encoder.configuration
    compared = dict.fromkeys(("1", "2", "3.0", "3.1"), 0)

    dut.rst_n.value = dut.valid.value = dut.finish.value = 0
    Clock(dut.clk, 10, "ns").start()
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    dut.rst_n.value = 1

    def check(where: str, packets: list[Packet]) -> None:
        # the packetiser sends no support packets
        expected = [packet for packet in packets if packet.format != SUPPORT]
        compare(where, expected, sent(dut, configuration))
        for packet in expected:
            compared[packet.format] += 1

    number = -1
    for number, block in enumerate(cycles(model.blocks(os.environ["EVENTS"]))):
        drive(dut, block)
        await FallingEdge(dut.clk)
        where = f"block {number} (itype {block.itype} at {block.iaddr:#x})"
        check(where, encoder.step(block))
    dut.valid.value = 0
    dut.finish.value = 1
    await FallingEdge(dut.clk)
    check("the end", encoder.finish())
    dut._log.info("%d blocks, packets compared: %s", number + 1, compared)
    assert sum(compared.values()), "nothing was compared"
