// Upload the form with a picture, by XMLHttpRequest, since fetch does not report the progress of an upload.

const TIMEOUT = 120_000; // milliseconds

/**
 * Send `file` as the form field "image". `onProgress` is called with the fraction sent, 0 to 1. `finished` resolves to
 * {id, url}, {cancelled}, {offline} or {message} (the error from the server), and never rejects.
 */
export function upload(form, file, onProgress) {
  const body = new FormData(form);
  body.set("image", file, file.name);
  const request = new XMLHttpRequest();
  const finished = new Promise((resolve) => {
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    });
    request.addEventListener("load", () => resolve(read(request)));
    request.addEventListener("abort", () => resolve({ cancelled: true }));
    request.addEventListener("error", () => resolve({ offline: true }));
    request.addEventListener("timeout", () => resolve({ offline: true }));
  });
  request.open("POST", form.action);
  request.timeout = TIMEOUT;
  request.setRequestHeader("Accept", "application/json");
  onProgress(0);
  request.send(body);
  return { finished, cancel: () => request.abort() };
}

function read(request) {
  let answer;
  try {
    answer = JSON.parse(request.responseText);
  } catch {
    return {}; // an error page of a proxy, for example: the caller shows a general message
  }
  if (request.status === 201) return { id: answer.id, url: answer.url };
  return { message: answer.error?.message };
}
