import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { waitFor } from "../wait.js";

test("a time is a plain delay", async () => {
  const pauses = [];
  const pause = async (time) => void pauses.push(time);
  await waitFor("10s", "2m", { pause });
  await waitFor("", "2m", { pause });
  assert.deepEqual(pauses, [10_000, 0]);
});

test("a command is run until it succeeds", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ip-gate-"));
  const file = join(folder, "tries");
  try {
    await waitFor(`echo x >> ${file}; test $(wc -l < ${file}) -ge 3`, "30s", { between: 1 });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a command that never succeeds ends the wait, with what it printed", async () => {
  const never = waitFor("echo AccessDenied >&2; exit 254", "1s", { between: 100 });
  await assert.rejects(never, /did not succeed within 1s\. It printed:\nAccessDenied/);
});

test("a command that hangs ends with the time", async () => {
  const begun = Date.now();
  await assert.rejects(waitFor("sleep 30", "1s", { between: 100 }), /did not succeed/);
  assert.ok(Date.now() - begun < 10_000);
});

test("a command does not see the key", async () => {
  process.env.INPUT_KEY = "secret";
  try {
    await waitFor('test -z "$INPUT_KEY" && test -n "$PATH"', "5s");
  } finally {
    delete process.env.INPUT_KEY;
  }
});

test("a time limit that is none is refused", async () => {
  await assert.rejects(waitFor("true", "soon"), /wait-timeout/);
});
