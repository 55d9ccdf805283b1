/** The element of the page with this id. */
export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** A new element with a text. */
export function made<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  text = "",
  className = "",
): HTMLElementTagNameMap[K] {
  const created = document.createElement(tag);
  created.textContent = text;
  if (className) created.className = className;
  return created;
}

export function swatch(colour: readonly number[]): HTMLSpanElement {
  const created = made("span", "", "swatch");
  created.style.backgroundColor = `rgb(${colour.join(" ")})`; // by the object model: a style attribute would be refused
  return created;
}
