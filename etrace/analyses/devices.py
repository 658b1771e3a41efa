"""Where well-known chips and boards have what firmware looks for; none of it is on our platform.

From the memory maps in their documents: QEMU, "virt Generic Virtual Platform" and the device tree
of that machine; SiFive FE310-G002 Manual and FU540-C000 Manual, "Memory Map"; ESP32-C3 Technical
Reference Manual, "System and Memory"; GD32VF103 User Manual, "Memory map"; Kendryte K210 Datasheet.
"""

from typing import NamedTuple


class Device(NamedTuple):
    """`name` with the machine that has it there, `size` bytes from `base` on. `uart`: it prints."""

    base: int
    size: int
    name: str
    uart: bool = False


DEVICES = (
    Device(0x0010_0000, 0x1000, "the test finisher of QEMU's machine `virt`"),
    Device(0x0C00_0000, 0x400_0000, "the interrupt controller (PLIC) of many boards"),
    Device(0x1000_0000, 0x100, "the UART of QEMU's machine `virt`", True),
    Device(0x1000_1000, 0x8000, "virtio of QEMU's machine `virt`, the clocks (PRCI) of the FE310"),
    Device(0x1001_0000, 0x1000, "the first UART of the FU540", True),
    Device(0x1001_1000, 0x1000, "the second UART of the FU540", True),
    Device(0x1001_2000, 0x1000, "the GPIO of the FE310"),
    Device(0x1001_3000, 0x1000, "the first UART of the FE310 (SiFive)", True),
    Device(0x1001_4000, 0x1000, "the flash controller of the FE310"),
    Device(0x1002_3000, 0x1000, "the second UART of the FE310 (SiFive)", True),
    Device(0x3800_0000, 0x1000, "the UART (UARTHS) of the K210", True),
    Device(0x4000_4400, 0x400, "a USART of the GD32VF103 and its relatives", True),
    Device(0x4001_3800, 0x400, "the first USART of the GD32VF103 and its relatives", True),
    Device(0x4002_1000, 0x400, "the clock unit (RCU) of the GD32VF103 and its relatives"),
    Device(0x6000_0000, 0x1000, "the first UART of the ESP32-C3", True),
)


def device_at(address: int) -> Device | None:
    """What is known to be at `address` elsewhere."""
    return next((each for each in DEVICES if 0 <= address - each.base < each.size), None)
