"""The encoder as a user of the emulator's retirement hook."""

from pathlib import Path

import emu
from encoder import Encoder
from specs.configuration.parameters import Configuration


def test_an_encoder_attached_to_on_retire_gives_the_bytes_of_a_recording(firmware: Path) -> None:
    programs = [emu.load(firmware / "nested-rv32.elf")]
    configuration = Configuration.default(32)
    drained = Encoder(configuration)
    expected = b"".join(drained.feed(chunk) for chunk in emu.Machine(programs).run())
    expected += drained.finish()

    machine = emu.Machine(programs)
    attached = Encoder(configuration)
    pieces: list[bytes] = []
    machine.on_retire(lambda chunk: pieces.append(attached.feed(chunk)))
    machine.on_discontinuity(lambda event: None)
    for _ in machine.run():
        pass
    assert b"".join(pieces) + attached.finish() == expected
