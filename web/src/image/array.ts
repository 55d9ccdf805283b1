/** Arrays in row-major order, and views of them by strides, as NumPy has them. */

export type Numbers =
  Float32Array | Float64Array | Uint8Array | Uint16Array | Int8Array | Int16Array | Int32Array | Uint32Array;

/** data: row-major, shape.reduce(product) values. */
export interface Tensor<T extends Numbers = Float32Array> {
  readonly data: T;
  readonly shape: readonly number[];
}

/** Where a view's values lie in an array. */
export interface View {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}

export function product(values: readonly number[]): number {
  return values.reduce((total, value) => total * value, 1);
}

/** Row-major strides. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1] * shape[axis + 1];
  return strides;
}

/** Calls `visit(position in row-major order, index in the array)` for each value of a view. */
export function each(view: View, visit: (position: number, index: number) => void): void {
  const axes = view.shape.length;
  if (product(view.shape) === 0) return;
  const last = axes - 1;
  const [size, stride] = axes ? [view.shape[last], view.strides[last]] : [1, 0];
  const place = new Array<number>(Math.max(0, last)).fill(0);
  for (let position = 0, start = view.offset; ;) {
    for (let step = 0; step < size; step++) visit(position++, start + step * stride);
    let axis = last - 1;
    for (; axis >= 0; axis--) {
      start += view.strides[axis];
      if (++place[axis] < view.shape[axis]) break;
      start -= view.shape[axis] * view.strides[axis];
      place[axis] = 0;
    }
    if (axis < 0) return;
  }
}

/** The values of a view, in row-major order. */
export function gathered<T extends Numbers>(source: T, view: View): T {
  const result = new (source.constructor as new (size: number) => T)(product(view.shape));
  each(view, (position, index) => (result[position] = source[index]));
  return result;
}

/** Writes row-major values to where a view lies. */
export function scatter<T extends Numbers>(values: T, target: T, view: View): void {
  each(view, (position, index) => (target[index] = values[position]));
}

/** The last order.length axes in another order. */
export function transposed<T extends Numbers>(array: Tensor<T>, order: readonly number[]): Tensor<T> {
  const leading = array.shape.length - order.length;
  const all = [...Array(leading).keys(), ...order.map((axis) => leading + axis)];
  const strides = stridesOf(array.shape);
  const shape = all.map((axis) => array.shape[axis]);
  return { data: gathered(array.data, { shape, strides: all.map((axis) => strides[axis]), offset: 0 }), shape };
}
