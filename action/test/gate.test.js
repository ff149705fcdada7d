import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";
import { Unreachable, baseUrl, call, checkedKey } from "../gate.js";
import { Problem } from "../runner.js";

const KEY = "k".repeat(64);
const ADDED = { status: 200, body: '{"status":"added","network":"51.44.71.80/32","ends":null}' };
const BUSY = { status: 503, retryAfter: "7", body: '{"error":"busy","message":"somebody else writes"}' };

/** Answers in this order; -> what `call` is to be given, and what happened. */
function script(...answers) {
  const seen = { pauses: [], requests: 0 };
  const request = async () => {
    seen.requests += 1;
    const answer = answers.shift();
    if (answer instanceof Error) {
      throw answer;
    }
    return answer;
  };
  return { seen, options: { request, pause: async (time) => void seen.pauses.push(time) } };
}

const lost = (connected, code) => Object.assign(new Error(code), { code, connected });
const add = ({ options }, more = {}) => call("https://x/gate", "add", KEY, {}, { ...options, ...more });

for (const [given, base] of [
  ["https://abc.execute-api.us-east-1.amazonaws.com/gate/add", "https://abc.execute-api.us-east-1.amazonaws.com/gate"],
  ["https://example.com/gate/", "https://example.com/gate"],
  ["https://example.com/gate/#key=secret", "https://example.com/gate"],
  ["https://example.com", "https://example.com"],
  ["http://127.0.0.1:4566/gate", "http://127.0.0.1:4566/gate"],
]) {
  test(`the base of ${given}`, () => assert.equal(baseUrl(given, "url"), base));
}

for (const given of ["", "gate", "http://example.com/gate", "http://127.example.com/", "ftp://127.0.0.1/"]) {
  test(`\`${given}\` is no address`, () => assert.throws(() => baseUrl(given, "url"), /the input `url`/));
}

test("a key is long enough and has no spaces", () => {
  assert.equal(checkedKey(KEY), KEY);
  for (const key of ["", "short", `${KEY} ${KEY}`, `${KEY}\n`]) {
    assert.throws(() => checkedKey(key), Problem);
  }
});

test("a busy gate is asked again after Retry-After", async () => {
  const answers = script(BUSY, BUSY, ADDED);
  assert.equal((await add(answers)).network, "51.44.71.80/32");
  assert.deepEqual(answers.seen.pauses, [7_000, 7_000]);
});

test("an answer of the gateway itself is asked for again", async () => {
  const gateway = { status: 502, body: '{"error":"gateway_error","message":"try again"}' };
  const answers = script(gateway, { status: 429, body: "{}" }, ADDED);
  await add(answers);
  assert.deepEqual(answers.seen.pauses, [5_000, 5_000]);
});

test("it gives up after six tries, unsure of the outcome", async () => {
  const answers = script(...Array(9).fill(BUSY));
  await assert.rejects(add(answers), (problem) => problem.unsure && /503 busy: somebody else writes/.test(problem.message));
  assert.equal(answers.seen.requests, 6);
});

test("a refusal is told as it came, and nothing is tried again", async () => {
  const answers = script({ status: 401, body: '{"error":"unauthorized","message":"a valid member key is needed"}' });
  await assert.rejects(add(answers), (problem) => {
    assert.match(problem.message, /401 unauthorized: a valid member key is needed\. Check the secret/);
    assert.ok(!problem.message.includes(KEY));
    return problem.unsure === false;
  });
  assert.equal(answers.seen.requests, 1);
});

test("a refusal after a lost answer leaves the outcome open", async () => {
  const full = { status: 409, body: '{"error":"policy_full","message":"wait"}' };
  await assert.rejects(add(script(lost(true, "ECONNRESET"), full)), { unsure: true });
});

test("what does not answer as ip-gate does is named", async () => {
  const page = { status: 200, body: "<html>" };
  await assert.rejects(add(script(page)), /check the input `url`/);
});

test("a machine without IPv6 is not asked again", async () => {
  const answers = script(lost(false, "ENETUNREACH"));
  await assert.rejects(add(answers, { family: 6 }), (problem) => problem instanceof Unreachable && !problem.unsure);
});

// The rest goes over loopback, by the real request.
let server;
let seen;
before(async () => {
  server = http.createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      seen = { method: request.method, url: request.url, headers: request.headers, body };
      if (request.url.startsWith("/cut")) {
        response.writeHead(200, { "Content-Length": 100 });
        response.write("{");
        setTimeout(() => request.socket.destroy(), 20);
        return;
      }
      response.writeHead(200, { "Content-Type": "application/json" });
      response.end(ADDED.body);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
});
after(() => server.close());

test("the key goes in a header and nothing else does", async () => {
  const base = `http://127.0.0.1:${server.address().port}/gate`;
  const answer = await call(base, "add", KEY, { for: "1h" });
  assert.equal(answer.status, "added");
  assert.deepEqual([seen.method, seen.url, seen.body], ["POST", "/gate/add", "for=1h"]);
  assert.equal(seen.headers.authorization, `Bearer ${KEY}`);
});

test("an answer that is cut off is an unknown outcome", async () => {
  const base = `http://127.0.0.1:${server.address().port}/cut`;
  await assert.rejects(call(base, "add", KEY, {}, { pause: async () => {} }), { unsure: true });
});

test("a closed port is unreachable", async () => {
  const closed = http.createServer();
  await new Promise((resolve) => closed.listen(0, "127.0.0.1", resolve));
  const { port } = closed.address();
  await new Promise((resolve) => closed.close(resolve));
  await assert.rejects(call(`http://127.0.0.1:${port}`, "add", KEY, {}, { pause: async () => {} }), Unreachable);
});
