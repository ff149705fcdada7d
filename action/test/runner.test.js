import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { error, info, input, mask, milliseconds, saveState, state } from "../runner.js";

/** What `act` prints for the runner. */
function printed(t, act) {
  const lines = [];
  const write = t.mock.method(process.stdout, "write", (text) => Boolean(lines.push(text)));
  act();
  write.mock.restore();
  return lines.join("");
}

test("an input is read as the runner names it", () => {
  const env = { "INPUT_DUAL-STACK-URL": " https://x ", INPUT_KEY: "k\n" };
  assert.deepEqual([input("dual-stack-url", env), input("key", env), input("for", env)], ["https://x", "k", ""]);
});

test("the last state of a name counts", () => {
  const folder = mkdtempSync(join(tmpdir(), "ip-gate-"));
  try {
    const env = { GITHUB_STATE: join(folder, "state") };
    saveState("entries", '[{"network":null}]', env);
    saveState("entries", "[]", env);
    assert.equal(readFileSync(env.GITHUB_STATE, "utf8"), 'entries=[{"network":null}]\nentries=[]\n');
    assert.throws(() => saveState("entries", "a\nother=b", env));
  } finally {
    rmSync(folder, { recursive: true });
  }
  assert.equal(state("entries", { STATE_entries: "[]" }), "[]");
});

test("the key is masked as one command", (t) => {
  assert.equal(printed(t, () => mask("a%b\nc")), "::add-mask::a%25b%0Ac\n");
  assert.equal(printed(t, () => mask("")), "");
});

test("an answer cannot give the runner a command", (t) => {
  assert.equal(printed(t, () => info("x\n::set-output::y")), "x\n: :set-output::y\n");
  assert.equal(printed(t, () => error("x\n::stop::")), "::error title=ip-gate::x%0A::stop::\n");
});

test("times", () => {
  assert.deepEqual(["0", "90", "10s", "2m", "1h"].map(milliseconds), [0, 90_000, 10_000, 120_000, 3_600_000]);
  assert.deepEqual(["", "s", "1d", "aws s3 ls", "10s;"].map(milliseconds), Array(5).fill(undefined));
});
