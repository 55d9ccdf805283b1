/** The built page on a server of its own, on this machine. */

import { preview } from "vite";

/** Calls `use` with the page's address. */
export async function served(use: (url: string, stop: () => Promise<void>) => Promise<void>): Promise<void> {
  const server = await preview({ configFile: "vite.config.ts", preview: { port: 0, host: "127.0.0.1" } });
  let open = true;
  const stop = async () => {
    if (open) await server.close();
    open = false;
  };
  try {
    await use(server.resolvedUrls!.local[0], stop);
  } finally {
    await stop();
  }
}
