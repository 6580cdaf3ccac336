// Show and hide a password, and tick its rules while it is typed. The server checks them, as only it knows them all.

import { find, findAll, say } from "./dom.js";

const PAUSE = 300; // milliseconds after the last key

export function startReveal(field) {
  const button = find("[data-reveal]", field);
  const input = find("input", field);
  button.hidden = false;
  const reveal = (shown) => {
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  };
  button.addEventListener("click", () => reveal(input.type === "password"));
  input.form.addEventListener("submit", () => reveal(false)); // so that browsers offer to save it
}

export function startRules(list) {
  const form = list.closest("form");
  const password = find("[autocomplete=new-password]", form);
  const name = find("[autocomplete=username]", form);
  let timer;
  let latest;

  const check = async () => {
    latest?.abort();
    if (!password.value) return clear(list);
    latest = new AbortController();
    const username = name?.value ?? form.dataset.username ?? "";
    try {
      const failures = await ask(list.dataset.checkUrl, form, { username, password: password.value }, latest.signal);
      tick(list, new Set(failures.map((failure) => failure.rule)));
    } catch {
      clear(list); // aborted or offline: the server checks again when the form is sent
    }
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE);
  };
  form.addEventListener("submit", () => {
    clearTimeout(timer); // the response shows the errors, and may start a new session
    latest?.abort();
  });
  password.addEventListener("input", later);
  name?.addEventListener("input", later);
  if (password.value) later(); // typed or filled in by the browser before this script ran
}

async function ask(url, form, question, signal) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": form.elements.csrf_token.value },
    body: JSON.stringify(question),
    signal,
  });
  if (!answer.ok) throw new Error(answer.statusText);
  return (await answer.json()).failures;
}

function tick(list, failed) {
  for (const rule of findAll("[data-rule]", list)) {
    const met = !failed.has(rule.dataset.rule);
    rule.dataset.met = String(met);
    say(find("[data-state]", rule), met ? list.dataset.met : list.dataset.unmet);
  }
}

function clear(list) {
  for (const rule of findAll("[data-rule]", list)) {
    delete rule.dataset.met;
    say(find("[data-state]", rule), "");
  }
}
