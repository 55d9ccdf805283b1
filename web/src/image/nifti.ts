/** Images from NIfTI files, and masks back into the frame of the image: as runtime/formats/nifti.py, by nibabel. */

import { InputError } from "../errors";
import { type Numbers, product, type Tensor } from "./array";
import { fromFileAxes, type Geometry, geometryFromAffine, type Matrix, shapeOf, toFileAxes } from "./geometry";
import { gunzip, gzip, isGzip } from "./gzip";
import { type FieldName, GEOMETRY, type Header, readHeader, writeHeader } from "./niftiHeader";

/** array: (C, z, y, x) or (C, y, x) in LPS. */
export interface Image {
  readonly array: Tensor;
  readonly geometry: Geometry;
  /** The header fields that a mask is written with. */
  readonly kept: Partial<Record<FieldName, readonly number[]>>;
}

const UNIT_MM: Record<number, number> = { 1: 1000, 3: 0.001 }; // metre, micrometre; the others are taken as mm
const DAMAGED = "Copy or export it again.";

/** bytes: of a .nii or .nii.gz file. Throws InputError for what is no readable image of 2 or 3 axes (and channels). */
export async function readNifti(bytes: Uint8Array): Promise<Image> {
  const plain = isGzip(bytes) ? await gunzip(bytes) : bytes;
  const buffer = plain.slice().buffer; // aligned, and a view may be part of a larger one
  const header = readHeader(buffer);
  const shape = header.dim.slice(1, 1 + header.dim[0]);
  if (shape.length < 2 || shape.length > 7 || shape.some((size) => size < 1))
    throw new InputError("", "an image of 2 or 3 axes, or with channels on a fourth", `shape (${shape.join(", ")})`);
  const geometry = place(header, shape.slice(0, 3));
  const size = product(shape.slice(0, 3));
  const channels = voxels(buffer, header, product(shape)).flatMap((values) =>
    Array.from({ length: values.length / size }, (_, index) => values.subarray(index * size, (index + 1) * size)),
  );
  const data = new Float32Array(channels.length * size);
  channels.forEach((channel, index) => data.set(fromFileAxes(channel, geometry), index * size));
  const kept = Object.fromEntries(GEOMETRY.map((name) => [name, header[name]]));
  return { array: { data, shape: [channels.length, ...shapeOf(geometry)] }, geometry, kept };
}

/** A mask (z, y, x) or (y, x) as a .nii.gz file in the frame of its image. */
export function writeMask(labels: Uint8Array | Uint16Array, image: Image): Promise<Uint8Array> {
  const { geometry, kept } = image;
  const sizes = geometry.fileShape;
  const header = writeHeader({
    ...kept,
    dim: [sizes.length, ...sizes, ...Array<number>(7 - sizes.length).fill(1)],
    datatype: [labels instanceof Uint8Array ? 2 : 512],
    bitpix: [8 * labels.BYTES_PER_ELEMENT],
    vox_offset: [352],
    scl_slope: [NaN], // as nibabel writes: not scaled
    scl_inter: [NaN],
  });
  const stored = toFileAxes(labels as Numbers, geometry);
  const file = new Uint8Array(header.length + stored.byteLength);
  file.set(header);
  file.set(new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength), header.length);
  return gzip(file);
}

/** The image of several files, one per channel in order. Throws InputError where they do not lie on each other. */
export function stacked(images: readonly Image[]): Image {
  const [first, ...others] = images as [Image, ...Image[]];
  if (!others.length) return first;
  const shape = first.array.shape.slice(1).join(" x ");
  for (const other of others) {
    const found = other.array.shape.slice(1).join(" x ");
    if (found !== shape)
      throw new InputError("", `channels of one shape (${shape})`, found, "Give the files of one case.");
  }
  const data = new Float32Array(images.reduce((total, image) => total + image.array.data.length, 0));
  let at = 0;
  for (const { array } of images) {
    data.set(array.data, at);
    at += array.data.length;
  }
  const channels = images.reduce((total, image) => total + image.array.shape[0], 0);
  return { ...first, array: { data, shape: [channels, ...first.array.shape.slice(1)] } };
}

