import { readFileSync } from "node:fs";
import { strToU8, unzipSync, zipSync, type Zippable } from "fflate";
import { expect, it } from "vitest";
import { readBundle } from "../src/network/bundle";
import { readModel } from "../src/network/model";

const BUNDLE = new Uint8Array(
  readFileSync(new URL("../../mednca_pipeline/inference/shipped_models/phantom.mednca", import.meta.url)),
);

/** The bundle with some members changed; null removes one. */
function changed(members: Record<string, Uint8Array | null>): Uint8Array {
  const all: Zippable = { ...unzipSync(BUNDLE) };
  for (const [name, content] of Object.entries(members)) {
    if (content) all[name] = content;
    else delete all[name];
  }
  return zipSync(all);
}

function manifest(change: (values: any) => void): Uint8Array {
  const values = JSON.parse(new TextDecoder().decode(unzipSync(BUNDLE)["manifest.json"]));
  change(values);
  return strToU8(JSON.stringify(values));
}

it("reads the model that comes with the page", async () => {
  const model = await readModel(BUNDLE);
  expect(model.dataset).toBe("Dataset001_Phantom");
  expect(model.name).toBe("mednca_2d");
  expect(model.labels).toEqual({ names: ["anterior", "posterior"], values: [[1], [2]], regionOrder: [] });
  expect(model.folds.length).toBe(2);
  expect(model.folds[0].outline).not.toBeNull();
  expect(model.components).toEqual({ anterior: 1, posterior: 1 });
  expect(model.standing.validation!.cases).toBe(8);
});

it.each([
  ["cut off", BUNDLE.subarray(0, BUNDLE.length - 100), "a model bundle (.mednca)"],
  ["no zip file", strToU8("a text"), "a model bundle (.mednca)"],
  ["without a manifest", changed({ "manifest.json": null }), "found a zip file of something else"],
  [
    "with another weight",
    changed({ "fold_0/final.safetensors": new Uint8Array(67048) }),
    "expected the content that the manifest says",
  ],
  ["with a member more", changed({ "more.json": strToU8("{}") }), "expected the members that the manifest names"],
  ["with a member less", changed({ "quality.json": null }), "expected the members that the manifest names"],
  ["that leads elsewhere", changed({ "../plans.json": strToU8("{}") }), "expected a file name, or one in a folder"],
  [
    "of a later schema",
    changed({ "manifest.json": manifest((values) => (values.schema = 2)) }),
    "expected schema 1, found 2",
  ],
  [
    "of another format",
    changed({ "manifest.json": manifest((values) => (values.format = "other")) }),
    'expected the format "mednca bundle"',
  ],
  [
    "that is a bomb",
    changed({ "bomb.json": new Uint8Array(2 ** 25) }),
    "members that are not much larger than the file",
  ],
])("refuses a bundle %s", async (_, bytes, message) => {
  await expect(readBundle(bytes)).rejects.toThrow(message);
});
