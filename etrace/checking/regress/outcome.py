"""What became of a case."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """`NEW`, `CHANGED`: `--update` wrote its reference. `ERROR`: it could not be run to its end."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    NEW = "new"
    CHANGED = "changed"


@dataclass(frozen=True)
class Result:
    """One case. `suite`: the manifest's name, as JUnit's classname. `reason`: why it is not passed,
    one line; `text`: the same at length (the divergence as `etrace diff` shows it). `seconds`: wall
    time. `output`: what the guest printed. `values`: `instructions`, `packets`, `bits` an
    instruction, `exit_code`, `end`. `diff`: `Diff.values()`, if there was a reference.
    """

    suite: str
    name: str
    status: Status
    reason: str = ""
    text: str = ""
    seconds: float = 0.0
    output: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    diff: dict[str, Any] | None = None
    tags: tuple[str, ...] = ()
    #: The manifest, and the line of the case in it.
    file: str = ""
    line: int = 0

    @property
    def ok(self) -> bool:
        """Whether it counts as a success."""
        return self.status in (Status.PASSED, Status.NEW, Status.CHANGED)


@dataclass(frozen=True)
class Summary:
    """All results in the order of the manifest, and the wall time of the whole run in seconds."""

    results: tuple[Result, ...]
    seconds: float
