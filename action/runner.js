// What the GitHub runner gives a step and reads from it: inputs, state, outputs and log commands. Knows nothing of ip-gate.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands

import { appendFileSync } from "node:fs";

/** An input that the author of the workflow must correct, or an answer that they must read. */
export class Problem extends Error {}

/** The runner passes each input as a variable, also to the post step. */
export function input(name, env = process.env) {
  return (env[`INPUT_${name.replaceAll(" ", "_").toUpperCase()}`] ?? "").trim();
}

/** What `saveState` stored in the main step. */
export function state(name, env = process.env) {
  return env[`STATE_${name}`] ?? "";
}

/** Keeps a value for the post step. The runner reads the file also when the main step fails or is cancelled, and the last
 * value of a name counts. */
export function saveState(name, value, env = process.env) {
  append(env.GITHUB_STATE, name, value);
}

export function setOutput(name, value, env = process.env) {
  append(env.GITHUB_OUTPUT, name, value);
}

function append(file, name, value) {
  if (/[\r\n]/.test(value)) {
    throw new Error(`the value of ${name} has more than one line`);
  }
  if (file) {
    appendFileSync(file, `${name}=${value}\n`);
  }
}

/** Hides a value in the log of the whole job. */
export function mask(value) {
  if (value) {
    print(`::add-mask::${escaped(value)}`);
  }
}

// A message can hold what a server sent. A line of it that begins with `::` would be a command to the runner.
export const info = (text) => print(text.replace(/^(\s*)::/gm, "$1: :"));
export const warning = (text) => print(`::warning title=ip-gate::${escaped(text)}`);
export const error = (text) => print(`::error title=ip-gate::${escaped(text)}`);

function print(line) {
  process.stdout.write(`${line}\n`);
}

function escaped(text) {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

/** A time such as `90`, `10s`, `2m` or `1h` in milliseconds; undefined if the text is none. */
export function milliseconds(text) {
  const found = /^(\d{1,6})(s|m|h)?$/.exec(text);
  return found ? Number(found[1]) * { s: 1_000, m: 60_000, h: 3_600_000 }[found[2] ?? "s"] : undefined;
}
