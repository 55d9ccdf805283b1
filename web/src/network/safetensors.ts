/** The arrays of a safetensors file: https://huggingface.co/docs/safetensors. float16 comes out as float32. */

import { InputError } from "../errors";
import { product, type Tensor } from "../image/array";

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

const BYTES: Record<string, number> = { F32: 4, F16: 2, I32: 4 };

/** Throws InputError for a damaged file, another type than float32, float16 and int32, and values that are not finite. */
export function readSafetensors(bytes: Uint8Array): Map<string, Tensor> {
  const size = bytes.length < 8 ? NaN : Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (!(8 + size <= bytes.length)) throw damaged(`a header of ${size} bytes in ${bytes.length}`);
  let header: Record<string, Entry>;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + size)));
  } catch {
    throw damaged("a header that is no JSON");
  }
  const arrays = new Map<string, Tensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name !== "__metadata__") arrays.set(name, readArray(name, entry, bytes.subarray(8 + size)));
  }
  return arrays;
}

function readArray(name: string, { dtype, shape, data_offsets: [start, stop] }: Entry, content: Uint8Array): Tensor {
  const count = product(shape);
  if (!(dtype in BYTES)) throw new InputError(name, `one of ${Object.keys(BYTES).join(", ")}`, dtype);
  if (!(start >= 0 && stop <= content.length && stop - start === count * BYTES[dtype]))
    throw damaged(`${name} from ${start} to ${stop}`);
  const view = new DataView(content.buffer, content.byteOffset + start);
  const read = {
    F32: (at: number) => view.getFloat32(4 * at, true),
    F16: (at: number) => half(view.getUint16(2 * at, true)),
    I32: (at: number) => view.getInt32(4 * at, true),
  }[dtype]!;
  const data = Float32Array.from({ length: count }, (_, at) => read(at));
  if (!data.every(Number.isFinite)) throw new InputError(name, "finite numbers", "others", "Export the model again.");
  return { data, shape };
}

/** IEEE 754 binary16. */
function half(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

function damaged(found: string): InputError {
  return new InputError("", "a safetensors file", found, "Copy or export it again.");
}
