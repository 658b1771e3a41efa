"""The state that an encoder and a decoder keep alike: branch predictor, jump target cache,
return stack, all empty after a synchronisation packet.

E-Trace 2.0, "Branch prediction mode", "Jump target cache mode", "Implicit return mode".
"""

from tests.model.settings import Parameters

#: (predicts taken, next state if not taken, next state if taken) by two-bit state.
_STATES = {
    0b00: (False, 0b00, 0b01),
    0b01: (False, 0b00, 0b11),
    0b11: (True, 0b10, 0b11),
    0b10: (True, 0b00, 0b11),
}


class BranchPredictor:
    """Two bits a branch address."""

    def __init__(self, parameters: Parameters) -> None:
        self.mask = (1 << parameters.bpred_size_p) - 1
        self.shift = parameters.lowest_index_bit
        self.states: dict[int, int] = {}

    def reset(self) -> None:
        self.states = {}

    def state(self, iaddr: int) -> int:
        return self.states.get(iaddr >> self.shift & self.mask, 0b01)

    def predicts_taken(self, iaddr: int) -> bool:
        return _STATES[self.state(iaddr)][0]

    def update(self, iaddr: int, taken: bool) -> None:
        following = _STATES[self.state(iaddr)][2 if taken else 1]
        self.states[iaddr >> self.shift & self.mask] = following


class JumpTargetCache:
    """Direct-mapped addresses of reported targets of uninferable discontinuities."""

    def __init__(self, parameters: Parameters) -> None:
        self.mask = (1 << parameters.cache_size_p) - 1
        self.shift = parameters.lowest_index_bit
        self.targets: dict[int, int] = {}

    def reset(self) -> None:
        self.targets = {}

    def index(self, iaddr: int) -> int:
        return iaddr >> self.shift & self.mask

    def holds(self, iaddr: int) -> bool:
        return self.targets.get(self.index(iaddr)) == iaddr

    def update(self, iaddr: int) -> None:
        self.targets[self.index(iaddr)] = iaddr


class ReturnStack:
    """Addresses that calls will return to; the oldest makes room for the newest."""

    def __init__(self, parameters: Parameters) -> None:
        self.most = parameters.nested_calls
        self.recursions = parameters.recursions
        self.links: list[int] = []
        #: How many calls more than one each entry stands for (2.1 draft, pseudo-code).
        self.counts: list[int] = []

    def reset(self) -> None:
        self.links = []
        self.counts = []

    @property
    def depth(self) -> int:
        return len(self.links)

    @property
    def top(self) -> int | None:
        return self.links[-1] if self.links else None

    def push(self, link: int) -> None:
        if self.top == link and self.counts[-1] < self.recursions:
            self.counts[-1] += 1
            return
        if len(self.links) == self.most:
            del self.links[0]
            del self.counts[0]
        self.links.append(link)
        self.counts.append(0)

    def pop(self) -> None:
        if self.counts[-1] > 0:
            self.counts[-1] -= 1
            return
        del self.links[-1]
        del self.counts[-1]
