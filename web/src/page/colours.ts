/** One colour for each label value, in every picture: as evaluation/colours.py. */

const FIRST = ["#ff7f0e", "#1f77b4", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf"];
const GOLDEN = 0.61803398875; // steps of the hue that never come back to an earlier one

/** Red, green and blue from 0 to 255 of a label value from 1 on. */
export function colourOf(value: number): [number, number, number] {
  if (value > FIRST.length) return fromHsv((value * GOLDEN) % 1, 0.85, 0.95);
  const text = FIRST[value - 1];
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)) as [number, number, number];
}

function fromHsv(hue: number, saturation: number, value: number): [number, number, number] {
  return [5, 3, 1].map((shift) => {
    const place = (shift + 6 * hue) % 6;
    return Math.round(255 * (value - value * saturation * Math.max(0, Math.min(place, 4 - place, 1))));
  }) as [number, number, number];
}
