// Start each module on its elements. Every page also works without scripts.

import { startConfirmations, startMenu } from "./menus.js";
import { startCopy } from "./copy.js";
import { startDropzone } from "./dropzone.js";
import { startLightbox } from "./lightbox.js";
import { showMoments } from "./moments.js";
import { startPictures } from "./pictures.js";
import { startReveal, startRules } from "./password.js";
import { startSearch } from "./search.js";
import { startTheme } from "./theme.js";

const modules = {
  "[data-menu]": startMenu,
  "[data-preferences]": startTheme,
  "[data-dropzone]": startDropzone,
  "[data-status-url]": startSearch,
  "[data-lightbox-group]": startLightbox,
  "[data-password]": startReveal,
  "[data-rules]": startRules,
  "[data-copy]": startCopy,
};

/** Start the modules under `root`; called again for content that a script adds. */
export function enhance(root) {
  for (const [selector, start] of Object.entries(modules)) {
    if (root.matches?.(selector)) start(root, enhance);
    for (const element of root.querySelectorAll(selector)) start(element, enhance);
  }
  showMoments(root);
  startPictures(root);
  startConfirmations(root);
}

enhance(document);
