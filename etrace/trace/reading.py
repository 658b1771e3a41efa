"""What is read, and how: a trace, and the program that it is about."""

from dataclasses import dataclass

from etrace.trace.dumps import PLAIN, Dump


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A trace file or bare packet stream, as given by the user.

    `trace`: its path, `-` for standard input. `elf`, `image`: programs and `ADDRESS:FILE` images in
    the place of those that it names; a program must be the one that was traced, unless `force`.
    `params`: the parameter file of a bare stream; `platform`: whose boot ROM ran. `dump`: how the
    file has the stream's bytes.
    """

    trace: str
    elf: tuple[str, ...] = ()
    image: tuple[str, ...] = ()
    params: str | None = None
    platform: str | None = None
    force: bool = False
    dump: Dump = PLAIN
