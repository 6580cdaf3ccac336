// The form for a picture: it accepts one by drag and drop, paste, file dialog or camera, shows and uploads it.

import { wrongWithFile, wrongWithPicture } from "./checks.js";
import { fill, find, findAll, freshToken, say, show } from "./dom.js";
import { onDrop, onPaste } from "./intake.js";
import { keepPreview } from "./preview.js";
import { shrunk } from "./shrink.js";
import { upload } from "./upload.js";

export function startDropzone(form) {
  new Dropzone(form);
}

class Dropzone {
  constructor(form) {
    this.form = form;
    this.part = Object.fromEntries(
      ["prompt", "preview", "error", "choose", "decide", "progress", "say", "fileName", "ignored", "progressText"].map((name) => [
        name,
        find(`[data-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}]`, form),
      ]),
    );
    this.image = find("[data-preview] img", form);
    this.file = null;
    form.dataset.ready = "";
    for (const element of findAll("[data-scripted]", form)) show(element);
    this.listen();
    this.state(this.part.error.hidden ? "empty" : "refused");
    this.takeFrom(form.elements.image); // a picture may have been chosen before this script ran
    form.elements.image.required = false; // browsers cannot show the message at a hidden field
  }

  listen() {
    const { image } = this.form.elements;
    const camera = find("#camera", this.form);
    for (const input of [image, camera]) {
      input.addEventListener("change", () => this.takeFrom(input));
    }
    for (const button of findAll("[data-pick]", this.form)) {
      button.addEventListener("click", () => find(`#${button.dataset.pick}`, this.form).click());
    }
    find("[data-remove]", this.form).addEventListener("click", () => this.clear());
    find("[data-cancel]", this.form).addEventListener("click", () => this.sending?.cancel());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    onDrop(this.form, (files) => this.take(files));
    onPaste((files) => this.take(files));
    addEventListener("pageshow", (event) => event.persisted && location.reload()); // the token of a form is used only once
  }

  state(name) {
    show(this.part.prompt, name === "empty" || name === "refused");
    show(this.part.choose, name === "empty" || name === "refused");
    show(this.part.preview, name === "chosen" || name === "sending");
    show(this.part.decide, name === "chosen");
    show(this.part.progress, name === "sending");
    if (name !== "refused") show(this.part.error, false);
  }

  takeFrom(input) {
    if (input.files.length) this.take([...input.files]);
    input.value = "";
  }

  async take([original, ...others]) {
    if (this.sending) return;
    this.forget();
    this.form.elements.submission.value = freshToken(); // another picture is another search
    const wrong = wrongWithFile(original);
    if (wrong) return this.refuse(this.form.dataset[wrong]);
    const maxBytes = Number(this.form.dataset.maxBytes);
    const turn = (this.turn = {}); // another picture may be chosen while this one is made smaller
    const file = original.size > maxBytes ? await shrunk(original, maxBytes) : original;
    if (this.turn !== turn || this.sending) return;
    if (!file) return this.refuse(this.form.dataset.tooLarge);
    this.file = file;
    this.part.fileName.textContent = file.name;
    show(this.image, false); // until it is decoded, which for HEIC and TIFF may never happen
    this.image.onload = async () => {
      const tooMany = wrongWithPicture(this.image, file, this.form.dataset);
      if (!tooMany) return show(this.image);
      const smaller = await shrunk(file, maxBytes);
      if (this.turn !== turn || this.sending) return;
      if (smaller) this.take([smaller, ...others]);
      else this.refuse(this.form.dataset[tooMany]);
    };
    this.image.src = URL.createObjectURL(file);
    this.state("chosen");
    const ignored = others.length ? fill(this.form.dataset.ignored, { name: file.name, count: others.length }) : "";
    this.part.ignored.textContent = ignored;
    show(this.part.ignored, Boolean(ignored));
    say(this.part.say, `${fill(this.form.dataset.chosen, { name: file.name })} ${ignored}`.trim());
    find("[data-submit]", this.form).focus({ preventScroll: true });
  }

  refuse(message) {
    this.forget();
    find("span", this.part.error).textContent = message;
    show(this.part.error);
    this.state("refused");
  }

  forget() {
    if (this.image.src) URL.revokeObjectURL(this.image.src);
    this.image.onload = null;
    this.image.removeAttribute("src");
    this.file = this.turn = null;
  }

  clear() {
    this.forget();
    this.state("empty");
    find("[data-pick]", this.part.choose).focus();
  }

  async send() {
    if (!this.file || this.sending) return;
    const bar = find("progress", this.form);
    const { sending, sent, offline, refused } = this.form.dataset;
    const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });
    this.state("sending");
    find("[data-cancel]", this.form).focus({ preventScroll: true });
    this.sending = upload(this.form, this.file, (share) => {
      bar.value = share;
      this.part.progressText.textContent = share < 1 ? fill(sending, { percent: percent.format(share) }) : sent;
    });
    const outcome = await this.sending.finished;
    this.sending = null;
    if (outcome.url) {
      say(this.part.say, sent);
      if (!this.image.hidden) keepPreview(outcome.id, this.image);
      location.assign(outcome.url);
    } else if (outcome.cancelled) {
      this.state("chosen");
      find("[data-submit]", this.form).focus();
    } else {
      this.state("chosen");
      find("span", this.part.error).textContent = outcome.message ?? (outcome.offline ? offline : refused);
      show(this.part.error);
      find("[data-submit]", this.form).focus();
    }
  }
}
