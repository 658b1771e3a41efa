"""The decoder, some bytes at a time: what a model beside hardware needs."""

import numpy as np

from decoder.decoder import Decoder
from decoder.path.state import State
from specs.interfaces.flow import RUN, Ended, Flow


class Stepper(Decoder):
    """A `Decoder` that tells the run under construction, too."""

    def begun(self) -> Flow:
        """The run that goes on, as far as it is known, as a flow of its own; or an empty one."""
        start, count, priv = (
            int(self._state[each]) for each in (State.RUN_START, State.RUN_COUNT, State.PRIVILEGE)
        )
        runs = np.zeros(1 if count else 0, RUN)
        if count:
            runs[0] = start % (1 << 64), count, Ended.PACKET, priv
        return Flow(runs)
