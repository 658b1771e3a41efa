"""The model's packet codec: every format there and back, and payloads that are no packets."""

from random import Random

import pytest

from tests.model import codec
from tests.model.codec import Packet, PayloadError
from tests.model.settings import Modes, Parameters


def random_parameters(rng: Random) -> Parameters:
    return Parameters(
        iaddress_width_p=rng.choice((8, 32, 64)),
        iaddress_lsb_p=rng.randrange(3),
        ecause_width_p=rng.choice((1, 5, 16, 64)),
        privilege_width_p=rng.choice((1, 2, 3)),
        context_width_p=rng.choice((1, 32)),
        nocontext_p=rng.randrange(2),
        time_width_p=rng.choice((1, 64)),
        notime_p=rng.randrange(2),
        f0s_width_p=rng.choice((1, 2)),
        cache_size_p=rng.choice((1, 8)),
        call_counter_size_p=rng.choice((0, 3, 20)),
        return_stack_size_p=rng.choice((0, 3)),
        ioptions_width_p=rng.choice((0, 5, 7, 32)),
        doptions_width_p=rng.choice((0, 4, 32)),
        irdepth_width_p=rng.choice((None, None, 0, 1, 24)),
    )


#: What a packet starts with; the rest of its fields is random.
STARTS: list[Packet] = [
    {"format": 0, "subformat": 0, "branch_fmt": 0},
    {"format": 0, "subformat": 0, "branch_fmt": 2},
    {"format": 0, "subformat": 0, "branch_fmt": 3},
    {"format": 0, "subformat": 1, "branches": 0},
    {"format": 0, "subformat": 1},
    {"format": 1, "branches": 0},
    {"format": 1},
    {"format": 2},
    {"format": 3, "subformat": 0},
    {"format": 3, "subformat": 1, "interrupt": 0},
    {"format": 3, "subformat": 1, "interrupt": 1},
    {"format": 3, "subformat": 2},
    {"format": 3, "subformat": 3},
]


class _Filler(dict[str, int]):
    """A packet that makes up the fields it is asked for."""

    def __init__(self, start: Packet, rng: Random) -> None:
        super().__init__(start)
        self.rng = rng

    def __missing__(self, name: str) -> int:
        if name == "privilege":  # one that a single bit can tell
            self[name] = self.rng.choice((0, 3))
            return self[name]
        widest = {"branches": 5, "branch_fmt": 2}.get(name, 1)
        self[name] = self.rng.randrange(1 << widest)
        return self[name]


@pytest.mark.parametrize("start", STARTS)
def test_there_and_back(start: Packet) -> None:
    rng = Random(str(start))
    for _ in range(200):
        p = random_parameters(rng)
        packet = _Filler(start, rng)
        payload = codec.to_bytes(packet, p)
        found = codec.from_bytes(payload, p)
        assert {name: value for name, value in found.items() if value} == {
            name: value for name, value in packet.items() if value
        }
        assert codec.to_bytes(found, p) == payload


@pytest.mark.parametrize(("jump_target_cache", "subformat"), [(True, 1), (False, 0)])
def test_subformat_of_format_0_by_the_options(jump_target_cache: bool, subformat: int) -> None:
    modes = Modes(jump_target_cache=jump_target_cache, branch_prediction=not jump_target_cache)
    packet = codec.from_bytes(b"\x00", Parameters(cache_size_p=4), modes)
    assert "subformat" not in packet
    assert ("index" in packet) == (subformat == 1)


def test_implicit_exception_leaves_out_the_handler() -> None:
    p = Parameters()
    packet = {"format": 3, "subformat": 1, "branch": 1, "privilege": 3, "ecause": 7}
    packet |= {"interrupt": 1, "thaddr": 1}
    payload = codec.to_bytes(packet, p, Modes(implicit_exception=True))
    assert codec.from_bytes(payload, p, Modes(implicit_exception=True)) == packet
    assert "address" in codec.from_bytes(payload, p)


def test_random_payloads_are_packets_or_payload_errors() -> None:
    rng = Random(3)
    packets = 0
    for _ in range(3000):
        p = random_parameters(rng)
        payload = rng.randbytes(rng.choice((0, 1, 2, 5, 9, 31)))
        try:
            packet = codec.from_bytes(payload, p)
        except PayloadError:
            continue
        packets += 1
        assert codec.from_bytes(codec.to_bytes(packet, p), p) == packet
    assert packets > 300


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        ({"format": 2, "address": 1 << 31}, "address"),
        ({"format": 0, "branch_count": 0, "branch_fmt": 1}, "branch_fmt 1"),
    ],
)
def test_what_fits_in_no_payload(packet: Packet, message: str) -> None:
    with pytest.raises(PayloadError, match=message):
        codec.to_bytes(packet, Parameters())
