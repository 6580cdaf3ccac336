// Check a picture before it is uploaded. The server decides; this only avoids a wait.

const READABLE = /^image\/(jpeg|png|webp|gif|bmp|x-ms-bmp|tiff|heic|heif|avif)$/;
const NAMES = /\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|hei[cf]|avif)$/i; // some systems have no media type for HEIC

/** Return the name of the message about what is wrong with a file, or null. */
export function wrongWithFile(file, maxBytes) {
  if (file.size === 0) return "empty";
  if (!READABLE.test(file.type) && !NAMES.test(file.name)) return "unsupportedFormat";
  if (file.size > maxBytes) return "tooLarge";
  return null;
}

/** Return the name of the message about what is wrong with a decoded picture, or null. */
export function wrongWithPicture(image, maxPixels) {
  return image.naturalWidth * image.naturalHeight > maxPixels ? "tooManyPixels" : null;
}
