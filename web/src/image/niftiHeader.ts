/** The fields of a NIfTI header that say what its voxels are and where they lie, in NIfTI-1 and NIfTI-2. */

import { InputError } from "../errors";

type Kind = "i16" | "i32" | "i64" | "f32" | "f64" | "u8";
/** [offset in NIfTI-1, its type, offset in NIfTI-2, its type, count] */
type Field = readonly [number, Kind, number, Kind, number];

const FIELDS = {
  dim: [40, "i16", 16, "i64", 8],
  datatype: [70, "i16", 12, "i16", 1],
  bitpix: [72, "i16", 14, "i16", 1],
  pixdim: [76, "f32", 104, "f64", 8],
  vox_offset: [108, "f32", 168, "i64", 1],
  scl_slope: [112, "f32", 176, "f64", 1],
  scl_inter: [116, "f32", 184, "f64", 1],
  xyzt_units: [123, "u8", 500, "i32", 1],
  qform_code: [252, "i16", 344, "i32", 1],
  sform_code: [254, "i16", 348, "i32", 1],
  quatern: [256, "f32", 352, "f64", 3],
  qoffset: [268, "f32", 376, "f64", 3],
  srow: [280, "f32", 400, "f64", 12],
} as const satisfies Record<string, Field>;

export type FieldName = keyof typeof FIELDS;
export type Header = Record<FieldName, readonly number[]> & { readonly littleEndian: boolean };

/** What stays as it was read when a mask is written: as runtime/formats/nifti.py has it. */
export const GEOMETRY: readonly FieldName[] = [
  "pixdim",
  "qform_code",
  "sform_code",
  "quatern",
  "qoffset",
  "srow",
  "xyzt_units",
];

const SIZES: Record<Kind, number> = { u8: 1, i16: 2, i32: 4, i64: 8, f32: 4, f64: 8 };
const NIFTI1 = 348;
const NIFTI2 = 540;

/** Throws InputError for something that is no NIfTI file. */
export function readHeader(bytes: ArrayBuffer): Header {
  const view = new DataView(bytes);
  const found = [true, false].flatMap((little) =>
    [NIFTI1, NIFTI2]
      .filter((size) => bytes.byteLength >= size && view.getInt32(0, little) === size)
      .map((size) => ({ little, size })),
  )[0];
  if (!found) throw new InputError("", "a NIfTI file", "something else", "Convert it to .nii.gz.");
  const second = found.size === NIFTI2;
  const entries = Object.entries(FIELDS).map(([name, [at1, kind1, at2, kind2, count]]) => {
    const [at, kind] = second ? [at2, kind2] : [at1, kind1];
    return [
      name,
      Array.from({ length: count }, (_, index) => read(view, at + index * SIZES[kind], kind, found.little)),
    ];
  });
  return { ...(Object.fromEntries(entries) as Record<FieldName, number[]>), littleEndian: found.little };
}

/** The first 352 bytes of a little-endian NIfTI-1 file with these fields; all others are zero. */
export function writeHeader(fields: Partial<Record<FieldName, readonly number[]>>): Uint8Array {
  const view = new DataView(new ArrayBuffer(352));
  view.setInt32(0, NIFTI1, true);
  [0x6e, 0x2b, 0x31, 0].forEach((byte, index) => view.setUint8(344 + index, byte)); // "n+1\0": one file
  for (const [name, values] of Object.entries(fields)) {
    const [at, kind] = FIELDS[name as FieldName];
    values!.forEach((value, index) => write(view, at + index * SIZES[kind], kind, value));
  }
  return new Uint8Array(view.buffer);
}

function read(view: DataView, at: number, kind: Kind, little: boolean): number {
  if (kind === "u8") return view.getUint8(at);
  if (kind === "i16") return view.getInt16(at, little);
  if (kind === "i32") return view.getInt32(at, little);
  if (kind === "i64") return Number(view.getBigInt64(at, little));
  return kind === "f32" ? view.getFloat32(at, little) : view.getFloat64(at, little);
}

function write(view: DataView, at: number, kind: Kind, value: number): void {
  if (kind === "u8") view.setUint8(at, value);
  else if (kind === "i16") view.setInt16(at, value, true);
  else view.setFloat32(at, value, true);
}
