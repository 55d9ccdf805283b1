/** What a person drops or chooses: a model, the files of an image, or a folder of DICOM. */

import { InputError } from "../errors";
import type { NamedFile } from "./viewer";

const MODEL = /\.mednca$/i;
const NIFTI = /\.nii(\.gz)?$/i;

/** model: null where there is none. image: NIfTI files, one for each channel in order; [] where there is none. */
export interface Chosen {
  readonly model: NamedFile | null;
  readonly image: readonly NamedFile[];
}

/** Throws InputError for files that are neither. */
export async function chosenFrom(files: readonly File[]): Promise<Chosen> {
  const models = files.filter(({ name }) => MODEL.test(name));
  const images = files
    .filter(({ name }) => NIFTI.test(name))
    .sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
  const others = files.filter(({ name }) => !MODEL.test(name) && !NIFTI.test(name));
  const model = models.length ? await read(models[0]) : null;
  if (images.length) return { model, image: await Promise.all(images.map(read)) };
  if (others.length) return { model, image: [await converted(others)] };
  if (!model) throw new InputError("", "an image or a model", "no file");
  return { model, image: [] };
}

/** The files of a drop, those in folders too. */
export async function dropped(items: DataTransferItemList): Promise<File[]> {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  return (await Promise.all(entries.map(filesIn))).flat();
}

async function filesIn(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile)
    return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: File[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject)); // 100 at most
    if (!some.length) return found;
    found.push(...(await Promise.all(some.map(filesIn))).flat());
  }
}

/** A DICOM series as NIfTI, by dcm2niix; of several series the one with most voxels. */
async function converted(files: readonly File[]): Promise<NamedFile> {
  const { Dcm2niix } = await import("@niivue/dcm2niix");
  const converter = new Dcm2niix();
  await converter.init();
  const found = await converter
    .input(files)
    .b("n")
    .z("n")
    .f("%s")
    .run()
    .catch((error: Error) => error); // %s: no tag of a patient
  converter.worker.terminate();
  const images = found instanceof Error ? [] : found.filter(({ name }) => NIFTI.test(name));
  if (found instanceof Error || !images.length) {
    const told = found instanceof Error ? ` (${found.message})` : "";
    const remedy = "Choose a .nii.gz file, or the folder of one DICOM series.";
    throw new InputError(
      files[0].name,
      "NIfTI, .mednca or a DICOM series",
      `files that cannot be read so${told}`,
      remedy,
    );
  }
  const largest = images.reduce((one, other) => (other.size > one.size ? other : one));
  return { name: `series_${largest.name}`, bytes: (await read(largest)).bytes };
}

async function read(file: File): Promise<NamedFile> {
  return { name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) };
}
