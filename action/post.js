// The post step: removes exactly the entries that the main step added. It never fails the job: each entry also ends by
// itself.

import { baseUrl, call, checkedKey } from "./gate.js";
import { info, input, mask, state, warning } from "./runner.js";

async function post() {
  mask(input("key"));
  const entries = JSON.parse(state("entries") || "[]");
  if (entries.length === 0) {
    info("there is no entry to remove");
    return;
  }
  if (input("remove") === "false") {
    info("the entry stays until it ends by itself, because `remove` is false");
    return;
  }
  const key = checkedKey(input("key"));
  for (const entry of entries) {
    await remove(entry, key);
  }
}

async function remove({ api, network }, key) {
  // Without a network the function takes the caller's own, so the request must come from where the add came from.
  const from = network ? { input: "url", family: 0 } : { input: api, family: api === "url" ? 0 : 6 };
  const shown = network ?? "the entry of this runner";
  try {
    const base = baseUrl(input(from.input), from.input);
    const answer = await call(base, "remove", key, network ? { network } : {}, { family: from.family });
    const kept = (answer.kept ?? []).map((each) => `${each.network} stays (${each.reason})`);
    const told = [...(answer.removed ?? []).map((each) => `removed ${each}`), ...kept];
    info(told.join(", ") || `${shown} had ended already`);
  } catch (problem) {
    warning(`${shown} was not removed, it ends by itself: ${problem.message}`);
  }
}

try {
  await post();
} catch (problem) {
  warning(problem.message);
}
