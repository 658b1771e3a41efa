"""Compressed input, read as it is: gzip and xz, known by their first bytes, with bounded expansion.

A few bytes can stand for terabytes of zeros. What a reader gets is bounded by what it was given: 64
MiB and 2000 bytes for each compressed one (xz makes 7000 of it at most, gzip 1032), and xz may ask
for no dictionary above 256 MiB.
"""

from typing import Any, Protocol

from etrace.errors import InputError

#: With the one method that there is: two bytes alone may begin a packet stream.
_GZIP_MAGIC = b"\x1f\x8b\x08"
_XZ_MAGIC = b"\xfd7zXZ\x00"

_PIECE = 1 << 16
_DICTIONARY = 1 << 28
#: Bytes that may come out: `_FREE`, and `_FOLD` for each that goes in.
_FREE = 1 << 26
_FOLD = 2000


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes: ...


class Ahead:
    """A file whose first bytes, `head`, have been looked at."""

    def __init__(self, head: bytes, file: Readable) -> None:
        self._head = head
        self._file = file

    def read(self, size: int, /) -> bytes:
        if not self._head:
            return self._file.read(size)
        data, self._head = self._head[:size], self._head[size:]
        return data


class _Expanded:
    """The contents of a gzip or xz file, one member after the other."""

    def __init__(self, file: Readable, name: str, xz: bool) -> None:
        self._file = file
        self._name = name
        self._xz = xz
        self._machine: Any = self._fresh()
        self._waiting = b""
        self._taken = 0
        self._given = 0

    def read(self, size: int, /) -> bytes:
        """As of a file; raises `InputError`, the name with it."""
        import lzma
        import zlib

        try:
            data = self._next(size)
        except (lzma.LZMAError, zlib.error) as error:
            raise InputError(f"{self._name}: broken compressed file: {error}") from None
        self._given += len(data)
        if self._given > _FREE + _FOLD * self._taken:
            raise InputError(
                f"{self._name}: {self._taken:,} compressed bytes stand for more than "
                f"{self._given:,}: too many for a trace; expand it yourself if it is one"
            )
        return data

    def _fresh(self) -> Any:
        if self._xz:
            import lzma

            return lzma.LZMADecompressor(lzma.FORMAT_XZ, _DICTIONARY)
        import zlib

        return zlib.decompressobj(wbits=31)

    def _next(self, size: int) -> bytes:
        while True:
            ended = False
            hungry = self._machine.eof or not self._xz or self._machine.needs_input
            if not self._waiting and hungry:
                self._waiting = self._file.read(_PIECE)
                self._taken += len(self._waiting)
                ended = not self._waiting
            if self._machine.eof:
                # zeros may pad what is between and behind members
                self._waiting = self._waiting.lstrip(b"\0")
                if ended:
                    return b""
                if not self._waiting:
                    continue
                self._machine = self._fresh()
            data = self._machine.decompress(self._waiting, size)
            if self._machine.eof:
                self._waiting = self._machine.unused_data
            else:
                self._waiting = b"" if self._xz else self._machine.unconsumed_tail
            if data:
                return bytes(data)
            if ended and not self._machine.eof:
                raise InputError(f"{self._name}: compressed file is truncated")


def expanded(file: Readable, name: str) -> Readable:
    """`file`, expanded if it is compressed. Reading raises `InputError`; `name` is in it."""
    head = b""
    while len(head) < len(_XZ_MAGIC) and (piece := file.read(len(_XZ_MAGIC) - len(head))):
        head += piece
    ahead = Ahead(head, file)
    if head.startswith(_GZIP_MAGIC):
        return _Expanded(ahead, name, xz=False)
    if head.startswith(_XZ_MAGIC):
        return _Expanded(ahead, name, xz=True)
    return ahead
