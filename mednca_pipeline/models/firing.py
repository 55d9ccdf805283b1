"""Where only the cells that fire are computed. Without torch, for the planner."""

MOST_FIRING = 0.6  # of the cells, up to which leaving the others out saves more than gathering these costs


def computed_share(firing: float, device: str) -> float:
    """The share of the cells whose hidden units are computed, where `firing` is the share of those that fire.

    `firing` itself where the sparse form runs (steps.py), 1 where all are computed. device: its type.
    """
    sparse = device == "cpu" and firing <= MOST_FIRING
    return firing if sparse else 1.0
