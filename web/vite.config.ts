import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";

const PUBLIC = "public";

export default defineConfig({
  base: "./",
  plugins: [offline(), licences()],
  worker: { format: "es" },
  build: { outDir: "../mednca_pipeline/web_page", emptyOutDir: true, target: "es2022", assetsInlineLimit: 0, chunkSizeWarningLimit: 4000 },
});

/** sw.js: a service worker that keeps every file of this build, so that the page works without a network. */
function offline(): Plugin {
  return {
    name: "offline",
    apply: "build",
    enforce: "post",
    generateBundle(_, bundle) {
      const files = [...Object.keys(bundle), ...readdirSync(PUBLIC, { recursive: true, encoding: "utf-8" }).filter((name) => name.includes("."))];
      const template = readFileSync("src/service_worker.js", "utf-8");
      const contents = files.map((name) => `${name} ${name in bundle ? "" : createHash("sha256").update(readFileSync(join(PUBLIC, name))).digest("hex")}`);
      const version = createHash("sha256").update(contents.join("\n")).digest("hex").slice(0, 12);
      const source = template.replace("__VERSION__", version).replace('"__FILES__"', JSON.stringify(["./", ...files.sort()]));
      this.emitFile({ type: "asset", fileName: "sw.js", source });
    },
  };
}

/** licences.txt: the licences of the libraries that the page contains. */
function licences(): Plugin {
  return {
    name: "licences",
    apply: "build",
    generateBundle() {
      const { packages } = JSON.parse(readFileSync("package-lock.json", "utf-8"));
      const used = Object.keys(packages).filter((path) => path && !packages[path].dev);
      const texts = used.map((path) => {
        const { name, version, license } = JSON.parse(readFileSync(join(path, "package.json"), "utf-8"));
        const file = readdirSync(path).find((entry) => /^licen[cs]e/i.test(entry));
        return `${name} ${version}: ${license}\n\n${file && existsSync(join(path, file)) ? readFileSync(join(path, file), "utf-8").trim() : "(its package holds no licence text)"}`;
      });
      this.emitFile({ type: "asset", fileName: "licences.txt", source: `${texts.join("\n\n----------\n\n")}\n` });
    },
  };
}
