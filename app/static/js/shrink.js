// Make a smaller copy of a picture whose file is too large to be sent.

const SIDE = 4096; // pixels; more than the server's models and previews keep
const QUALITY = 0.92;
const SHRUNK = /^image\/(jpeg|png|webp|avif|heic|heif)$/; // not GIF: only the first frame would be left of a film

/** Resolve to a JPEG of at most `maxBytes`, upright, or to null if the browser cannot read or shrink the file. */
export async function shrunk(file, maxBytes) {
  if (!SHRUNK.test(file.type)) return null;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
    const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d");
    context.fillStyle = "white"; // JPEG would show what is transparent in black
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
    return blob && blob.size <= maxBytes ? new File([blob], file.name, { type: "image/jpeg" }) : null;
  } catch {
    return null; // no picture, or too large for this browser
  } finally {
    bitmap?.close();
  }
}
