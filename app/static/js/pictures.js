// Show a placeholder for pictures that cannot be loaded.

import { find } from "./dom.js";

export function startPictures(root) {
  const placeholder = find("#missing-picture");
  for (const image of root.querySelectorAll(".mat img")) {
    const replace = () => {
      const mat = image.closest(".mat");
      mat.classList.add("mat-missing");
      mat.replaceChildren(placeholder.content.cloneNode(true));
    };
    if (image.complete && image.naturalWidth === 0 && image.loading !== "lazy") replace();
    else image.addEventListener("error", replace, { once: true });
  }
}
