"""What is read, and how: a trace, and the program that it is about."""

from dataclasses import dataclass

from etrace.trace.dumps import PLAIN, Dump


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A trace file or bare packet stream, as given by the user.

    `trace`: its path, `-` for standard input; `kept`: the file that has what was there, if that can
    be read only once. `elf`, `image`: programs and `ADDRESS:FILE` images in
    the place of those that it names; a program must be the one that was traced, unless `force`.
    `params`: the parameter file of a bare stream; `platform`: whose boot ROM ran. `dump`: how the
    file has the stream's bytes. `hart`: which one, of several.
    """

    trace: str
    kept: str | None = None
    elf: tuple[str, ...] = ()
    image: tuple[str, ...] = ()
    params: str | None = None
    platform: str | None = None
    force: bool = False
    dump: Dump = PLAIN
    hart: int | None = None

    @property
    def file(self) -> str:
        """Where the bytes are to be read from."""
        return self.trace if self.kept is None else self.kept
