// Apply a theme at once, and send the form in the background; the server stores the choice in a cookie.

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
      if (answer.type !== "opaqueredirect") form.requestSubmit(chosen); // refused: submit normally, so that the error is shown
    } catch {
      // Offline: the choice applies to this page and is not stored.
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
