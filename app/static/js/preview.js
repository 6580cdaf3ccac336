// Keep a small copy of the uploaded picture for the page of the search, which has none until the worker has read it.

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
    // Storage is full or disabled: the page shows a placeholder until the worker has read the picture.
  }
}

/** Show the copy in `frame` if there is one and the server has sent no picture. */
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
