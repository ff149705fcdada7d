// Waits until AWS applies the change: a plain delay, or a command that is run until it succeeds.

import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { Problem, milliseconds } from "./runner.js";

const BETWEEN = 2_000;
const SHOWN = 2_000;

/** `what` is the input `wait`, `limit` the input `wait-timeout`. */
export async function waitFor(what, limit, { pause = sleep, between = BETWEEN } = {}) {
  const delay = milliseconds(what);
  if (what === "" || delay !== undefined) {
    await pause(delay ?? 0);
    return;
  }
  const most = milliseconds(limit);
  if (most === undefined) {
    throw new Problem("the input `wait-timeout` is not a time: write it like `90s` or `2m`");
  }
  const deadline = Date.now() + most;
  for (;;) {
    const { succeeded, output } = await run(what, Math.max(deadline - Date.now(), 1));
    if (succeeded) {
      return;
    }
    if (Date.now() + between >= deadline) {
      throw new Problem(`\`${what}\` did not succeed within ${limit}. It printed:\n${output || "(nothing)"}`);
    }
    await pause(between);
  }
}

/** Runs a command by the shell, for so long at most. It is not given the inputs, so it never sees the key. */
function run(command, timeout) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("INPUT_")));
  return new Promise((resolve) => {
    const child = spawn(command, { shell: true, env, timeout, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const keep = (chunk) => {
      output = (output + chunk).slice(-SHOWN);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", (error) => resolve({ succeeded: false, output: error.message }));
    // Not `close`: what the command leaves running may keep its pipes open.
    child.on("exit", (code) => {
      setImmediate(() => {
        child.stdout.destroy();
        child.stderr.destroy();
        resolve({ succeeded: code === 0, output: output.trim() });
      });
    });
  });
}
