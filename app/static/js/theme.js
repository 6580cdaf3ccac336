// The theme changes at once; the form goes to the server in the background, which keeps the choice in a cookie.

import { find, findAll } from "./dom.js";

export function startTheme(form) {
  form.addEventListener("submit", async (event) => {
    const chosen = event.submitter;
    if (chosen?.name !== "theme") return;
    event.preventDefault();
    apply(form, chosen);
    const body = new URLSearchParams(new FormData(form, chosen));
    try {
      const answer = await fetch(form.action, { method: "POST", body, redirect: "manual" });
      if (answer.type !== "opaqueredirect") form.requestSubmit(chosen); // refused: let the page show why
    } catch {
      // Offline: the choice holds for this page, and is not kept.
    }
  });
}

function apply(form, chosen) {
  document.documentElement.dataset.theme = chosen.value;
  for (const button of findAll("[name=theme]", form)) {
    button.setAttribute("aria-pressed", String(button === chosen));
  }
  const summary = find("summary", form);
  summary.replaceChildren(find("svg", chosen).cloneNode(true));
  find("details", form).open = false;
  summary.focus();
}
