// Show enlarged pictures in a <dialog>, with the arrow keys to move between them.

import { find, findAll, show } from "./dom.js";

export function startLightbox(group) {
  const dialog = find("[data-lightbox]", group.parentElement);
  const links = findAll("[data-enlarge]", group);
  if (dialog && links.length) new Lightbox(dialog, links);
}

class Lightbox {
  constructor(dialog, links) {
    this.dialog = dialog;
    this.links = links;
    this.at = 0;
    this.image = find(".lightbox-picture img", dialog);
    links.forEach((link, index) => {
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return; // open in a new tab or window
        event.preventDefault();
        this.open(index);
      });
    });
    for (const button of findAll("[data-step]", dialog)) {
      button.addEventListener("click", () => this.step(Number(button.dataset.step)));
    }
    dialog.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) this.step(by);
    });
    dialog.addEventListener("click", (event) => {
      if (event.target.matches("dialog, .lightbox-picture")) dialog.close();
    });
    dialog.addEventListener("close", () => this.links[this.at].focus());
    this.image.addEventListener("error", () => this.missing(true));
    this.image.addEventListener("load", () => this.missing(false));
  }

  open(index) {
    this.show(index);
    this.dialog.showModal();
    find("[data-close]", this.dialog).focus();
  }

  step(by) {
    const next = this.at + by;
    if (next >= 0 && next < this.links.length) this.show(next);
  }

  missing(gone) {
    show(this.image, !gone);
    show(find("[data-missing]", this.dialog), gone);
  }

  show(index) {
    this.at = index;
    const { enlarge, name, score, similar } = this.links[index].dataset;
    this.missing(false);
    this.image.src = enlarge;
    this.image.alt = name;
    find("[data-name]", this.dialog).textContent = name;
    find("[data-score]", this.dialog).textContent = score;
    find("[data-count]", this.dialog).textContent = `${index + 1} / ${this.links.length}`;
    find("[data-original]", this.dialog).href = enlarge;
    find("form[data-similar]", this.dialog).action = similar;
    for (const button of findAll("[data-step]", this.dialog)) {
      const next = index + Number(button.dataset.step);
      button.disabled = next < 0 || next >= this.links.length;
      if (!button.disabled) new Image().src = this.links[next].dataset.enlarge; // preload
    }
  }
}
