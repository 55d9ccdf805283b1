"""Where only the cells that fire are computed. Without torch, for the planner."""

MOST_FIRING = 0.6  # of the cells, up to which leaving the others out saves more than gathering these costs


def computed_share(firing: float, device: str, keep_every: int = 0) -> float:
    """The share of the cells whose hidden units are computed, where `firing` is the share of those that fire.

    `firing` itself where the sparse form runs (steps.py), 1 where all are computed. device: its type. keep_every: of a
    training (NCAPlan); the sparse form keeps what it needs of every step.
    """
    sparse = device == "cpu" and firing <= MOST_FIRING and not keep_every
    return firing if sparse else 1.0
