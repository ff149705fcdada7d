// Calls of ip-gate: one POST for each, tried again if ip-gate asks for that.

import http from "node:http";
import https from "node:https";
import { isIPv4 } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "./runner.js";

const TRIES = 6;
// API Gateway itself ends a request after 29 s.
const ANSWER_TIMEOUT = 35_000;
const CONNECT_TIMEOUT = 10_000;
const LONGEST_PAUSE = 60_000;
const LONGEST_ANSWER = 1_000_000;

/** No connection was made: nothing has reached ip-gate. */
export class Unreachable extends Problem {}

/** The address of the API without a path of a call. The stack's outputs end in /add. */
export function baseUrl(text, name) {
  let url;
  try {
    url = new URL(text);
  } catch {
    throw new Problem(`the input \`${name}\` is not a URL: give the output AddUrl of the stack`);
  }
  const host = url.hostname;
  const here = host === "localhost" || host === "[::1]" || (isIPv4(host) && host.startsWith("127."));
  if (url.protocol !== "https:" && !(url.protocol === "http:" && here)) {
    throw new Problem(`the input \`${name}\` must begin with https://, or the key could be read on its way`);
  }
  return url.origin + url.pathname.replace(/\/+$/, "").replace(/\/(add|status|remove)$/, "");
}

/** The key as it goes into a header; ip-gate refuses shorter ones. */
export function checkedKey(key) {
  if (!key) {
    throw new Problem("the input `key` is empty: GitHub gives no secrets to workflows of forks, or the secret has another name");
  }
  if (!/^[\x21-\x7e]{32,}$/.test(key)) {
    throw new Problem("the input `key` is not a member key: it has fewer than 32 characters, or spaces");
  }
  return key;
}

/**
 * Calls `/add` or `/remove`; -> what it answered. `family` 6 connects by IPv6 only. The functions can be replaced in tests.
 *
 * Rejects with a Problem. Its `unsure` says that one of the tries may still have had an effect.
 */
export async function call(base, path, key, parameters, { family = 0, pause = sleep, request = post } = {}) {
  const url = `${base}/${path}`;
  let unsure = false;
  for (let tries = 1; ; tries += 1) {
    let wait;
    let problem;
    try {
      const answer = await request(url, key, parameters, family);
      if (answer.status === 200) {
        return parsed(answer, url);
      }
      problem = refusal(answer, url);
      wait = isPassing(answer) ? retryAfter(answer.retryAfter) : undefined;
      // A 429 is the gateway's, before the function. After a 503 ip-gate may still apply the request.
      unsure ||= wait !== undefined && answer.status !== 429;
    } catch (cause) {
      if (cause instanceof Problem) {
        throw cause;
      }
      const text = `${url} did not answer (${cause.code ?? cause.message})`;
      problem = cause.connected ? new Problem(text) : new Unreachable(text, { cause });
      // A machine without IPv6 gets no IPv6 by asking again.
      wait = family === 6 && !cause.connected ? undefined : 1_000 * 2 ** tries;
      unsure ||= Boolean(cause.connected);
    }
    if (wait === undefined || tries === TRIES) {
      throw Object.assign(problem, { unsure });
    }
    await pause(wait);
  }
}

function isPassing({ status, body }) {
  // `gateway_error`: API Gateway had no answer of the function. A 502 of the function itself will not pass.
  return [429, 500, 503, 504].includes(status) || body.includes('"gateway_error"');
}

function retryAfter(header) {
  const seconds = /^\d+$/.test(header ?? "") ? Number(header) : 5;
  return Math.min(seconds * 1_000, LONGEST_PAUSE);
}

function parsed({ body }, url) {
  try {
    const answer = JSON.parse(body);
    if (typeof answer.status === "string") {
      return answer;
    }
  } catch {
    // Not ours: below.
  }
  throw new Problem(`${url} does not answer as ip-gate does: check the input \`url\``);
}

function refusal(answer, url) {
  let told = {};
  try {
    told = JSON.parse(answer.body) ?? {};
  } catch {
    // What is in front of ip-gate may answer with a page.
  }
  const text = `${url} answered ${answer.status} ${told.error ?? ""}: ${told.message ?? "no reason was given"}`;
  const hint = answer.status === 401 ? ". Check the secret; `ip-gate member list` shows the members" : "";
  return new Problem(text + hint);
}

/** One request. An error says by `connected` whether anything may have reached the other side. */
function post(url, key, parameters, family) {
  return new Promise((resolve, reject) => {
    const body = new URLSearchParams(parameters).toString();
    const send = url.startsWith("https:") ? https.request : http.request;
    let connected = false;
    let request;
    const fail = (error) => {
      clearTimeout(connecting);
      clearTimeout(answering);
      request?.destroy();
      reject(Object.assign(error, { connected }));
    };
    const connecting = setTimeout(() => fail(new Error("no connection in time")), CONNECT_TIMEOUT);
    const answering = setTimeout(() => fail(new Error("no answer in time")), ANSWER_TIMEOUT);
    const headers = {
      Accept: "application/json",
      Authorization: `Bearer ${key}`,
      "Content-Type": "application/x-www-form-urlencoded",
      "Content-Length": Buffer.byteLength(body),
      "User-Agent": "ip-gate-action",
    };
    // No agent that keeps connections: the process ends after this.
    request = send(url, { method: "POST", family, headers, agent: false }, (answer) => {
      const chunks = [];
      let size = 0;
      answer.on("data", (chunk) => {
        size += chunk.length;
        if (size > LONGEST_ANSWER) {
          fail(new Error("the answer is too long"));
        }
        chunks.push(chunk);
      });
      answer.on("error", fail);
      answer.on("aborted", () => fail(new Error("the answer was cut off")));
      answer.on("end", () => {
        clearTimeout(connecting);
        clearTimeout(answering);
        const text = Buffer.concat(chunks).toString("utf8");
        resolve({ status: answer.statusCode, retryAfter: answer.headers["retry-after"], body: text });
      });
    });
    request.on("socket", (socket) => {
      socket.once(url.startsWith("https:") ? "secureConnect" : "connect", () => {
        connected = true;
        clearTimeout(connecting);
      });
    });
    request.on("error", fail);
    request.end(body);
  });
}