/** The geometry by the sform, else by the qform, else by the spacing alone. */
function place(header: Header, shape: readonly number[]): Geometry {
  const forms = [];
  if (header.sform_code[0] > 0) forms.push(sform(header));
  if (header.qform_code[0] > 0) forms.push(qform(header));
  forms.push(spacingAlone(header));
  let refused: unknown;
  for (const form of forms) {
    try {
      const unit = UNIT_MM[header.xyzt_units[0] & 7] ?? 1;
      const lps = form.map((row, axis) => row.map((value) => value * unit * (axis < 2 ? -1 : 1)));
      return geometryFromAffine(shape, lps);
    } catch (error) {
      refused ??= error;
    }
  }
  throw refused;
}

function sform(header: Header): Matrix {
  return [0, 4, 8].map((start) => header.srow.slice(start, start + 4));
}

/** From the quaternion, as nifti1.h defines it. */
function qform(header: Header): Matrix {
  const [b, c, d] = header.quatern as [number, number, number];
  const rest = 1 - (b * b + c * c + d * d);
  const a = Math.sqrt(Math.max(0, rest));
  const rotation = [
    [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
    [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
    [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
  ];
  const handed = header.pixdim[0] < 0 ? -1 : 1;
  return rotation.map((row, axis) => [
    row[0] * header.pixdim[1],
    row[1] * header.pixdim[2],
    row[2] * header.pixdim[3] * handed,
    header.qoffset[axis],
  ]);
}

/** No orientation: x runs to the left, as in Analyze. */
function spacingAlone(header: Header): Matrix {
  const [x, y, z] = header.pixdim.slice(1, 4) as [number, number, number];
  return [
    [-x, 0, 0, 0],
    [0, y, 0, 0],
    [0, 0, z, 0],
  ];
}

const TYPES: Record<number, { bytes: number; read: (view: DataView, at: number, little: boolean) => number }> = {
  2: { bytes: 1, read: (view, at) => view.getUint8(at) },
  4: { bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
  8: { bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  16: { bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  64: { bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
  256: { bytes: 1, read: (view, at) => view.getInt8(at) },
  512: { bytes: 2, read: (view, at, little) => view.getUint16(at, little) },
  768: { bytes: 4, read: (view, at, little) => view.getUint32(at, little) },
  1024: { bytes: 8, read: (view, at, little) => Number(view.getBigInt64(at, little)) },
  1280: { bytes: 8, read: (view, at, little) => Number(view.getBigUint64(at, little)) },
};
const COLOURS: Record<number, number> = { 128: 3, 2304: 4 }; // bytes of a voxel: RGB24 and RGBA32

/** The scaled values, in the file's order: one array, or one for each of the three colours. */
function voxels(buffer: ArrayBuffer, header: Header, count: number): Float32Array[] {
  const [code, offset] = [header.datatype[0], header.vox_offset[0]];
  const [colours, type] = [COLOURS[code], TYPES[code]];
  if (!colours && !type)
    throw new InputError("", "real numbers", `NIfTI data type ${code}`, "Export magnitude images.");
  const bytes = count * (colours ?? type!.bytes);
  if (!(offset >= 348) || offset + bytes > buffer.byteLength) {
    const found = `${Math.max(0, buffer.byteLength - offset)}`;
    throw new InputError("", `${bytes} bytes of voxels, as the header declares`, found, DAMAGED);
  }
  if (colours) {
    const stored = new Uint8Array(buffer, offset, bytes);
    return [0, 1, 2].map((colour) => Float32Array.from({ length: count }, (_, at) => stored[at * colours + colour]));
  }
  const { slope, intercept } = scaling(header);
  const view = new DataView(buffer, offset);
  const values = new Float32Array(count);
  const size = type!.bytes;
  for (let at = 0; at < count; at++) values[at] = type!.read(view, at * size, header.littleEndian) * slope + intercept;
  return [values];
}

function scaling(header: Header): { slope: number; intercept: number } {
  const [slope, intercept] = [header.scl_slope[0], header.scl_inter[0]];
  if (!Number.isFinite(slope) || slope === 0) return { slope: 1, intercept: 0 };
  return { slope, intercept: Number.isFinite(intercept) ? intercept : 0 };
}
