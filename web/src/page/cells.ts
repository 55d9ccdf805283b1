/** The sliders that show the cells of one slice step by step. */

import type { Film, LevelPictures, Picture } from "../network/film";
import { classNames, type Labels } from "../preprocessing/labels";
import { colourOf } from "./colours";
import { element } from "./elements";

const FRAME_MS = 350;
const COMPUTING = [90, 200, 255];

/** shoot: computes the film of a slice. */
export class CellsView {
  private film: Film | null = null;
  private colours: (readonly number[] | null)[] = []; // of each output; null: the background
  private timer = 0;
  private readonly step = element<HTMLInputElement>("step");
  private readonly slice = element<HTMLInputElement>("slice");
  private readonly play = element<HTMLButtonElement>("play");

  constructor(private readonly shoot: (slice: number) => Promise<Film>) {
    this.step.addEventListener("input", () => this.draw());
    this.slice.addEventListener("change", () => void this.open(Number(this.slice.value)));
    this.play.addEventListener("click", () => (this.timer ? this.stop() : this.start()));
  }

  hide(): void {
    this.stop();
    element("cells").hidden = true;
  }

  async show(labels: Labels, slices: number, slice: number): Promise<void> {
    this.colours = [...classNames(labels).keys()].map(colourOf);
    if (!labels.regionOrder.length) this.colours.unshift(null);
    this.slice.max = `${slices - 1}`;
    this.slice.value = `${slice}`;
    await this.open(slice);
    element("cells").hidden = false;
  }

  private async open(slice: number): Promise<void> {
    this.film = await this.shoot(slice);
    this.step.max = `${this.film.pictures.length - 1}`;
    if (element("cells").hidden) this.step.value = this.step.max;
    this.draw();
  }

  private start(): void {
    if (this.step.value === this.step.max) this.step.value = "0";
    this.play.textContent = "Pause";
    this.timer = window.setInterval(() => {
      if (this.step.value === this.step.max) return this.stop();
      this.step.value = `${Number(this.step.value) + 1}`;
      this.draw();
    }, FRAME_MS);
    this.draw();
  }

  private stop(): void {
    window.clearInterval(this.timer);
    this.timer = 0;
    this.play.textContent = "Play";
  }

  private draw(): void {
    if (!this.film) return;
    const picture = this.film.pictures[Number(this.step.value)];
    const level = this.film.levels[picture.level];
    const share = level.active.reduce((sum, value) => sum + value, 0) / level.active.length;
    const [high, wide] = level.factor;
    element("caption").textContent =
      `Level ${picture.level + 1} of ${this.film.levels.length}, cells of ${high} x ${wide} pixels; ` +
      `step ${picture.step} of ${level.steps}; ${Math.round(100 * share)} % of the cells compute`;
    paint("belief", this.film, level, (pixel, cell) => believed(pixel, cell, picture, this.colours));
    paint("computing", this.film, level, (pixel, cell) =>
      level.active[cell] ? COMPUTING.map((value) => 0.55 * value + 0.45 * pixel) : grey(0.6 * pixel),
    );
  }
}

/** Draws the cells of a level as large as the pixels they stand for, without the padding around the image.
 *
 * colour: of a cell, from its grey value (0 to 255) and its index.
 */
function paint(
  id: string,
  film: Film,
  { width, height, image, factor }: LevelPictures,
  colour: (pixel: number, cell: number) => readonly number[],
): void {
  const pixels = new ImageData(width, height);
  const sorted = image.slice().sort();
  const [low, high] = [sorted[Math.floor(0.01 * (sorted.length - 1))], sorted[Math.ceil(0.99 * (sorted.length - 1))]];
  image.forEach((value, cell) => {
    const pixel = high > low ? (255 * (value - low)) / (high - low) : 0;
    pixels.data.set([...colour(Math.min(Math.max(pixel, 0), 255), cell), 255], 4 * cell);
  });
  const cells = new OffscreenCanvas(width, height);
  cells.getContext("2d")!.putImageData(pixels, 0, 0);
  const canvas = element<HTMLCanvasElement>(id);
  [canvas.width, canvas.height] = [film.width, film.height];
  const context = canvas.getContext("2d")!;
  context.imageSmoothingEnabled = false;
  context.drawImage(cells, -film.left, -film.top, width * factor[1], height * factor[0]);
}

/** The image, mixed with the colour of each output by its probability. */
function believed(
  pixel: number,
  cell: number,
  { probabilities, width, height }: Picture,
  colours: readonly (readonly number[] | null)[],
): number[] {
  const mixed = grey(pixel);
  const size = width * height;
  colours.forEach((colour, output) => {
    if (!colour) return;
    const share = 0.75 * probabilities[output * size + cell];
    mixed.forEach((value, channel) => (mixed[channel] = value + share * (colour[channel] - value)));
  });
  return mixed;
}

function grey(value: number): number[] {
  return [value, value, value];
}
