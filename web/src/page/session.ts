/** session.json: the models and cases that the page offers. A static page has its own; mednca_view serves another. */

import type { Flag } from "../network/quality";

export interface Session {
  /** True where mednca_view serves the page. */
  readonly served: boolean;
  readonly models: readonly { readonly name: string; readonly url: string }[];
  readonly example: { readonly model: string; readonly image: string } | null;
  readonly cases: readonly ReviewCase[];
  /** Label value in masks -> name of the class. */
  readonly classes: Readonly<Record<string, string>>;
}

/** A prediction to look at; flagged ones come first. */
export interface ReviewCase {
  readonly name: string;
  readonly flag: Flag | "";
  readonly reason: string;
  /** Of the foreground, as quality.csv has it. */
  readonly quality: string;
  readonly prediction: string;
  readonly image: string | null;
  readonly reference: string | null;
}

export async function openSession(): Promise<Session> {
  return (await fetch("session.json")).json();
}

/** A file of the page's own server, under the last part of its address. */
export async function fetched(url: string): Promise<{ name: string; bytes: Uint8Array }> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error((await answer.text()).trim() || `${url}: ${answer.status}`);
  return { name: decodeURIComponent(url.split("/").pop()!), bytes: new Uint8Array(await answer.arrayBuffer()) };
}
