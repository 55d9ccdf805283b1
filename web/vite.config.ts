import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const PUBLIC = "public";
const SHIPPED = "../mednca_pipeline/inference/shipped_models/phantom.mednca";
const PLAIN = /ort-wasm.*\.wasm$/;
const LAZY = /jspi.*\.(gz|js)$/; // 17 MB that only a graphics card needs: kept when it was used

export default defineConfig({
  base: "./",
  plugins: [compressed(), example(), licences(), offline()],
  worker: { format: "es", plugins: () => [compressed()] },
  build: {
    outDir: "../mednca_pipeline/viewing/web_page",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 4000,
  },
});

/** `import url from "FILE?gz"` is the address of the file in gzip's form: 14 MB of WebAssembly become 4. */
function compressed(): Plugin {
  let building = false;
  return {
    name: "compressed",
    enforce: "pre",
    configResolved: (config) => void (building = config.command === "build"),
    load(id) {
      if (!id.endsWith("?gz")) return null;
      if (!building) return 'export default "";'; // under Vitest: Node.js reads its own copy
      const file = id.slice(0, -"?gz".length);
      const asset = this.emitFile({
        type: "asset",
        name: `${basename(file)}.gz`,
        source: gzipSync(readFileSync(file), { level: 9 }),
      });
      return `export default import.meta.ROLLUP_FILE_URL_${asset};`;
    },
    generateBundle(_, bundle) {
      for (const name of Object.keys(bundle)) if (PLAIN.test(name)) delete bundle[name]; // ONNX Runtime names it, and is given ours
    },
  };
}

/** The model that comes with the package, for the phantom that comes with the page. */
function example(): Plugin {
  return {
    name: "example",
    apply: "build",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "examples/phantom.mednca", source: readFileSync(SHIPPED) });
    },
  };
}

/** sw.js: a service worker that keeps every file of this build, so that the page works without a network. */
function offline(): Plugin {
  return {
    name: "offline",
    apply: "build",
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        const contents = new Map<string, string | Uint8Array>();
        for (const [name, file] of Object.entries(bundle))
          contents.set(name, file.type === "chunk" ? file.code : file.source);
        for (const name of readdirSync(PUBLIC, { recursive: true, encoding: "utf-8" }))
          if (statSync(join(PUBLIC, name)).isFile()) contents.set(name, readFileSync(join(PUBLIC, name)));
        const files = [...contents.keys()].filter((name) => !LAZY.test(name)).sort();
        const hash = createHash("sha256");
        for (const name of files) hash.update(`${name}\n`).update(contents.get(name)!);
        const source = readFileSync("src/service_worker.js", "utf-8")
          .replace("__VERSION__", hash.digest("hex").slice(0, 12))
          .replace('"__FILES__"', JSON.stringify(["./", ...files]));
        this.emitFile({ type: "asset", fileName: "sw.js", source });
      },
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
        const text = file ? readFileSync(join(path, file), "utf-8").trim() : "(its package holds no licence text)";
        return `${name} ${version}: ${license}\n\n${text}`;
      });
      this.emitFile({ type: "asset", fileName: "licences.txt", source: `${texts.join("\n\n----------\n\n")}\n` });
    },
  };
}
