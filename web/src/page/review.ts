/** A folder of predictions as a list, flagged cases first: image, prediction, and reference if there is one. */

import { product } from "../image/array";
import { type Image, readNifti, writeMask } from "../image/nifti";
import type { Found } from "../segment";
import { element, made } from "./elements";
import { showFound, showVerdict } from "./results";
import { fetched, type ReviewCase, type Session } from "./session";
import type { NamedFile, Viewer } from "./viewer";

type Doing = (action: () => Promise<void>) => Promise<void>;

/** filling: the opacity that the user chose. */
export function reviewList(session: Session, viewer: Viewer, filling: () => number, doing: Doing): void {
  if (!session.cases.length) return;
  const names = new Map(Object.entries(session.classes).map(([value, name]) => [Number(value), name]));
  const shown = element("shown").querySelector("select")!;
  let open: ReviewCase = session.cases[0];
  const buttons = session.cases.map((found) => {
    const button = made("button", found.name);
    button.type = "button";
    const badge = made("span", found.flag || "no flag", "flag");
    badge.dataset.flag = found.flag;
    button.append(badge);
    button.addEventListener("click", () => {
      buttons.forEach((other) => other.setAttribute("aria-current", `${other === button}`));
      [open, shown.value] = [found, "prediction"];
      element("shown").hidden = !found.reference;
      void doing(() => showCase(found, names, viewer, filling()));
    });
    return button;
  });
  shown.addEventListener("change", () => void doing(() => showMask(open, shown.value, names, viewer, filling())));
  const items = buttons.map((button) => {
    const item = made("li");
    item.append(button);
    return item;
  });
  element("cases").replaceChildren(...items);
  element("review").hidden = false;
  element("save").hidden = true;
  buttons[0].click();
}

async function showCase(
  found: ReviewCase,
  names: ReadonlyMap<number, string>,
  viewer: Viewer,
  filling: number,
): Promise<void> {
  const prediction = await fetched(found.prediction);
  await viewer.show(found.image ? await fetched(found.image) : prediction);
  await viewer.overlay(prediction, names, filling);
  showVerdict(found, found.quality);
  const image = await readNifti(prediction.bytes);
  showFound(
    counted(image, names),
    image.geometry.axes.length === 2 ? "cm²" : "ml",
    found.image ? [] : ["Its image was not given (-i)."],
  );
}

async function showMask(
  { prediction, reference }: ReviewCase,
  which: string,
  names: ReadonlyMap<number, string>,
  viewer: Viewer,
  filling: number,
): Promise<void> {
  if (which !== "difference")
    return viewer.overlay(await fetched(which === "reference" ? reference! : prediction), names, filling);
  await viewer.overlay(
    await differing(await fetched(prediction), await fetched(reference!)),
    new Map([[1, "differs"]]),
    filling,
  );
}

/** A mask of the voxels in which two masks differ. */
async function differing(one: NamedFile, other: NamedFile): Promise<NamedFile> {
  const [first, second] = [await readNifti(one.bytes), await readNifti(other.bytes)];
  const differs = Uint8Array.from(first.array.data, (value, at) => (value === second.array.data[at] ? 0 : 1));
  return { name: one.name, bytes: await writeMask(differs, first) };
}

function counted({ array, geometry }: Image, names: ReadonlyMap<number, string>): Found[] {
  const voxel = product(geometry.spacingMm) / (geometry.axes.length === 2 ? 100 : 1000);
  const voxels = new Map<number, number>();
  for (const value of array.data) voxels.set(value, (voxels.get(value) ?? 0) + 1);
  return [...names].map(([value, name]) => {
    const number = voxels.get(value) ?? 0;
    return { value, name, voxels: number, volume: number * voxel };
  });
}
