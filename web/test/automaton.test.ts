import { describe, expect, it } from "vitest";
import { type Moment, moments, probabilities, pyramid } from "../src/network/automaton";
import { firing } from "../src/network/fireMasks";
import { Deviation, judge } from "../src/network/quality";
import { rules } from "../src/network/rule";
import { array, cases, expectClose } from "./fixtures";
import { kernels } from "./kernels";

async function last(all: AsyncGenerator<Moment>, visit: (moment: Moment) => void = () => {}): Promise<Moment> {
  let found: Moment | null = null;
  for await (const moment of all) visit((found = moment));
  return found!;
}

describe.each(cases.automata as any[])("$name", (found) => {
  const weights = new Map(
    Object.entries(found.weights as Record<string, string>).map(([name, at]) => [name, array(at)]),
  );
  const automaton = { form: found.form, rules: rules(weights, found.form), outline: found.outline };

  const seen = pyramid(found.form, array(found.image));
  const run = { seed: 0, number: 0, fireRate: found.form.fireRate };

  it("computes the cells and the probabilities of light_nca.py", async () => {
    const computed: number[] = [];
    const moment = await last(
      moments(automaton, await kernels, seen),
      ({ level, cells, grid }) => (computed[level] = cells.length / grid.inner.length),
    );
    expectClose(Float64Array.from(computed), Float64Array.from(found.computed), 1e-9);
    const maps = probabilities(moment, found.form);
    expect(maps.shape).toEqual(array(found.probabilities).shape);
    expectClose(maps.data, array(found.probabilities).data, 2e-5);
  });

  it("has the quality score of the runtime", async () => {
    const deviation = new Deviation();
    await last(moments(automaton, await kernels, seen, { run, runLevels: found.levels }), (moment) => {
      if (moment.level === found.levels - 1 && moment.step === found.form.levels[moment.level].steps)
        deviation.add(moment, found.form);
      expect(moment.drawn === null).toBe(moment.level >= found.levels);
    });
    expect(found.score).toBeGreaterThan(0.005);
    expect(deviation.score / found.score).toBeCloseTo(1, 3);
  });
});

it("fires bit-identical cells", () => {
  const [{ fires, cells }] = cases.fire_masks;
  const at = Int32Array.from(array(cells).data);
  for (let step = 0; step < 3; step++) {
    const expected = array(fires).data.subarray(step * at.length, (step + 1) * at.length);
    const found = firing({ seed: 0, number: 0, fireRate: 0.75 }, 1, step, at, 1000);
    expect([...found]).toEqual([...expected.keys()].filter((place) => expected[place]));
  }
});

it("refuses weights of another architecture", () => {
  expect(() => rules(new Map(), cases.automata[0].form)).toThrow("no such weight");
});

it("judges as mednca_predict does", () => {
  const standing = { validation: { dice: 0.9, cases: 4 }, threshold: { value: 0.1, rule: "" } };
  expect(judge(standing, 0.1, false).flag).toBe("ok");
  expect(judge(standing, 0.11, false)).toEqual({ flag: "review", reason: "score above 0.1000" });
  expect(judge(standing, NaN, false).flag).toBe("review");
  expect(judge(standing, 0.1, true).flag).toBe("empty");
  expect(judge({ ...standing, validation: { dice: 0.6, cases: 4 } }, 0.1, false).flag).toBe("unproven");
  expect(judge({ validation: null, threshold: null }, 0.1, false).flag).toBe("uncalibrated");
  expect(judge(standing, null, false).flag).toBe("not available");
});
