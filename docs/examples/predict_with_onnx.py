"""Segments a NIfTI file with an ONNX graph and the JSON file beside it, without mednca_pipeline.

    python predict_with_onnx.py hippocampus.onnx image.nii.gz labels.nii.gz

Needs NumPy, SciPy, nibabel and onnxruntime. It follows the sentences of `how` in the JSON file, in their order.
"""

import json
import math
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import onnxruntime
from scipy import ndimage

LARGEST_SAMPLE = 1_000_000


def main(graph, image_file, labels_file):
    how = json.loads(Path(graph).with_suffix(".json").read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    if session.get_modelmeta().custom_metadata_map["digest"] != how["digest"]:
        sys.exit("The graph and the JSON file are of different models.")
    file = nib.load(image_file)
    to_lps = nib.orientations.ornt_transform(
        nib.io_orientation(file.affine), nib.orientations.axcodes2ornt(("L", "P", "S"))
    )
    moved = nib.orientations.apply_orientation(file.get_fdata(dtype=np.float32), to_lps)
    spacing = np.array(file.header.get_zooms()[:3])[np.argsort(to_lps[:, 0])]
    channels = moved[..., None] if moved.ndim == 3 else moved
    labels = segmented(
        channels.transpose(3, 2, 1, 0), spacing[::-1], how, lambda seen: session.run(None, {"image": seen})[0]
    )
    back = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(("L", "P", "S")), nib.io_orientation(file.affine)
    )
    stored = nib.orientations.apply_orientation(labels.transpose(2, 1, 0), back)
    nib.save(nib.Nifti1Image(stored.astype(np.uint8), file.affine), labels_file)


def segmented(image, spacing, how, run):
    """Label values of an image (channels, z, y, x) or (channels, y, x). run: from the graph's image to its output."""
    plan, seen_as, labels = how["preprocessing"], how["input"], how["labels"]
    occupied = np.argwhere((image != 0).any(axis=0))
    sides = (
        list(zip(occupied.min(axis=0), occupied.max(axis=0) + 1, strict=True))
        if len(occupied)
        else [(0, n) for n in image.shape[1:]]
    )
    box = tuple(slice(start, stop) for start, stop in sides)
    order = plan["axis_order"]
    cropped = image[(slice(None), *box)]
    volume = cropped.transpose(0, *(1 + axis for axis in order)) if order else cropped[:, None]
    spacing = [spacing[axis] for axis in order] if order else [spacing[0], *spacing]
    volume = np.stack([normalised(channel, index, plan) for index, channel in enumerate(volume)])
    before = volume.shape[1:]
    probabilities = predicted(resampled(volume, spacing, plan), seen_as, run)
    for axis, size in enumerate(before, start=1):
        probabilities = along(probabilities, axis, size, cubic=False, widened=False)
    decoded = decode(probabilities, labels)
    decoded = decoded.transpose(np.argsort(order)) if order else decoded[0]
    whole = np.zeros(image.shape[1:], int)
    whole[box] = decoded
    return keep_components(whole, how["components"], labels)


def normalised(channel, index, plan):
    scheme, channel = plan["normalisation"][index], channel.astype(np.float64)
    if scheme == "zscore":
        if plan["clip_percentiles"]:
            low, high = np.percentile(sample(channel), (0.5, 99.5))
            channel = np.clip(channel, low, high) if low < high else channel
        mean, sd = channel.mean(), channel.std()
        return (channel - mean) / sd if sd > 1e-6 * abs(mean) else np.zeros_like(channel)
    if scheme == "ct":
        mean, sd, low, high = plan["ct_statistics"][index]
        return (np.clip(channel, low, high) - mean) / sd
    return channel * 2 / 255 - 1 if scheme == "rgb" else channel


def sample(channel):
    step = max(1, math.ceil(channel.size / LARGEST_SAMPLE))
    while any(math.gcd(step, side) > 1 for side in channel.shape):
        step += 1
    return channel.reshape(-1)[::step]


