"""The variants of the search: name -> changes to the plan of the model that is screened (see screen.changed)."""

from typing import Any

VARIANTS: dict[str, dict[str, Any]] = {
    "plan": {},
    # optimiser and schedule of the UNet
    "rate1e-3": {"training.learning_rate": 1e-3},
    "rate6e-3": {"training.learning_rate": 6e-3},
    "muon2e-2": {"training.optimiser": "muon", "training.learning_rate": 0.02},
    "muon5e-3": {"training.optimiser": "muon", "training.learning_rate": 0.005},
    "augment0": {"training.augmentation": 0.0},
    "augment2": {"training.augmentation": 2.0},
    "augment0.5": {"training.augmentation": 0.5},
    "mirror": {"training.mirror_axes": [0, 1]},
    "mirror_w": {"training.mirror_axes": [1]},
    "ema0.998": {"training.ema_decay": 0.998},
    "adjacent0": {"adjacent_slices": 0},
    "adjacent2": {"adjacent_slices": 2},
    "adjacent3": {"adjacent_slices": 3},
    "adjacent4": {"adjacent_slices": 4},
    "adjacent5_26": {"adjacent_slices": 5, "channels": 26},
    "adjacent3_23": {"adjacent_slices": 3, "channels": 23},
    "adjacent3_24": {"adjacent_slices": 3, "channels": 20},
    "channels19": {"channels": 19},
    "batch8": {"training.batch_size": 8},
    "batch16": {"training.batch_size": 16},
    "foreground0.33": {"training.foreground_share": 0.33},
    "foreground0.8": {"training.foreground_share": 0.8},
    # optimiser of the automaton
    "muon1e-2": {"training.learning_rate": 0.01},
    "muon4e-2": {"training.learning_rate": 0.04},
    "batch4": {"training.batch_size": 4},
    # the cell
    "hidden96": {"hidden": 96},
    "fire0.5": {"fire_rate": 0.5},
    "fire0.9": {"fire_rate": 0.9},
    # levels of hippocampus: planned are /4 10 steps, /2 6, /1 4 with a patch of 24x24
    "whole_finest": {"levels": [[4, 10, None], [2, 6, None], [1, 4, None]]},
    "finest2": {"levels": [[4, 10, None], [2, 6, None], [1, 2, 24]]},
    "finest2_middle10": {"levels": [[4, 10, None], [2, 10, None], [1, 2, 24]]},
    "steps16_8_4": {"levels": [[4, 16, None], [2, 8, None], [1, 4, 24]]},
    "steps6_6_4": {"levels": [[4, 6, None], [2, 6, None], [1, 4, 24]]},
    "four_levels": {"levels": [[8, 8, None], [4, 6, None], [2, 6, None], [1, 4, 24]]},
    # levels of prostate: planned are /4 22 steps, /2 6 and /1 4, each with a patch of 32x32
    "p_middle_whole": {"levels": [[4, 22, None], [2, 6, None], [1, 4, 32]]},
    "p_four_levels": {"levels": [[8, 11, None], [4, 6, None], [2, 6, 32], [1, 4, 32]]},
    "p_four_levels_whole": {"levels": [[8, 11, None], [4, 6, None], [2, 6, None], [1, 4, 32]]},
    "p_five_levels": {"levels": [[16, 8, None], [8, 6, None], [4, 6, None], [2, 6, 32], [1, 4, 32]]},
    # on top of three adjacent slices
    "a3_hidden32": {"adjacent_slices": 3, "hidden": 32},
    "a3_23": {"adjacent_slices": 3, "channels": 23},
    "a3_23_hidden32": {"adjacent_slices": 3, "channels": 23, "hidden": 32},
    "a3_whole": {"adjacent_slices": 3, "levels": [[4, 10, None], [2, 6, None], [1, 4, None]], "training.batch_size": 5},
    "a3_finest2": {"adjacent_slices": 3, "levels": [[4, 10, None], [2, 8, None], [1, 2, 24]]},
    "a3_batch4": {"adjacent_slices": 3, "training.batch_size": 4},
    "a3_batch16": {"adjacent_slices": 3, "training.batch_size": 16},
    "a3_muon1e-2": {"adjacent_slices": 3, "training.learning_rate": 0.01},
    "a3_fire0.5": {"adjacent_slices": 3, "fire_rate": 0.5},
    "a3_fire0.9": {"adjacent_slices": 3, "fire_rate": 0.9},
    "p_patch48": {"levels": [[4, 22, None], [2, 6, 48], [1, 4, 48]]},
    # breast ultrasound: planned are /4x8 32 steps, /4 6, /2 6 and /1 4
    "b_five": {"levels": [[16, 13, None], [8, 6, None], [4, 6, 32], [2, 6, 32], [1, 4, 32]]},
    "b_five_wide": {"levels": [[16, 13, None], [8, 6, None], [4, 6, None], [2, 6, 64], [1, 4, 32]]},
    # chest X-ray: planned are /8 22 steps, /4 6, /2 6 and /1 4
    "c_five": {"levels": [[16, 11, None], [8, 6, None], [4, 6, 32], [2, 6, 32], [1, 4, 32]]},
    # 8 or 16 free channels: hippocampus has 7 image channels (1 in 3D), prostate 5, breast ultrasound and X-ray 1
    "free8_p": {"channels": 13, "hidden": 64},
    "free16_p": {"channels": 21, "hidden": 64},
    "free8_p_foreground0.33": {"channels": 13, "hidden": 64, "training.foreground_share": 0.33},
    "free8_b": {"channels": 9, "hidden": 64},
    "free16_b": {"channels": 17, "hidden": 64},
    # a coarsest grid of at most 16 cells: prostate and X-ray of 128x128, breast ultrasound of 144x208
    "coarsest16": {"levels": [[8, 11, None], [4, 6, None], [2, 6, 32], [1, 4, 32]]},
    "b_coarsest16": {"levels": [[16, 9, None], [8, 6, None], [4, 6, 32], [2, 6, 32], [1, 4, 32]]},
    # more capacity, for longer trainings
    "wide": {"channels": 23, "hidden": 96},
    "hidden128": {"hidden": 128},
    "steps16_10_6": {"levels": [[4, 16, None], [2, 10, None], [1, 6, 24]]},
    # free channels in a multiple of 8: hippocampus, prostate, breast ultrasound and chest X-ray
    "channels15": {"channels": 15},
    "channels13": {"channels": 13},
    "channels17": {"channels": 17},
    # what the border shows, and where in its image a voxel lies
    "border_zeros": {"border": "zeros"},
    "no_position": {"position": []},
    "no_position_h": {"position": [], "channels": 15},
    "no_position_p": {"position": [], "channels": 13},
    "no_position_c": {"position": [], "channels": 9},
    "position_b": {"position": [108.5, 131], "channels": 11},
}
