// Helpers that several modules share.

export const find = (selector, root = document) => root.querySelector(selector);
export const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];

export function show(element, visible = true) {
  if (element) element.hidden = !visible;
}

/** Fill in the values of a sentence that the server has translated, such as "number {n} in the queue". */
export function fill(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Announce a text to screen readers through a live region. */
export function say(region, text) {
  if (region && region.textContent !== text) region.textContent = text;
}

/** Return a random token of 32 hexadecimal digits. (randomUUID would need HTTPS.) */
export function freshToken() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
