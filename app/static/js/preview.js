// A small copy of the picture goes with the reader to the search's page, which has none before the worker has read it.

const SIDE = 480; // pixels
const PREFIX = "preview:";

export function keepPreview(id, image) {
  const scale = Math.min(1, SIDE / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  try {
    sessionStorage.setItem(PREFIX + id, canvas.toDataURL("image/webp", 0.8));
  } catch {
    // Storage is full or switched off: the page then shows a placeholder for a second or two.
  }
}

/** Show the kept copy in `frame`, if there is one and the server sent no picture. */
export function showPreview(id, frame) {
  const kept = sessionStorage.getItem(PREFIX + id);
  if (!kept || frame.querySelector("img")) return;
  const image = new Image();
  image.alt = "";
  image.src = kept;
  frame.replaceChildren(image);
}

export function dropPreview(id) {
  sessionStorage.removeItem(PREFIX + id);
}
