"""Notices the overflow that kills trainings of NCAs.

A cell's state is added to in every step: once it grows, it feeds its own growth. Runs of two-level Med-NCA on full
slices were reported to die so, with a loss above 3 after some epochs.
"""

import math
from dataclasses import dataclass

MAX_RESTORES = 5
RATE_CUT = 0.5
MAX_MAGNITUDE = 1e4
LOSS_FACTOR, LOSS_MARGIN = 3.0, 1.0
STRIKES = 10
SMOOTHING = 0.98
WARMUP = 50


@dataclass
class Guard:
    """Judges each iteration by its loss and the hidden state's magnitude.

    A loss explodes when it exceeds its running mean by a factor of 3 and by 1 at least in 10 iterations in a row: a
    single batch may be hard, or show a class nowhere.
    """

    mean_loss: float = 0.0
    seen: int = 0
    restores: int = 0
    rate_scale: float = 1.0
    strikes: int = 0  # bad losses in a row

    def problem(self, loss: float, magnitude: float) -> str | None:
        """Why the iteration must not stand, or None; a healthy loss enters the running mean."""
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if not math.isfinite(magnitude) or magnitude > MAX_MAGNITUDE:
            return f"the hidden state's magnitude is {magnitude:.3g} (limit {MAX_MAGNITUDE:.0e})"
        usual = self.mean_loss / (1 - SMOOTHING**self.seen) if self.seen else loss
        if self.seen >= WARMUP and loss > max(LOSS_FACTOR * usual, usual + LOSS_MARGIN):
            self.strikes += 1
            return f"the loss rose to {loss:.3f} from about {usual:.3f}" if self.strikes >= STRIKES else None
        self.strikes = 0
        self.mean_loss = SMOOTHING * self.mean_loss + (1 - SMOOTHING) * loss
        self.seen += 1
        return None

    def after_restore(self, previous: "Guard") -> "Guard":
        """The guard to go on with after going back to the state in which the guard was `self`."""
        return Guard(self.mean_loss, self.seen, previous.restores + 1, previous.rate_scale * RATE_CUT)
