// The main step: adds the runner's networks, and notes for the post step what there is to remove.

import { Unreachable, baseUrl, call, checkedKey } from "./gate.js";
import { Problem, error, info, input, mask, saveState, setOutput } from "./runner.js";
import { waitFor } from "./wait.js";

const NETWORK = /^[0-9a-fA-F.:]+\/\d{1,3}$/;

async function main() {
  mask(input("key"));
  const key = checkedKey(input("key"));
  const remove = input("remove") || "true";
  if (!["true", "false"].includes(remove)) {
    throw new Problem("the input `remove` is neither true nor false");
  }
  const apis = [{ input: "url", family: 0 }];
  if (input("dual-stack-url")) {
    apis.push({ input: "dual-stack-url", family: 6 });
  }
  // All inputs are checked before the first request.
  for (const api of apis) {
    api.base = baseUrl(input(api.input), api.input);
  }
  const entries = [];
  for (const api of apis) {
    await add(api, key, entries);
  }
  setOutput("networks", entries.map(({ network }) => network).join(" "));
  await waitFor(input("wait"), input("wait-timeout") || "2m");
}

async function add(api, key, entries) {
  const { input: name, family, base } = api;
  // Noted before the request: if the answer is lost, or the job is cancelled meanwhile, the post step removes the entry of
  // this address.
  const entry = { api: name, network: null };
  entries.push(entry);
  const save = () => saveState("entries", JSON.stringify(entries));
  save();
  try {
    const answer = await call(base, "add", key, { for: input("for") || "1h" }, { family });
    if (!NETWORK.test(answer.network)) {
      throw new Problem(`${base}/add named no network`);
    }
    entry.network = answer.network;
    info(`${answer.network} is on the list ${answer.ends ? `until ${answer.ends}` : "until the next reset"}`);
  } catch (problem) {
    // A definite refusal leaves no entry behind.
    if (problem.unsure === false) {
      entries.pop();
    }
    if (family === 6 && problem instanceof Unreachable && !problem.unsure) {
      info("this runner has no IPv6, so there is no IPv6 network to add");
    } else {
      throw problem;
    }
  } finally {
    save();
  }
}

try {
  await main();
} catch (problem) {
  error(problem instanceof Problem ? problem.message : problem.stack);
  process.exitCode = 1;
}
