/** Reads a model bundle (.mednca): docs/reference/bundle.md. Nothing in it is believed before it is checked. */

import { type Unzipped, unzipSync } from "fflate";
import { InputError } from "../errors";

const MOST_BYTES = 2 ** 30;
const MOST_MEMBERS = 64;
const MOST_GROWTH = 20; // members together, as a multiple of the file's size: weights hardly shrink in a zip
const MOST_TEXT_BYTES = 2 ** 20;
const SCHEMA = 1;
const NAME = /^(?:[A-Za-z0-9_]+\/)?[A-Za-z0-9_]+(?:\.[a-z]+)+$/;
const REMEDY = "Copy or download it again.";

interface Manifest {
  readonly format: string;
  readonly schema: number;
  readonly members: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

/** The members of a bundle by name, each as the manifest says. Throws InputError for any other file. */
export async function readBundle(bytes: Uint8Array): Promise<Map<string, Uint8Array>> {
  const members = unzipped(bytes);
  if (!("manifest.json" in members))
    throw new InputError("", "a model bundle (.mednca)", "a zip file of something else");
  const manifest = parsed(members["manifest.json"], "manifest.json") as Manifest;
  if (manifest.format !== "mednca bundle")
    throw new InputError("manifest.json", 'the format "mednca bundle"', `${manifest.format}`);
  if (manifest.schema !== SCHEMA)
    throw new InputError(
      "manifest.json",
      `schema ${SCHEMA}`,
      `${manifest.schema}`,
      "Use a later version of this page.",
    );
  const named = new Set(["manifest.json", ...Object.keys(manifest.members)]);
  for (const name of new Set([...named, ...Object.keys(members)]))
    if (!named.has(name) || !(name in members))
      throw new InputError(name, "the members that the manifest names", "others", REMEDY);
  for (const [name, { bytes: size, sha256 }] of Object.entries(manifest.members))
    if (members[name].length !== size || (await hash(members[name])) !== sha256)
      throw new InputError(name, "the content that the manifest says", "another sum", REMEDY);
  return new Map(Object.entries(members));
}

/** The values of a JSON member. */
export function json(members: ReadonlyMap<string, Uint8Array>, name: string): any {
  const content = members.get(name);
  if (!content) throw new InputError(name, "a member", "none", "Export the model again.");
  return parsed(content, name);
}

function unzipped(bytes: Uint8Array): Unzipped {
  if (bytes.length > MOST_BYTES) throw new InputError("", `at most ${MOST_BYTES} bytes`, `${bytes.length}`);
  let [count, total] = [0, 0];
  const seen = new Set<string>();
  const allowed = ({ name, originalSize }: { name: string; originalSize: number }) => {
    if (!NAME.test(name)) throw new InputError(name, "a file name, or one in a folder", "another name", REMEDY);
    if (seen.has(name.toLowerCase())) throw new InputError(name, "each member once", "it twice", REMEDY);
    seen.add(name.toLowerCase());
    count += 1;
    total += originalSize;
    if (count > MOST_MEMBERS) throw new InputError("", `at most ${MOST_MEMBERS} members`, "more", REMEDY);
    if (total > Math.min(MOST_BYTES, MOST_GROWTH * bytes.length + MOST_TEXT_BYTES))
      throw new InputError("", "members that are not much larger than the file", `${total} bytes`, REMEDY);
    return true;
  };
  try {
    return unzipSync(bytes, { filter: allowed });
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(
      "",
      "a model bundle (.mednca)",
      `a damaged file, or one of something else (${(error as Error).message})`,
      REMEDY,
    );
  }
}

function parsed(content: Uint8Array, name: string): any {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content));
  } catch (error) {
    throw new InputError(name, "JSON", `something else (${(error as Error).message})`, REMEDY);
  }
}

async function hash(content: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content as BufferSource));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
