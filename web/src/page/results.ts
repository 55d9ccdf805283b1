/** What was found: the flag, and a row for each class. */

import type { Verdict } from "../network/quality";
import type { Found } from "../segment";
import { colourOf } from "./colours";
import { element, made, swatch } from "./elements";

/** score: "" where there is none. */
export function showVerdict({ flag, reason }: { flag: string; reason: string } | Verdict, score: string): void {
  const badge = element("flag");
  badge.textContent = flag || "no flag";
  badge.dataset.flag = flag;
  element("reason").textContent = [reason, score].filter(Boolean).join(": "); // "score at most 0.0499: 0.0405"
}

/** unit: of the volumes. */
export function showFound(found: readonly Found[], unit: string, notes: readonly string[]): void {
  const rows = found.map(({ value, name, voxels, volume }) => {
    const row = made("tr");
    const label = made("td", name);
    label.prepend(swatch(colourOf(value)));
    row.append(
      label,
      made("td", volume === null ? "" : `${rounded(volume)} ${unit}`, "number"),
      made("td", `${voxels}`, "number"),
    );
    return row;
  });
  element("found").replaceChildren(...rows);
  element("notes").textContent = notes.join(" ");
  element("result").hidden = false;
}

function rounded(volume: number): string {
  return volume >= 100 ? volume.toFixed(0) : volume.toPrecision(3);
}
