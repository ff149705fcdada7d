// The page never acts by itself: loading it asks for the state, which changes nothing, and everything else is a click.
(() => {
  "use strict";
  const find = (id) => document.getElementById(id);
  const main = document.querySelector("main");
  const texts = JSON.parse(find("texts").textContent);
  const say = (text, value) => text.replace("{}", value);
  const put = (node, text) => node.textContent === text || (node.textContent = text);
  const settings = main.dataset;
  const endpoints = [settings.own, settings.peer].filter(Boolean);
  const form = find("form");
  const { key: field, for: choices } = form.elements;
  const minute = 6e4;

  // A bookmark carries the key in its fragment, which browsers send to nobody. A link may carry it in its query, and
  // the server has put that one into the form. It leaves the address bar at once.
  let key = new URLSearchParams(location.hash.slice(1)).get("key") || field.value;
  if (location.hash || location.search) history.replaceState(null, "", settings.own);

  // ---- times: the reader's own zone, and the reader's own form of the page's language
  const language = document.documentElement.lang;
  const locale = navigator.languages.find((one) => one.split("-")[0] === language) || language;
  const clock = (moment) => {
    const day = new Date(moment).toDateString() === new Date().toDateString() ? {} : { weekday: "short", month: "short", day: "numeric" };
    return new Intl.DateTimeFormat(locale, { ...day, hour: "numeric", minute: "2-digit" }).format(moment);
  };
  const left = (moment) => {
    const minutes = Math.max(0, Math.ceil((moment - Date.now()) / minute));
    const parts = [[Math.floor(minutes / 1440), "day"], [Math.floor(minutes / 60) % 24, "hour"], [minutes % 60, "minute"]];
    const first = Math.max(0, parts.findIndex(([number]) => number));
    return parts.slice(first, first + 2).filter(([number], index) => number || !index)
      .map(([number, unit]) => new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "short" }).format(number)).join(" ");
  };
  // The next moment at which the clocks of the schedule's zone show its time. Steps of a quarter of an hour meet every
  // offset from UTC, and times that a change of clocks leaves out.
  const resetAfter = (now) => {
    const [, minutes, hour, , weekday] = /^cron\((\d+) (\d+) (\*|\?) \* (\*|\?|[A-Z]{3}) \*\)$/i.exec(settings.schedule) || [];
    if (!hour) return null;
    try {
      const zone = new Intl.DateTimeFormat("en-US", { timeZone: settings.zone || "UTC", hourCycle: "h23", weekday: "short", hour: "numeric", minute: "numeric" });
      const quarter = 15 * minute;
      for (let at = Math.floor(now / quarter) * quarter + (minutes % 15) * minute; at < now + 9 * 864e5; at += quarter) {
        const shown = Object.fromEntries(zone.formatToParts(at).map(({ type, value }) => [type, value]));
        if (at > now && +shown.hour === +hour && +shown.minute === +minutes && (weekday.length < 3 || shown.weekday.toUpperCase() === weekday.toUpperCase())) return at;
      }
    } catch {
      // A zone that this browser does not know: the description says it.
    }
    return null;
  };
  let reset = null;
  const nextReset = () => (reset > Date.now() ? reset : (reset = resetAfter(Date.now())));
  // Infinity: at the next reset, whose moment is not known.
  const moment = (ends) => Math.min(ends ? Date.parse(ends) : Infinity, nextReset() || Infinity);
  const named = (at) => (at === Infinity ? texts.next_reset : clock(at));
  const until = (at) => {
    if (at === Infinity) return say(texts.until, texts.next_reset) + (settings.description && ": " + settings.description);
    return say(at === nextReset() ? texts.until_reset : texts.until, clock(at));
  };

  // ---- what is known: the last answer of each API, and the member's own entries
  let states = [];
  let entries = [];
  const permanent = (state) => state.allowed && state.members && !state.members.length;
  const own = (state) => entries.find((entry) => entry.network === state.network);
  const inside = (state) => state.allowed && (permanent(state) || moment(state.ends) > Date.now());

  const ask = async (base, what, fields) => {
    try {
      const answer = await fetch(base + what, {
        method: fields ? "POST" : "GET", body: fields && new URLSearchParams(key ? { ...fields, key } : fields), headers: { Accept: "application/json" },
        cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(30000),
      });
      return { code: answer.status, ...(await answer.json()) };
    } catch {
      return null;
    }
  };
  const everywhere = (what, fields) => Promise.all(endpoints.map((base) => ask(base, what, fields)));

  // ---- what is shown
  const node = (name, text) => Object.assign(document.createElement(name), { textContent: text });
  const tell = (...sentences) => find("result").replaceChildren(...[...new Set(sentences)].map((text) => node("p", text)));
  const headline = (tone, text) => {
    find("card").className = tone;
    put(find("heading"), text);
    document.title = `${text} – ${texts.title}`;
  };
  // When an entry would end that is asked for now.
  const chosen = () => {
    const [, number, unit] = /^(\d+)([mhd])$/.exec(choices.value) || [];
    return moment(number && new Date(Date.now() + number * { m: 1, h: 60, d: 1440 }[unit] * minute));
  };
  // What the button would do now: [label, whether it does anything].
  const plan = (known) => {
    const at = chosen();
    const held = known.filter((state) => !permanent(state));
    if (form.elements.ip) return [say(texts.add_until, named(at)), true];
    if (known.length && !held.length) return [texts.nothing, false];
    if (!known.length || !held.every((state) => inside(state) && own(state))) return [say(texts.add_until, named(at)), true];
    const now = Math.min(...held.map((state) => moment(own(state).ends)));
    if (at === now || Math.abs(at - now) < 3 * minute) return [texts.nothing, false];
    return [say(at > now ? texts.stay_until : texts.shorten_to, named(at)), true];
  };
  // What changes as time goes by.
  const tick = () => {
    const known = states.filter((state) => state && "allowed" in state);
    const within = known.filter(inside);
    if (known.length) {
      const over = known.some((state) => state.allowed);
      if (within.length === known.length) headline("in", texts.is_in);
      else if (within.length) headline("part", texts.is_partly_in);
      else headline("out", over ? texts.is_over : texts.is_out);
      const ends = within.filter((state) => !permanent(state)).map((state) => moment(state.ends));
      const first = Math.min(...ends);
      put(find("until"), ends.length ? until(first) : within.length ? texts.permanent : "");
      if (first < Infinity) find("until").append(node("small", say(texts.left, left(first))));
    }
    const [label, acts] = plan(known);
    put(find("act"), label);
    find("act").setAttribute("aria-disabled", !acts);
  };
  const show = () => {
    const lines = new Map();
    for (const state of states) {
      if (!state || !state.network) continue;
      const line = node("li", "");
      if (!("allowed" in state)) line.append(node("small", texts.seen_as), " ");
      const word = !("allowed" in state) ? "" : !inside(state) ? texts.address_out
        : own(state) || permanent(state) || !state.members ? texts.address_in : say(texts.through, state.members.join(", "));
      line.append(node("code", state.network), " ", node("small", word));
      lines.set(state.network, line);
    }
    if (lines.size) find("networks").replaceChildren(...lines.values());
    find("list").replaceChildren(...entries.map((entry) => {
      const item = find("entry").content.cloneNode(true);
      item.querySelector("code").textContent = entry.network;
      item.querySelector("em").hidden = !states.some((state) => state && state.network === entry.network);
      item.querySelector("small").textContent = until(moment(entry.ends));
      item.querySelector("[name=network]").value = entry.network;
      item.querySelector("button").setAttribute("aria-label", `${texts.remove} ${entry.network}`);
      return item;
    }));
    find("entries").hidden = !entries.length;
    find("secret").hidden = Boolean(key);
    field.required = !key && !("open" in settings);
    find("check").hidden = Boolean(key);
    find("command").hidden = !key;
    const query = choices.value ? `?for=${choices.value}` : "";
    find("lines").textContent = endpoints
      .map((base) => `curl -H "Authorization: Bearer ${key.replace(/[^\w.~+/=-]/g, "")}" "${new URL(base, location)}add${query}"`).join("\n");
    tick();
  };
  // Keeps what the answers say; -> the sentences about errors.
  const learn = (answers) => {
    const reached = answers.filter(Boolean);
    answers.forEach((answer, index) => {
      if (answer && !answer.error && answer.network) states[index] = { ...answer, allowed: answer.allowed ?? true };
    });
    entries = reached.find((answer) => answer.entries)?.entries || entries;
    const wrong = reached.filter((answer) => answer.error);
    if (wrong.some((answer) => answer.code === 401)) {
      key = field.value = "";
      states = entries = [];
    }
    const sentences = wrong.map((answer) => texts.errors[answer.error] || answer.message);
    if (!reached.length) sentences.push(texts.unreachable);
    else if (reached.length < answers.length) sentences.push(texts.other_unreachable);
    find("result").className = wrong.length ? "bad" : "";
    if (wrong.length === reached.length) headline("bad", texts.failed);
    return sentences;
  };
  let untouched = choices.value === "";
  const look = async (...before) => {
    const sentences = learn(await everywhere("status", {}));
    tell(...before, ...sentences);
    // Someone who came for a time may want more of it: the shortest choice that gives some.
    const now = Math.max(...states.map((state) => Date.parse(state && own(state)?.ends) || 0));
    if (untouched && now) for (const choice of choices) {
      choice.checked = true;
      if (chosen() > now + 3 * minute) break;
    }
    show();
  };

  let busy = false;
  const work = async (act) => {
    if (busy) return;
    busy = true;
    main.setAttribute("aria-busy", "true");
    tell(texts.working);
    await act();
    busy = false;
    main.removeAttribute("aria-busy");
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    key = field.value || key;
    if (event.submitter === find("check")) work(() => look());
    else if (find("act").getAttribute("aria-disabled") !== "true") work(async () => {
      const { key: _, ...fields } = Object.fromEntries(new FormData(form));
      const answers = await everywhere("add", fields);
      const sentences = learn(answers);
      if (answers.some((answer) => answer?.code === 200)) {
        show();
        await look(texts.soon, ...sentences);
      } else {
        tell(...sentences);
        show();
      }
    });
  });
  find("list").addEventListener("submit", (event) => {
    event.preventDefault();
    const { network } = Object.fromEntries(new FormData(event.target));
    work(async () => {
      const answer = await ask(settings.own, "remove", { network });
      const sentences = learn([answer]);
      for (const gone of answer?.removed || []) sentences.push(say(texts.was_removed, gone));
      for (const kept of answer?.kept || []) sentences.push(say(kept.reason === "permanent" ? texts.stays_permanent : texts.stays_others, kept.network));
      find("heading").focus();
      if (answer?.code === 200) await look(...sentences);
      else {
        tell(...sentences);
        show();
      }
    });
  });
  form.addEventListener("change", () => {
    untouched = false;
    show();
  });
  find("copy").addEventListener("click", async () => {
    const lines = find("lines");
    find("copied").textContent = "";
    try {
      await navigator.clipboard.writeText(lines.textContent);
      find("copied").textContent = texts.copied;
    } catch {
      getSelection().selectAllChildren(lines);
    }
  });
  setInterval(tick, 20000);

  show();
  if (find("card").className === "bad") return;
  if (key || "open" in settings) {
    const soon = find("result").textContent.includes(texts.soon);
    headline(find("card").className, soon ? texts.is_in : texts.working);
    work(() => look(...(soon ? [texts.soon] : [])));
  } else {
    everywhere("").then((answers) => {
      states = answers;
      show();
    });
  }
})();
