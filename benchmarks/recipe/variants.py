"""The variants of the search: name -> changes to the plan of the model that is screened (see screen.changed).

They are changes to the present plans. Those of earlier plans are in runs.csv, in the column `changes`, and here at the
commit of their row.
"""

from typing import Any

BY_MODALITY = "by modality"  # the planner's own choice for this kind of image (planning.augmentation)


def _artefacts(rate: float, kinds: list[str] | str = BY_MODALITY) -> dict[str, Any]:
    return {"training.artefacts": rate, "training.artefact_kinds": kinds}


VARIANTS: dict[str, dict[str, Any]] = {
    "plan": {},
    # optimiser and schedule
    "rate1e-3": {"training.learning_rate": 1e-3},
    "rate6e-3": {"training.learning_rate": 6e-3},
    "muon5e-3": {"training.optimiser": "muon", "training.learning_rate": 0.005},
    "muon1e-2": {"training.optimiser": "muon", "training.learning_rate": 0.01},
    "muon4e-2": {"training.optimiser": "muon", "training.learning_rate": 0.04},
    "ema0.998": {"training.ema_decay": 0.998},
    "batch4": {"training.batch_size": 4},
    "batch16": {"training.batch_size": 16},
    "decay0.03": {"training.weight_decay": 0.03},
    "decay0.1": {"training.weight_decay": 0.1},
    "decay0.3": {"training.weight_decay": 0.3},
    # samples
    "augment0": {"training.augmentation": 0.0},
    "augment0.5": {"training.augmentation": 0.5},
    "augment2": {"training.augmentation": 2.0},
    "mirror": {"training.mirror_axes": [0, 1]},
    "mirror_w": {"training.mirror_axes": [1]},
    "mirrored": {"training.mirror_axes": BY_MODALITY},
    "artefacts0": _artefacts(0.0, []),
    "artefacts0.3": _artefacts(0.3),
    "artefacts0.5": _artefacts(0.5),
    "artefacts0.3_mirrored": {**_artefacts(0.3), "training.mirror_axes": BY_MODALITY},
    "artefacts0.3_augment0.5": {**_artefacts(0.3), "training.augmentation": 0.5},
    # MRI, some kinds alone
    "artefacts0.3_kspace": _artefacts(0.3, ["bias_field", "ghosts", "spikes"]),
    "artefacts0.3_bias": _artefacts(0.3, ["bias_field"]),
    "everywhere": {"training.at_outline": False},  # training computes every cell of its patches
    "expected0": {"training.expected_share": 0.0},
    "expected1": {"training.expected_share": 1.0},
    "halo0": {"outline.halo": 0},
    "halo2": {"outline.halo": 2},
    "eps0.05": {"outline.eps": 0.05},
    "foreground0.33": {"training.foreground_share": 0.33},
    "foreground0.8": {"training.foreground_share": 0.8},
    "coarser0.7": {"training.coarser_share": 0.7},
    "coarser1": {"training.coarser_share": 1.0},
    # the cell
    "hidden32": {"hidden": 32},
    "hidden96": {"hidden": 96},
    "hidden128": {"hidden": 128},
    "fire0.5": {"fire_rate": 0.5},
    "fire0.9": {"fire_rate": 0.9},
    "rms": {"norm": "rms"},
    "no_norm": {"norm": "none"},
    "border_zeros": {"border": "zeros"},
    # hippocampus: 7 image channels, 3 of the position, 8 free; /4 8 steps, /2 6, /1 4 with a patch of 24x24
    "h_free16": {"channels": 26},
    "h_adjacent2": {"adjacent_slices": 2, "channels": 16},
    "h_no_position": {"position": [], "channels": 15},
    "h_whole_finest": {"levels": [[4, 8, None], [2, 6, None], [1, 4, None]], "training.batch_size": 5},
    "h_steps16_6_4": {"levels": [[4, 16, None], [2, 6, None], [1, 4, 24]]},
    "h_steps16_8_4": {"levels": [[4, 16, None], [2, 8, None], [1, 4, 24]]},
    "h_steps8_8_2": {"levels": [[4, 8, None], [2, 8, None], [1, 2, 24]]},
    "h_steps6_6_4": {"levels": [[4, 6, None], [2, 6, None], [1, 4, 24]]},
    "h_four_levels": {"levels": [[8, 8, None], [4, 6, None], [2, 6, None], [1, 4, 24]]},
    # prostate: 5 image channels, 3 of the position, 8 free; /8 11 steps, /4 6, and /2 6, /1 4 with patches of 32x32
    "p_free16": {"channels": 24},
    "p_no_position": {"position": [], "channels": 13},
    "p_middle_whole": {"levels": [[8, 11, None], [4, 6, None], [2, 6, None], [1, 4, 32]]},
    "p_steps11_6_8_2": {"levels": [[8, 11, None], [4, 6, None], [2, 8, 32], [1, 2, 32]]},
    "p_three_levels": {"levels": [[4, 22, None], [2, 6, 32], [1, 4, 32]]},
    # breast ultrasound: 1 image channel, 8 free; /32 10 steps, /16 6, and /8, /4, /2 6, /1 4 with patches of 32x32
    "b_free16": {"channels": 17},
    "b_position": {"position": [240, 289], "channels": 11},
    "b_five_levels": {"levels": [[16, 20, None], [8, 6, 32], [4, 6, 32], [2, 6, 32], [1, 4, 32]]},
    # chest X-ray: 1 image channel, 2 of the position, 8 free
    "c_no_position": {"position": [], "channels": 9},
    "c_three_levels": {"levels": [[4, 27, None], [2, 6, 32], [1, 4, 32]]},
    "c_steps8_6_6_8_2": {"levels": [[16, 8, None], [8, 6, None], [4, 6, 32], [2, 8, 32], [1, 2, 32]]},
    # a UNet without its position
    "no_position": {"position": []},
}
