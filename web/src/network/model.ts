/** A trained model from the members of its bundle: what prediction needs of plans.json, quality.json and the weights. */

import { InputError } from "../errors";
import type { PreprocessingPlan } from "../preprocessing/frame";
import type { Labels } from "../preprocessing/labels";
import { channelsSeen, type InputFormat } from "../preprocessing/networkInput";
import type { Automaton } from "./automaton";
import { json, readBundle } from "./bundle";
import type { Standing } from "./quality";
import type { TrainingRange } from "./ranges";
import { type Architecture, rules, type Weights } from "./rule";
import { readSafetensors } from "./safetensors";

const FOLD = /^fold_(\d+|all)\/final\.safetensors$/;

export interface Model {
  readonly dataset: string;
  /** Such as mednca_2d. */
  readonly name: string;
  readonly channelNames: readonly string[];
  readonly spacingKnown: boolean;
  /** Of the images it was trained on: 2 or 3 axes. */
  readonly axes: number;
  readonly labels: Labels;
  readonly preprocessing: PreprocessingPlan;
  readonly format: InputFormat;
  readonly form: Architecture;
  readonly folds: readonly Automaton[];
  /** Of each fold, and the graph that they are inputs of, for the graphics card; null where the bundle has none. */
  readonly weights: readonly Weights[];
  readonly graph: Uint8Array | null;
  /** Class -> how many of its largest components are kept; absent: all. */
  readonly components: Readonly<Record<string, number>>;
  readonly standing: Standing;
  /** After how many levels random runs are compared with the expected update. */
  readonly comparedLevels: number;
  readonly trainingRange: TrainingRange;
  /** README.md of the bundle. */
  readonly card: string;
}

/** bytes: of a .mednca file. Throws InputError for anything else, and for a model that is no Med-NCA. */
export async function readModel(bytes: Uint8Array): Promise<Model> {
  const members = await readBundle(bytes);
  const record = json(members, "model.json");
  const plans = json(members, "plans.json");
  const config = plans.configs?.[record.config];
  const plan = config?.models?.[record.model];
  if (!plan)
    throw new InputError(
      "plans.json",
      `a plan of ${record.model} in ${record.config}`,
      "none",
      "Export the model again.",
    );
  if (!plan.levels)
    throw new InputError("model.json", "a Med-NCA", record.model, "Only cellular automata run in this page.");
  const labels: Labels = {
    names: plans.labels.names,
    values: plans.labels.values,
    regionOrder: plans.labels.region_order ?? [],
  };
  const format = inputFormat(config, plan);
  const form = architecture(plan, channelsSeen(plans.channel_names.length, format), labels);
  const names = [...members.keys()]
    .filter((name) => FOLD.test(name))
    .sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
  if (!names.length) throw new InputError("", "the weights of at least one fold", "none", "Export the model again.");
  const weights = names.map((name) => readSafetensors(members.get(name)!));
  const outline = plan.outline ?? null;
  const quality = json(members, "quality.json");
  const seen = plans.training_range;
  return {
    dataset: plans.dataset,
    name: `${record.model}_${record.config}`,
    channelNames: plans.channel_names,
    spacingKnown: plans.spacing_known,
    axes: seen.extent_mm.length,
    labels,
    preprocessing: preprocessingPlan(config.preprocessing),
    format,
    form,
    folds: weights.map((arrays) => ({ form, rules: rules(arrays, form), outline })),
    weights,
    graph: members.get("network.onnx") ?? null,
    components: json(members, "postprocessing.json").components,
    standing: { validation: quality.validation ?? null, threshold: quality.threshold ?? null },
    comparedLevels: outline ? Math.max(1, form.levels.length - 1) : form.levels.length,
    trainingRange: { spacingMm: seen.spacing_mm, extentMm: seen.extent_mm, intensity: seen.intensity },
    card: members.has("README.md") ? new TextDecoder().decode(members.get("README.md")) : "",
  };
}

function inputFormat(config: any, plan: any): InputFormat {
  return {
    dim: config.dim,
    imageSize: config.image_size,
    factor: plan.levels[0].factor,
    adjacentSlices: plan.adjacent_slices ?? 0,
    position: plan.position ?? [],
  };
}

function architecture(plan: any, nImage: number, labels: Labels): Architecture {
  const sigmoid = labels.regionOrder.length > 0;
  return {
    levels: plan.levels,
    channels: plan.channels,
    nImage,
    nOutputs: labels.names.length + (sigmoid ? 0 : 1),
    fireRate: plan.fire_rate,
    border: plan.border,
    norm: plan.norm,
    sigmoid,
  };
}

function preprocessingPlan(plan: any): PreprocessingPlan {
  return {
    axisOrder: plan.axis_order,
    spacingMm: plan.spacing_mm,
    anisotropyThreshold: plan.anisotropy_threshold ?? 3,
    normalise: {
      schemes: plan.normalisation,
      ctStatistics: plan.ct_statistics ?? [],
      clipPercentiles: plan.clip_percentiles ?? true,
    },
  };
}
