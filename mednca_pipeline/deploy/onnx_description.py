"""What stands beside an ONNX graph: how an image becomes the graph's input, and probabilities become labels again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from ..inference.network import input_format
from ..plans.model_plans import NCAPlan
from ..plans.plans import ConfigName, Plans
from ..runtime.errors import InputError
from ..runtime.files import read_json
from ..runtime.labels import Labels
from ..runtime.names import check_text
from ..runtime.network_input import InputFormat
from ..runtime.preprocessing import PreprocessingPlan
from ..runtime.records import Count, Name, from_dict

SCHEMA = 1
# Complete for who reads nothing else; docs/reference/onnx.md has the same words.
_HOW = """
Read the image as float32 (channels, z, y, x), with the channels in the order of `channels`. Permute and flip the axes
so that z runs to the head, y to the back and x to the left (LPS). A picture, or a volume of one slice, is (channels,
y, x). If there is one channel, a picture in colour becomes 0.299 red + 0.587 green + 0.114 blue, rounded; if there
are three, a grey picture is repeated.

Crop to the smallest box along the spatial axes that holds every voxel in which any channel is not zero. An image of
zeros stays as it is.

Permute the spatial axes to (slices, height, width): `preprocessing.axis_order` has the number of the axis (z, y, x)
that each of them comes from. If it is empty, the picture becomes one slice, and the spacing along the new axis is
that along y.

Normalise each channel by its entry in `preprocessing.normalisation`. zscore: if `clip_percentiles` is true, clip to
the 0.5 and 99.5 percentiles of all voxels of the cropped channel, interpolated linearly, unless they are equal; then
subtract the mean and divide by the standard deviation (of the population). If the standard deviation is at most 1e-6
of the mean, all voxels become 0. ct: `ct_statistics` of the channel has mean, standard deviation, low and high; clip
to low and high, subtract the mean, divide by the standard deviation. rgb: multiply by 2 / 255 and subtract 1. none:
no change.

Above 1,000,000 voxels, percentiles are those of every n-th voxel, in the order slices, height, width. n is the number
of voxels divided by 1,000,000, rounded up, or else the next number that has no divisor in common with any side.

Resample each axis whose entry in `preprocessing.spacing_mm` is not null from its spacing to that one. The new size is
size * spacing / new spacing, rounded (halves to even), and at least 1. Voxel i of the new axis lies at (i + 0.5) *
size / new size - 0.5 of the old one, beyond whose ends the last voxels are repeated. The kernel is cubic (Keys, a =
-0.5); along an axis that shrinks it is widened by size / new size. It is linear along an axis that is more than
`anisotropy_threshold` times as coarse as every other axis, before or else after resampling. The weights of a voxel
sum to 1. Axes whose size stays are left alone.

Pad the last `input.dim` axes by repeating their ends, to the smallest size that is a multiple of `input.factor` and
not below the image's own size and `input.image_size`. Half of the new voxels come first, rounded down.

Add adjacent slices if `input.adjacent_slices` is n > 0: all channels of the slice n below, then of the slice n - 1
below, and so on to the slice n above. Beyond the ends the first or last slice is repeated.

Add the position as one more channel for each entry of `input.position`, which belong to the last axes. Voxel i along
an axis has (2 * i + 1 - size) / entry. i counts from the first voxel before padding, so it is negative in the
padding; size is that before padding.

Give the graph float32 (slices, channels, height, width) as "image" if `input.dim` is 2, any number of slices at once,
else (1, channels, slices, height, width). If the graph has further inputs, they are the weights of one fold, under
their names in the safetensors file; average "probabilities" over the folds. Remove the padding.

Resample each output's probabilities linearly, without a widened kernel, to the size before resampling.

If `labels.region_order` is empty, output 0 is the background and output k the class `labels.names[k - 1]`. Each voxel
gets the value in `labels.values` of the most probable output, of equal ones the first; background is 0. Else output k
is the region `labels.names[k]`, and wherever it is above 0.5 it writes `labels.region_order[k]`, in this order, over
0.

Undo the permutation. What was cropped away is 0.

For each name in `components`, in the order of `labels.names`: keep that many of the largest connected components of
the voxels whose value is among its `labels.values`; of equally large ones the first. Voxels that touch by a face, an
edge or a corner are connected. All other voxels of the name become 0. With regions, such a voxel gets what the last
region writes whose values include the voxel's and are not all among this name's; but 0 where there is no such region,
or where it writes one of this name's values.

Undo the flips and the permutation of reading, and write the labels with the image's header.
"""
HOW = tuple(" ".join(step.split()) for step in _HOW.split("\n\n"))


@dataclass(frozen=True)
class GraphDescription:
    """The contents of the JSON file.

    channels: names of the image's channels, in order. spacing_known: whether the spacing is in mm. components: class ->
    how many of its largest components are kept; absent: all. digest: of the plans; the graph has the same in its
    metadata. how: what to do, in order.
    """

    dataset: Name
    model: Name
    config: ConfigName
    digest: str
    channels: tuple[str, ...]
    spacing_known: bool
    preprocessing: PreprocessingPlan
    input: InputFormat
    labels: Labels
    components: dict[str, Count] = field(default_factory=dict)
    how: tuple[str, ...] = HOW
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Raises InputError where the parts do not fit each other."""
        for text in (*self.channels, self.digest, *self.how):
            check_text("channels, digest and how", text)
        if not self.channels or len(self.channels) != len(self.preprocessing.normalisation):
            found = f"{len(self.preprocessing.normalisation)} for {len(self.channels)} channels"
            raise InputError("preprocessing.normalisation", "one entry for each channel", found)
        if unknown := sorted(set(self.components) - set(self.labels.names)):
            raise InputError("components", f"some of {', '.join(self.labels.names)}", ", ".join(unknown))


def describe_graph(
    plans: Plans, config: str, model: str, components: Mapping[str, int] | None = None
) -> GraphDescription:
    """The description of a planned Med-NCA's graph. components: those that its folder's postprocessing keeps, if any.

    Raises InputError for a configuration or a model that was not planned.
    """
    chosen = plans.config(config)
    plan = cast(NCAPlan, chosen.model(model))
    return GraphDescription(
        plans.dataset,
        model,
        chosen.name,
        plans.digest(config, model),
        plans.channel_names,
        plans.spacing_known,
        chosen.preprocessing,
        input_format(chosen, plan, plan.levels[0].factor),
        plans.labels,
        dict(plans.components if components is None else components),
    )


def read_description(path: Path) -> GraphDescription:
    """Raises InputError for a file that is missing, damaged, of another schema, or whose parts do not fit."""
    return from_dict(GraphDescription, read_json(path, schema=SCHEMA), str(path))
