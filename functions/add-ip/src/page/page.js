// The page never acts by itself: loading it asks for the state, which changes nothing, and everything else is a click.
// Times are the reader's own, in the reader's form of the page's language.
(() => {
  "use strict";
  const find = (id) => document.getElementById(id);
  const settings = document.querySelector("main").dataset;
  const texts = JSON.parse(find("texts").textContent);
  const say = (text, value) => text.replace("{}", value);
  const endpoints = [settings.own, settings.peer].filter(Boolean);
  const [form, act, result] = ["form", "act", "result"].map(find);
  const { key: field, for: choices } = form.elements;
  const minute = 6e4;
  const day = 1440 * minute;

  // A bookmark carries the key in its fragment, which browsers send to nobody. A link may carry it in its query, and
  // the server has put that one into the form. It leaves the address bar at once.
  let key = new URLSearchParams(location.hash.slice(1)).get("key") || field.value;
  if (location.hash || location.search) history.replaceState(null, "", settings.own);

  // ---- times
  const language = document.documentElement.lang;
  const locale = navigator.languages.find((one) => one.split("-")[0] === language) || language;
  const clock = (at) => {
    const days = Math.round((new Date(at).setHours(0, 0, 0, 0) - new Date().setHours(0, 0, 0, 0)) / day);
    const date = days > 1 && { weekday: "short", month: "short", day: "numeric" };
    const time = new Intl.DateTimeFormat(locale, { ...date, hour: "numeric", minute: "2-digit" }).format(at);
    return days === 1 ? `${new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(1, "day")} ${time}` : time;
  };
  const left = (at) => {
    let rest = Math.ceil((at - Date.now()) / minute);
    return [["day", 1440], ["hour", 60], ["minute", 1]].map(([unit, size]) => {
      const number = Math.floor(rest / size);
      rest %= size;
      return number && new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "short" }).format(number);
    }).filter(Boolean).join(" ");
  };
  // The next moment at which the clocks of the schedule's zone show its time. Steps of a quarter of an hour meet every
  // offset from UTC, and pass over times that a change of clocks leaves out.
  const resetAfter = (now) => {
    const [, minutes, hours, weekday] = /^cron\((\d+) (\d+) [*?] \* ([*?]|[A-Z]{3}) \*\)$/i.exec(settings.schedule) || [];
    if (!hours) return;
    try {
      const zone = new Intl.DateTimeFormat("en-US", { timeZone: settings.zone || "UTC", hourCycle: "h23", weekday: "short", hour: "2-digit", minute: "2-digit" });
      const time = [hours, minutes].map((number) => number.padStart(2, "0")).join(":");
      const quarter = 15 * minute;
      for (let at = Math.floor(now / quarter) * quarter + (minutes % 15) * minute; at < now + 9 * day; at += quarter) {
        const shown = zone.format(at).toUpperCase();
        if (at > now && shown.endsWith(time) && (!weekday[1] || shown.startsWith(weekday.toUpperCase()))) return at;
      }
    } catch {
      // A zone that this browser does not know: the description says it.
    }
  };
  let reset;
  const nextReset = () => (reset > Date.now() ? reset : (reset = resetAfter(Date.now())));
  // When an entry ends; Infinity for the next reset if its moment is not known.
  const end = (ends) => Math.min(ends ? Date.parse(ends) : Infinity, nextReset() || Infinity);
  const named = (at) => (at === Infinity ? texts.next_reset : clock(at));
  const until = (at) => say(at === nextReset() ? texts.until_reset : texts.until, named(at));

  // ---- what is known: the last answer of each API, and the member's own entries
  let states = [];
  let entries = [];
  // With open access and no key, an entry without a name is as good as the reader's own.
  const own = (state) => entries.find((entry) => entry.network === state.network) || (!key && state.granted_at && state);
  const permanent = (state) => state.allowed && state.granted_at === null;
  const inside = (state) => permanent(state) || (state.allowed && end(state.ends) > Date.now());
  const asked = (state) => "allowed" in state;

  // ---- what is shown
  const node = (name, text = "") => Object.assign(document.createElement(name), { textContent: text });
  const put = (place, text) => place.textContent === text || (place.textContent = text);
  const tell = (sentences) => result.replaceChildren(...[...new Set(sentences)].map((text) => node("p", text)));
  const headline = (tone, text) => {
    find("card").className = tone;
    put(find("heading"), text);
    document.title = `${text} – ${texts.title}`;
  };
  // When an entry would end that is asked for now.
  const chosen = () => {
    const [, number, unit] = /^(\d+)([mhd])$/.exec(choices.value) || [];
    return end(number && new Date(Date.now() + number * { m: 1, h: 60, d: 1440 }[unit] * minute));
  };
  // What the button would do now; nothing if it would change less than three minutes.
  const plan = (known) => {
    const at = chosen();
    const held = known.filter((state) => !permanent(state));
    if (form.elements.ip || !known.length || !held.every((state) => inside(state) && own(state))) return say(texts.add_until, named(at));
    const now = Math.min(...held.map((state) => end(own(state).ends)));
    if (!held.length || at === now || Math.abs(at - now) < 3 * minute) return texts.nothing;
    return say(at > now ? texts.stay_until : texts.shorten_to, named(at));
  };
  // What changes as time goes by.
  const tick = () => {
    const known = states.filter(asked);
    const within = known.filter(inside);
    if (known.length) {
      if (within.length === known.length) headline("in", texts.is_in);
      else if (within.length) headline("part", texts.is_partly_in);
      else headline("out", known.some((state) => state.allowed) ? texts.is_over : texts.is_out);
      const ending = within.filter((state) => !permanent(state));
      const first = Math.min(...ending.map((state) => end(state.ends)));
      find("until").textContent = ending.length ? until(first) : within.length ? texts.permanent : "";
      if (ending.length) find("until").append(node("small", first < Infinity ? say(texts.left, left(first)) : settings.description));
    }
    const label = plan(known);
    put(act, label);
    act.setAttribute("aria-disabled", label === texts.nothing);
  };
  const word = (state) => {
    if (!inside(state)) return texts.address_out;
    return own(state) || permanent(state) || !state.members?.length ? texts.address_in : say(texts.through, state.members.join(", "));
  };
  const show = () => {
    const lines = new Map(states.map((state) => {
      const line = node("li");
      const parts = [node("code", state.network), " ", node("small", asked(state) ? word(state) : texts.seen_as)];
      line.append(...(asked(state) ? parts : parts.reverse()));
      return [state.network, line];
    }));
    if (lines.size) find("networks").replaceChildren(...lines.values());
    find("list").replaceChildren(...entries.map(({ network, ends }) => {
      const item = find("entry").content.cloneNode(true);
      const [code, here, small, input, button] = ["code", "em", "small", "[name=network]", "button"].map((part) => item.querySelector(part));
      code.textContent = input.value = network;
      here.hidden = !states.some((state) => state.network === network);
      small.textContent = until(end(ends));
      button.setAttribute("aria-label", `${texts.remove} ${network}`);
      return item;
    }));
    find("entries").hidden = !entries.length;
    find("secret").hidden = find("check").hidden = Boolean(key);
    field.required = !key && !("open" in settings);
    find("command").hidden = !key;
    // Somebody else may have made the link, and people paste both values into a shell.
    const [secret, time] = [key, choices.value].map((text) => text.replace(/[^\w.~+/=-]/g, ""));
    find("lines").textContent = endpoints
      .map((base) => `curl -H "Authorization: Bearer ${secret}" "${new URL(base, location)}add${time && "?for=" + time}"`).join("\n");
    tick();
  };

  // ---- asking
  const ask = async (base, what, fields) => {
    try {
      const answer = await fetch(base + what, {
        method: fields ? "POST" : "GET", body: fields && new URLSearchParams(key ? { ...fields, key } : fields), headers: { Accept: "application/json" },
        cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(30000),
      });
      return { code: answer.status, ...(await answer.json()) };
    } catch {
      return {};
    }
  };
  const everywhere = (what, fields) => Promise.all(endpoints.map((base) => ask(base, what, fields)));
  // Keeps what the answers say; -> sentences about what went wrong.
  const learn = (answers) => {
    const reached = answers.filter((answer) => answer.code);
    const wrong = reached.filter((answer) => answer.error);
    const news = reached.filter((answer) => answer.network);
    if (news.length) states = news.map((state) => ("status" in state ? { ...state, allowed: true } : state));
    entries = news.find((answer) => answer.entries)?.entries || entries;
    if (wrong.some((answer) => answer.code === 401)) {
      key = field.value = "";
      states = entries = [];
    }
    const sentences = wrong.map((answer) => texts.errors[answer.error] || answer.message);
    if (!reached.length) sentences.push(texts.unreachable);
    else if (reached.length < answers.length) sentences.push(texts.other_unreachable);
    const failed = wrong.length === reached.length;
    result.className = failed ? "bad" : "";
    if (failed) headline("bad", texts.failed);
    return sentences;
  };
  let untouched = !choices.value;
  const look = async (before = []) => {
    tell([...before, ...learn(await everywhere("status", {}))]);
    // Someone who came for a time may want more of it: the shortest choice that gives some.
    const now = Math.max(...states.map((state) => Date.parse(own(state)?.ends) || 0));
    if (untouched && now > 0) for (const choice of choices) {
      choice.checked = true;
      if (chosen() > now + 3 * minute) break;
    }
    show();
  };
  const work = async (task) => {
    if (settings.busy) return;
    settings.busy = "1";
    tell([texts.working]);
    const [answers, sentences] = await task();
    if (answers.some((answer) => answer.code === 200)) await look(sentences);
    else tell(sentences);
    show();
    delete settings.busy;
  };

  // What a task returns that only looks: nothing went wrong, and there is nothing to tell.
  const nothing = [[{ code: 200 }], []];
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    key = field.value.trim() || key;
    if (event.submitter === find("check")) work(() => nothing);
    else if (act.textContent !== texts.nothing) work(async () => {
      const { key: _, ...fields } = Object.fromEntries(new FormData(form));
      const answers = await everywhere("add", fields);
      const sentences = learn(answers);
      show();
      return [answers, answers.some((answer) => answer.code === 200) ? [texts.soon, ...sentences] : sentences];
    });
  });
  find("list").addEventListener("submit", (event) => {
    event.preventDefault();
    const { network } = Object.fromEntries(new FormData(event.target));
    work(async () => {
      const answer = await ask(settings.own, "remove", { network });
      find("heading").focus();
      return [[answer], [
        ...learn([answer]),
        ...(answer.removed || []).map((gone) => say(texts.was_removed, gone)),
        ...(answer.kept || []).map((kept) => say(kept.reason === "permanent" ? texts.stays_permanent : texts.stays_others, kept.network)),
      ]];
    });
  });
  form.addEventListener("change", () => {
    untouched = false;
    show();
  });
  find("copy").addEventListener("click", async () => {
    const [lines, copied] = ["lines", "copied"].map(find);
    copied.textContent = "";
    try {
      await navigator.clipboard.writeText(lines.textContent);
      copied.textContent = texts.copied;
    } catch {
      getSelection().selectAllChildren(lines);
    }
  });
  setInterval(tick, 20000);

  const { className } = find("card");
  show();
  if (key || "open" in settings) {
    const told = [...result.children].map((sentence) => sentence.textContent);
    if (className === "plain") headline(className, texts.working);
    work(() => [[{ code: 200 }], told.filter((text) => className === "bad" || text === texts.soon)]);
  } else if (className !== "bad") {
    // Shows both addresses; the peer is reached by the other protocol.
    everywhere("").then((answers) => {
      states = answers.filter((answer) => answer.network);
      show();
    });
  }
})();
