"""When only the cells that fire are computed. Without torch, for the planner."""

MOST_FIRING = 0.6  # up to this share of firing cells, leaving out the others saves more than gathering costs


def computed_share(firing: float, device: str) -> float:
    """The share of the cells whose hidden units are computed, where `firing` is the share of the cells that fire.

    It is `firing` where the sparse form runs (steps.py), and 1 where all cells are computed. device: a torch device
    type, such as "cpu".
    """
    sparse = device == "cpu" and firing <= MOST_FIRING
    return firing if sparse else 1.0
