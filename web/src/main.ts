/** The page: what is chosen goes to the worker, and what comes back is shown. */

import * as comlink from "comlink";
import { CellsView } from "./page/cells";
import { element, made } from "./page/elements";
import { chosenFrom, dropped } from "./page/files";
import { reviewList } from "./page/review";
import { showFound, showVerdict } from "./page/results";
import { fetched, openSession, type Session } from "./page/session";
import { type NamedFile, Viewer } from "./page/viewer";
import { classNames } from "./preprocessing/labels";
import type { ModelFacts, SegmenterType } from "./worker";

const segmenter = comlink.wrap<SegmenterType>(new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }));
const viewer = new Viewer();
const cells = new CellsView((slice) => segmenter.film(slice));
let model: ModelFacts | null = null;
let image: readonly NamedFile[] = [];
let mask: Uint8Array | null = null;

let before: Promise<void> = Promise.resolve();

/** Runs an action of the user after those before it; what goes wrong is shown. */
function doing(action: () => Promise<void>): Promise<void> {
  before = before.then(async () => {
    element("error").hidden = true;
    document.body.setAttribute("aria-busy", "true");
    try {
      await action();
    } catch (error) {
      element("error").textContent = (error as Error).message;
      element("error").hidden = false;
      element("status").textContent = "";
    }
    document.body.removeAttribute("aria-busy");
    element("progress").hidden = true;
    element<HTMLButtonElement>("segment").disabled = !model || !image.length;
  });
  return before;
}

async function openModel(file: NamedFile): Promise<void> {
  model = await segmenter.openModel(file);
  const { dataset, name, folds, standing } = model;
  const dice = standing.validation ? `, validation Dice ${standing.validation.dice.toFixed(3)}` : "";
  element("model").textContent = `${dataset} ${name}, ${folds} fold${folds > 1 ? "s" : ""}${dice}`;
  element("everywhere").hidden = !(await segmenter.hasGraphics());
  if (element("everywhere").hidden) element<HTMLInputElement>("graphics").checked = false;
  clearResult();
}

async function openImage(files: readonly NamedFile[]): Promise<void> {
  await segmenter.openImage(files);
  image = files;
  element("image").textContent = files.map(({ name }) => name).join(", ");
  clearResult();
  await viewer.show(files[0]);
}

function clearResult(): void {
  mask = null;
  element("result").hidden = true;
  element("status").textContent = "";
  cells.hide();
}

async function segment(): Promise<void> {
  const bar = element<HTMLProgressElement>("progress");
  bar.value = 0;
  bar.hidden = false;
  element("status").textContent = "Segmenting";
  const result = await segmenter.segment(
    element<HTMLInputElement>("graphics").checked,
    comlink.proxy((share: number) => (bar.value = share)),
  );
  mask = result.mask;
  element("status").textContent = `Segmented in ${result.seconds.toFixed(2)} s on this machine`;
  showVerdict(result.verdict, result.score === null || Number.isNaN(result.score) ? "" : result.score.toFixed(4));
  const removed = result.removed.length ? [`Stray islands of ${result.removed.join(" and ")} were removed.`] : [];
  const warnings = result.warnings.map((text) => `${text[0].toUpperCase()}${text.slice(1)}.`);
  showFound(result.found, result.areas ? "cm²" : "ml", [...warnings, ...removed]);
  await viewer.overlay({ name: maskName(), bytes: mask }, classNames(model!.labels), filling());
  await cells.show(model!.labels, result.slices, result.slice);
}

async function open(files: readonly File[]): Promise<void> {
  const chosen = await chosenFrom(files);
  if (chosen.model) await openModel(chosen.model);
  if (chosen.image.length) await openImage(chosen.image);
  if (model && image.length) await segment();
}

function maskName(): string {
  return image[0].name.replace(/(_\d{4})?\.nii(\.gz)?$/i, "") + ".nii.gz";
}

function save(): void {
  const link = made("a");
  link.href = URL.createObjectURL(new Blob([mask as BlobPart], { type: "application/gzip" }));
  link.download = maskName();
  link.click();
  URL.revokeObjectURL(link.href);
}

function filling(): number {
  return Number(element<HTMLInputElement>("filling").value);
}

function listen(session: Session): void {
  const on = (id: string, event: string, action: () => Promise<void>) =>
    element(id).addEventListener(event, () => void doing(action));
  const example = session.example;
  element("try").hidden = !example;
  if (example)
    on("try", "click", async () => {
      await openModel(await fetched(example.model));
      await openImage([await fetched(example.image)]);
      await segment();
    });
  on("segment", "click", segment);
  for (const [button, input] of [
    ["choose", "files"],
    ["folder", "dicom"],
  ]) {
    const field = element<HTMLInputElement>(input);
    element(button).addEventListener("click", () => field.click());
    on(input, "change", async () => {
      const files = [...field.files!];
      field.value = "";
      await open(files);
    });
  }
  element("save").addEventListener("click", save);
  element("filling").addEventListener("input", () => viewer.setFilling(filling()));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("dragenter", () => document.body.classList.add("dragging"));
  document.addEventListener("dragleave", ({ relatedTarget }) =>
    document.body.classList.toggle("dragging", relatedTarget !== null),
  );
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    const items = event.dataTransfer!.items;
    void doing(async () => open(await dropped(items)));
  });
  const select = element("models").querySelector("select")!;
  if (session.served && session.models.length) {
    select.append(made("option", "choose"), ...session.models.map(({ name }) => made("option", name)));
    element("models").hidden = false;
    select.addEventListener("change", () => {
      const known = session.models.find(({ name }) => name === select.value);
      if (known) void doing(async () => openModel(await fetched(known.url)));
    });
  }
}

await doing(async () => {
  const session = await openSession();
  listen(session);
  await viewer.attach(element<HTMLCanvasElement>("planes"));
  reviewList(session, viewer, filling, doing);
  if (!session.served && "serviceWorker" in navigator && import.meta.env.PROD)
    await navigator.serviceWorker.register("sw.js");
});
document.body.dataset.ready = "true";
