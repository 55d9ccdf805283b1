/** The image on three planes with the outlines of masks, by NiiVue. */

import { Niivue, NVImage, SHOW_RENDER } from "@niivue/niivue";
import { colourOf } from "./colours";

const LABELS = 1002; // NIfTI's intent for label values: NiiVue outlines no other volume

export interface NamedFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export class Viewer {
  private readonly niivue = new Niivue({
    backColor: [0, 0, 0, 1],
    show3Dcrosshair: false,
    multiplanarShowRender: SHOW_RENDER.NEVER,
    multiplanarForceRender: false,
    crosshairColor: [0.9, 0.9, 0.9, 1],
    crosshairWidth: 0.15,
    isRadiologicalConvention: true,
    dragAndDropEnabled: false,
    loadingText: "",
    isOrientationTextVisible: true,
    atlasOutline: 1,
  });

  async attach(canvas: HTMLCanvasElement): Promise<void> {
    await this.niivue.attachToCanvas(canvas);
    this.niivue.setSliceType(this.niivue.sliceTypeMultiplanar);
  }

  /** Replaces everything that is shown. */
  async show(image: NamedFile): Promise<void> {
    while (this.niivue.volumes.length) this.niivue.removeVolume(this.niivue.volumes[0]);
    this.niivue.addVolume(await opened(image, "gray"));
  }

  /** Lays a mask over the image: its outline, and its filling with this opacity. names: of the classes by their value. */
  async overlay(mask: NamedFile, names: ReadonlyMap<number, string>, filling: number): Promise<void> {
    const volume = await opened(mask, "gray");
    volume.hdr!.intent_code = LABELS;
    volume.setColormapLabel(colourMap(names));
    volume.opacity = filling;
    while (this.niivue.volumes.length > 1) this.niivue.removeVolume(this.niivue.volumes[1]);
    this.niivue.addVolume(volume);
  }

  setFilling(opacity: number): void {
    if (this.niivue.volumes.length > 1) this.niivue.setOpacity(1, opacity);
  }
}

async function opened({ name, bytes }: NamedFile, colormap: string): Promise<NVImage> {
  const file = new File([bytes as BlobPart], name.endsWith(".gz") || name.endsWith(".nii") ? name : `${name}.nii`);
  return NVImage.loadFromFile({ file, name: file.name, colormap });
}

function colourMap(names: ReadonlyMap<number, string>) {
  const entries: [number, string, readonly number[]][] = [[0, "background", [0, 0, 0]]];
  for (const [value, name] of names) entries.push([value, name, colourOf(value)]);
  return {
    R: entries.map(([, , colour]) => colour[0]),
    G: entries.map(([, , colour]) => colour[1]),
    B: entries.map(([, , colour]) => colour[2]),
    A: entries.map(([value]) => (value ? 255 : 0)),
    I: entries.map(([value]) => value),
    labels: entries.map(([, name]) => name),
  };
}
