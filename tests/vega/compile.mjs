// Compiles the page's Vega-Lite specs to the Vega that a report carries. Development only:
//     npm install --no-save vega vega-lite && node tests/vega/compile.mjs
// Each result names the SHA-256 of its source, by which a test sees that somebody forgot this.
import {createHash} from "node:crypto";
import {readdirSync, readFileSync, writeFileSync} from "node:fs";
import {createRequire} from "node:module";
import {dirname, join} from "node:path";
import {fileURLToPath, pathToFileURL} from "node:url";

const specs = join(dirname(fileURLToPath(import.meta.url)), "../../reports/page/live/specs");
// Where npm was run, which need not be this folder.
const installed = createRequire(pathToFileURL(join(process.cwd(), "here.js")));
const {compile} = await import(pathToFileURL(installed.resolve("vega-lite")));
for (const name of readdirSync(specs).filter((each) => each.endsWith(".vl.json"))) {
  const source = readFileSync(join(specs, name));
  const {spec} = compile(JSON.parse(source));
  const vega = {...spec, usermeta: {source_sha256: createHash("sha256").update(source).digest("hex")}};
  delete vega.$schema; // an address that nobody is to fetch
  writeFileSync(join(specs, name.replace(".vl.json", ".vg.json")), JSON.stringify(vega, null, 1) + "\n");
}
