import { expect, it } from "vitest";
import { colourOf } from "../src/page/colours";
import { cases } from "./fixtures";

it("has the colours of every picture and figure", () => {
  for (const [value, colour] of Object.entries(cases.colours[0].colours))
    expect(colourOf(Number(value))).toEqual(colour);
});
