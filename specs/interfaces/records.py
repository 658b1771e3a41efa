"""Tables of records that kernels see as flat words of 64 bits, without columns of padding.

A record type with gaps keeps its layout in every NumPy operation but one: `np.concatenate` closes
the gaps. `join` puts tables together as they are, and `words` accepts what was closed.
"""

from collections.abc import Sequence
from types import ModuleType

import numpy as np
import numpy.typing as npt

_WORD = 8


def record(*fields: tuple[str, str]) -> np.dtype[np.void]:
    """A record of `fields`, one behind the other, as long as whole words of 64 bits.

    What is left of its last word is no field: tables show no column for it. Kernels must not read
    it, it can be anything.
    """
    packed = np.dtype(list(fields))
    assert packed.fields is not None
    return np.dtype(
        {
            "names": [name for name, _ in fields],
            "formats": [kind for _, kind in fields],
            "offsets": [packed.fields[name][1] for name, _ in fields],
            "itemsize": -(-packed.itemsize // _WORD) * _WORD,
        }
    )


def places(kind: np.dtype[np.void]) -> ModuleType:
    """Where the fields of `kind` are in a record's words, the way kernels can use it: for a field
    `priv`, `priv` is its word and `priv_at` the number of its lowest bit there, both uint64."""
    found = ModuleType("places")
    assert kind.fields is not None
    for name, (_, offset, *_) in kind.fields.items():
        setattr(found, name, np.uint64(offset // _WORD))
        setattr(found, f"{name}_at", np.uint64(8 * (offset % _WORD)))
    return found


def words(table: npt.NDArray[np.void], kind: np.dtype[np.void]) -> npt.NDArray[np.uint64]:
    """`table`, of `kind` or with the same fields in another layout, as flat words."""
    return np.ascontiguousarray(table, kind).view(np.uint64)


def rows(table: npt.NDArray[np.void], kind: np.dtype[np.void]) -> npt.NDArray[np.uint64]:
    """As `words`, a row for each record."""
    return words(table, kind).reshape(len(table), kind.itemsize // _WORD)


def join(tables: Sequence[npt.NDArray[np.void]], kind: np.dtype[np.void]) -> npt.NDArray[np.void]:
    """The `tables`, all of `kind`, one behind the other."""
    # As words: NumPy copies records with gaps field by field.
    return np.concatenate([words(table, kind) for table in tables]).view(kind)
