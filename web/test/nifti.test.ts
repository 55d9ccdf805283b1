import { describe, expect, it } from "vitest";
import { gunzip } from "../src/image/gzip";
import { readNifti, stacked, writeMask } from "../src/image/nifti";
import { array, cases, expectClose, file } from "./fixtures";

describe.each(cases.nifti as { file: string; array: string; spacing: number[]; labels: string; mask: string }[])(
  "$file",
  (found) => {
    it("is read into LPS as by Python", async () => {
      const image = await readNifti(file(found.file));
      const expected = array(found.array);
      expect(image.array.shape).toEqual(expected.shape);
      expectClose(image.array.data, expected.data, 1e-4);
      expectClose(Float64Array.from(image.geometry.spacingMm), Float64Array.from(found.spacing), 1e-6);
    });

    it("gets a mask with the header and the voxels that Python writes", async () => {
      const image = await readNifti(file(found.file));
      const mask = await gunzip(await writeMask(Uint8Array.from(array(found.labels).data), image));
      const expected = Uint8Array.from(array(found.mask).data);
      expect([...mask.subarray(352)]).toEqual([...expected.subarray(352)]);
      expect([...mask.subarray(40, 56), ...mask.subarray(70, 108), ...mask.subarray(252, 328)]).toEqual([
        ...expected.subarray(40, 56),
        ...expected.subarray(70, 108),
        ...expected.subarray(252, 328),
      ]);
    });
  },
);

it("says what is no image", async () => {
  await expect(readNifti(new TextEncoder().encode("not an image"))).rejects.toThrow("expected a NIfTI file");
  await expect(readNifti(file("ras.nii.gz").subarray(0, 300))).rejects.toThrow("damaged or truncated");
  const plain = await gunzip(file("ras.nii.gz"));
  await expect(readNifti(plain.subarray(0, 700))).rejects.toThrow("bytes of voxels, as the header declares");
});

it("stacks channels of one shape only", async () => {
  const [one, other] = [await readNifti(file("ras.nii.gz")), await readNifti(file("turned.nii.gz"))];
  expect(stacked([one, one]).array.shape).toEqual([2, ...one.array.shape.slice(1)]);
  expect(() => stacked([one, other])).toThrow("channels of one shape");
});