def resampled(volume, spacing, plan):
    wanted = [old if new is None else new for old, new in zip(spacing, plan["spacing_mm"], strict=True)]
    coarse = next(filter(lambda axis: axis is not None, (coarsest(each, plan) for each in (spacing, wanted))), None)
    for axis, (old, new) in enumerate(zip(spacing, wanted, strict=True)):
        size = max(1, round(volume.shape[axis + 1] * old / new))
        volume = along(volume, axis + 1, size, cubic=axis != coarse, widened=True)
    return volume


def coarsest(spacing, plan):
    """The axis more than `anisotropy_threshold` times as coarse as every other, or None."""
    second, most = np.argsort(spacing)[-2:]
    return int(most) if spacing[most] > plan["anisotropy_threshold"] * spacing[second] else None


def along(array, axis, size, cubic, widened):
    """Resamples one axis."""
    old = array.shape[axis]
    if size == old:
        return array
    width = max(1.0, old / size) if widened else 1.0
    result = []
    for index in range(size):
        centre = (index + 0.5) * old / size - 0.5
        reach = (2 if cubic else 1) * width
        taps = np.arange(math.floor(centre - reach), math.ceil(centre + reach) + 1)
        weights = kernel(np.abs(taps - centre) / width, cubic)
        weights /= weights.sum()
        result.append(np.tensordot(weights, array.take(np.clip(taps, 0, old - 1), axis), (0, axis)))
    return np.stack(result, axis)


def kernel(x, cubic):
    if not cubic:
        return np.maximum(0, 1 - x)
    far = np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0)
    return np.where(x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, far)


def predicted(volume, seen_as, run):
    """(channels, slices, height, width) -> probabilities (outputs, slices, height, width)."""
    dim, shape = seen_as["dim"], volume.shape[1:]
    widths = [(0, 0)] * (4 - dim)
    for size, least, factor in zip(shape[-dim:], seen_as["image_size"], seen_as["factor"], strict=True):
        new = math.ceil(max(size, least) / factor) * factor - size
        widths.append((new // 2, new - new // 2))
    padded = np.pad(volume, widths, mode="edge")
    near, slices = seen_as["adjacent_slices"], np.arange(shape[0])
    if near:
        padded = np.concatenate([padded[:, np.clip(slices + k, 0, shape[0] - 1)] for k in range(-near, near + 1)])
    axes = range(3 - len(seen_as["position"]), 3)
    for axis, typical in zip(axes, seen_as["position"], strict=True):
        place = np.arange(padded.shape[axis + 1]) - widths[axis + 1][0]
        line = ((2 * place + 1 - shape[axis]) / typical).reshape([-1 if other == axis else 1 for other in range(3)])
        padded = np.concatenate([padded, np.broadcast_to(line, padded.shape[1:])[None]])
    seen = padded.astype(np.float32)
    found = run(seen.swapaxes(0, 1).copy()).swapaxes(0, 1) if dim == 2 else run(seen[None])[0]
    return found[(slice(None), *(slice(low, low + size) for (low, _), size in zip(widths[1:], shape, strict=True)))]


def decode(probabilities, labels):
    if not labels["region_order"]:
        return np.array([0, *(values[0] for values in labels["values"])])[probabilities.argmax(axis=0)]
    result = np.zeros(probabilities.shape[1:], int)
    for value, region in zip(labels["region_order"], probabilities, strict=True):
        result[region > 0.5] = value
    return result


def keep_components(result, components, labels):
    for name, values in zip(labels["names"], labels["values"], strict=True):
        if name not in components:
            continue
        numbers, count = ndimage.label(np.isin(result, values), np.ones((3,) * result.ndim))
        sizes = np.bincount(numbers.reshape(-1), minlength=count + 1)[1:]
        for number in np.argsort(-sizes, kind="stable")[components[name] :] + 1:
            stray = numbers == number
            result[stray] = np.array([without(value, values, labels) for value in result[stray]])
    return result


def without(value, own, labels):
    """What a voxel becomes that leaves a class or region of the values `own`."""
    written = 0
    for other, painted in zip(labels["values"], labels["region_order"], strict=False):
        if value in other and not set(other) <= set(own):
            written = painted
    return 0 if written in own else written


if __name__ == "__main__":
    main(*sys.argv[1:])
