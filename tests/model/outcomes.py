"""Branch outcomes that packets have told and the walk has not reached yet."""

#: What is known of a branch: 0 taken, 1 not taken, or how it compared with its prediction.
TAKEN, NOT_TAKEN, PREDICTED, FAILED = range(4)


class Branches:
    """A queue of outcomes, kept as runs of equal ones: a count may be in the billions."""

    def __init__(self) -> None:
        self.runs: list[list[int]] = []

    def __len__(self) -> int:
        return sum(count for _, count in self.runs)

    def add(self, outcome: int, count: int = 1) -> None:
        if count > 0:
            self.runs.append([outcome, count])

    @property
    def first(self) -> int:
        return self.runs[0][0]

    def remove_first(self) -> None:
        self.runs[0][1] -= 1
        if self.runs[0][1] == 0:
            del self.runs[0]

    def clear(self) -> None:
        self.runs = []
