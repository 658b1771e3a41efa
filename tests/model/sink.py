"""Where packets go: a buffer that a link of limited bandwidth empties.

docs/qualification.md, "Loss": integers only, so that others can repeat it bit for bit.
"""

from dataclasses import dataclass

_MASK = (1 << 64) - 1


def xorshift64(state: int) -> int:
    """The next state; never 0 if `state` is not."""
    state ^= state << 13 & _MASK
    state ^= state >> 7
    state ^= state << 17 & _MASK
    return state


@dataclass(frozen=True)
class Sink:
    """`rate` / `per` bytes leave the buffer for each half-word retired.

    `capacity` and `resume` are bytes: packets that do not fit are lost, and more are taken when the
    level is down to `resume`. `overhead` is what a packet takes besides its payload. With `jitter`
    the rate varies by as much, by a generator that starts at `seed`.
    """

    rate: int
    per: int
    capacity: int
    resume: int
    overhead: int = 1
    jitter: int = 0
    seed: int = 1
    trTeInstStallEna: bool = False

    def __post_init__(self) -> None:
        if not (self.rate > self.jitter >= 0 and self.per > 0):
            raise ValueError("rate has to be greater than jitter, and per than 0")
        if not 0 <= self.resume <= self.capacity:
            raise ValueError("resume has to be from 0 to capacity")
        if not 0 < self.seed <= _MASK:
            raise ValueError("seed has to be from 1 to 2**64 - 1")


class Buffer:
    """How full it is. `level` is in bytes times `per`; `stalled` counts half-words of waiting."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.level = 0
        self.rate = sink.rate
        self.random = sink.seed
        self.stalled = 0

    def drain(self, half_words: int) -> None:
        self.level = max(self.level - half_words * self.rate, 0)

    def vary(self) -> None:
        """The rate until the next call."""
        if self.sink.jitter:
            self.random = xorshift64(self.random)
            varied = self.random % (2 * self.sink.jitter + 1)
            self.rate = self.sink.rate - self.sink.jitter + varied

    def excess(self, payload: int) -> int:
        """By how much a packet does not fit, in the unit of `level`."""
        size = payload + self.sink.overhead
        return self.level + size * self.sink.per - self.sink.capacity * self.sink.per

    def put(self, payload: int) -> bool:
        """Take a packet of so many bytes; whether it fits."""
        if self.excess(payload) > 0 and self.sink.trTeInstStallEna:
            self.stall(self.excess(payload))
        if self.excess(payload) > 0:
            return False
        self.level += (payload + self.sink.overhead) * self.sink.per
        return True

    def stall(self, excess: int) -> None:
        if excess > self.level:
            raise ValueError("a packet that is longer than the buffer: the hart would wait forever")
        half_words = -(-excess // self.rate)
        self.stalled += half_words
        self.drain(half_words)

    def resumes(self, payload: int) -> bool:
        """Whether it is empty enough, and has room for the support packet."""
        return self.level <= self.sink.resume * self.sink.per and self.excess(payload) <= 0
