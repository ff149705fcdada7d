(() => {
  "use strict";
  const words = document.querySelector("main").dataset;
  const errors = Object.fromEntries(JSON.parse(words.errors));
  const form = document.querySelector("form");
  const [button, field] = [form.querySelector("button"), form.elements.key];
  const [networks, result, command] = ["networks", "result", "command"].map((id) => document.getElementById(id));
  // The bookmark carries the key in its fragment, which browsers send to nobody; it leaves the address bar at once.
  let key = new URLSearchParams(location.hash.slice(1)).get("key") || "";
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);

  const endpoints = [form.dataset.self, form.dataset.peer].filter(Boolean);
  const ask = async (what) => {
    const answers = await Promise.all(endpoints.map(async (base) => {
      try {
        const answer = await fetch(base + what, {
          method: "POST", body: new URLSearchParams({ key }), headers: { Accept: "application/json" },
          cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(30000),
        });
        return { code: answer.status, ...(await answer.json()) };
      } catch {
        return null;
      }
    }));
    return answers;
  };
  const line = (text, kind, network) => {
    const item = document.createElement("li");
    if (network) {
      const code = document.createElement("code");
      code.textContent = network;
      item.append(code, " ");
    }
    item.append(text);
    if (kind) item.className = kind;
    return item;
  };
  const show = (answers) => {
    const reached = answers.filter(Boolean);
    const seen = new Set();
    const lines = [];
    for (const answer of reached) {
      const message = errors[answer.error] || answer.message;
      const id = answer.network || message;
      if (seen.has(id)) continue;
      seen.add(id);
      if (answer.error) lines.push(line(message + (answer.code === 503 ? " " + words.retry : ""), "bad"));
      else if (answer.status === "added") lines.push(line(words.added, "good", answer.network));
      else if (answer.status || answer.allowed) lines.push(line(words.allowed, "good", answer.network));
      else lines.push(line(words.notAllowed, "", answer.network));
    }
    if (!reached.length) lines.push(line(words.unreachable, "bad"));
    else if (reached.length < answers.length) lines.push(line(words.otherUnreachable));
    networks.replaceChildren(...lines);
    if (reached.some((answer) => answer.code === 401)) field.parentElement.hidden = false;
    return reached;
  };
  const showCommand = () => {
    if (!key) return;
    command.querySelector("code").textContent =
      endpoints.map((base) => `curl -H 'Authorization: Bearer ${key.replace(/[^\w.~+/=-]/g, "")}' ${base}add`).join("\n");
    command.hidden = false;
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    key = field.value || key;
    button.disabled = true;
    result.textContent = words.working;
    const reached = show(await ask("add"));
    const done = reached.some((answer) => answer.code === 200);
    result.textContent = done ? words.done : "";
    button.disabled = false;
    showCommand();
  });
  if (key) {
    field.required = false;
    field.parentElement.hidden = true;
    showCommand();
    ask("status").then(show);
  }
})();
