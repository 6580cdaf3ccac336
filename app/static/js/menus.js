// Menus and confirmations are <details>, which open by themselves. Close them on Escape and outside clicks.

import { find } from "./dom.js";

function closeOnEscape(details) {
  details.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !details.open) return;
    details.open = false;
    find("summary", details).focus();
  });
}

export function startMenu(menu) {
  closeOnEscape(menu);
  document.addEventListener("pointerdown", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });
}

export function startConfirmations(root) {
  for (const details of root.querySelectorAll("details.confirm")) closeOnEscape(details);
}
