"""Record types: whole words for kernels, no columns of padding for people."""

import numpy as np
import pytest

from specs.interfaces import flow, ingress
from specs.interfaces.records import join, places, record, rows, words

KINDS = {
    "run": flow.RUN,
    "trap": flow.TRAP,
    "context": flow.CONTEXT,
    "gap": flow.GAP,
    "pause": flow.PAUSE,
    "ingress block": ingress.BLOCK,
    "ingress trap": ingress.TRAP,
    "ingress sideband": ingress.SIDEBAND,
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_records_are_whole_words_without_columns_of_padding(kind: np.dtype[np.void]) -> None:
    assert kind.itemsize % 8 == 0
    assert kind.fields is not None
    assert all(part[0].kind in "ui" for part in kind.fields.values())


def test_the_layout_that_kernels_know() -> None:
    run = np.zeros(1, flow.RUN)
    run["start"], run["count"], run["ended"], run["priv"] = 1 << 63, 5, 6, 3
    assert words(run, flow.RUN).tolist() == [1 << 63, 5 | 6 << 32 | 3 << 40]
    assert rows(np.zeros(4, ingress.TRAP), ingress.TRAP).shape == (4, 4)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_the_places_of_fields_in_words(kind: np.dtype[np.void]) -> None:
    assert kind.names is not None
    one = np.zeros(1, kind)
    for value, name in enumerate(kind.names, 1):
        one[name] = value
    (row,) = rows(one, kind)
    found = places(kind)
    for value, name in enumerate(kind.names, 1):
        mask = np.uint64((1 << 8 * kind[name].itemsize) - 1)
        assert (row[getattr(found, name)] >> getattr(found, f"{name}_at")) & mask == value


KIND = record(("address", "<u8"), ("kind", "u1"))


def filled(first: int, count: int) -> np.ndarray:
    table = np.zeros(count, KIND)
    table["address"] = np.arange(first, first + count)
    table["kind"] = 7
    return table


def test_joined_tables_keep_their_layout() -> None:
    joined = join([filled(0, 3), filled(3, 0), filled(3, 2)], KIND)
    assert joined.dtype.itemsize == KIND.itemsize == 16
    assert joined.tolist() == [(n, 7) for n in range(5)]


def test_what_numpy_has_packed_is_laid_out_again() -> None:
    packed = np.concatenate([filled(0, 3), filled(3, 2)])
    assert packed.dtype.itemsize == 9  # if it ever keeps the gaps, `join` is not needed any more
    assert words(packed, KIND)[::2].tolist() == [0, 1, 2, 3, 4]
    assert join([packed, filled(5, 1)], KIND).tolist() == [(n, 7) for n in range(6)]


def test_words_of_a_table_are_a_view() -> None:
    table = filled(0, 2)
    words(table, KIND)[0] = 9
    assert table["address"].tolist() == [9, 1]
