// Check a picture before it is uploaded. The server decides; this only avoids a wait where its answer is certain.

const NAMES = /\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|hei[cf]|hif|mpo|avif)$/i; // some systems have no media type for HEIC
const UNKNOWN = new Set(["", "application/octet-stream"]);

/** Return the name of the message about what is wrong with a file, or null. */
export function wrongWithFile(file) {
  if (file.size === 0) return "empty";
  const known = UNKNOWN.has(file.type) || file.type.startsWith("image/") || NAMES.test(file.name);
  return known && file.type !== "image/svg+xml" ? null : "unsupportedFormat";
}

/** Return the name of the message about what is wrong with a decoded picture, or null. */
export function wrongWithPicture(image, file, { maxPixels, maxJpegPixels }) {
  const limit = file.type === "image/jpeg" ? maxJpegPixels : maxPixels;
  return image.naturalWidth * image.naturalHeight > Number(limit) ? "tooManyPixels" : null;
}
