// Reads a list of simulations as JSON and prints what each request would be answered: "Allowed", "ExplicitlyDenied" or
// "ImplicitlyDenied". The evaluator is not ours, so that it cannot share our misunderstandings.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const { runSimulation } = createRequire(new URL("../../local/", import.meta.url))("@cloud-copilot/iam-simulate");

const results = [];
for (const simulation of JSON.parse(await text(process.stdin))) {
  const answer = await runSimulation(simulation, {});
  if (answer.resultType !== "single") throw new Error(JSON.stringify([simulation.request, answer]));
  // A key that the evaluator drops would make a condition look met or unmet for the wrong reason.
  if (answer.result.ignoredContextKeys.length) throw new Error(JSON.stringify([simulation.request, answer.result.ignoredContextKeys]));
  results.push(answer.overallResult);
}
console.log(JSON.stringify(results));
