// Sends the form with a picture. XMLHttpRequest, since fetch cannot tell how far an upload has come.

const TIMEOUT = 120_000; // milliseconds

/**
 * Send `file` as the form's image. `onProgress` gets the share sent, 0 to 1. `finished` resolves to
 * {id, url}, {cancelled}, {offline} or {message} (what the server says is wrong), and never rejects.
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
    return {}; // a proxy's own page, say: the caller has words for that
  }
  if (request.status === 201) return { id: answer.id, url: answer.url };
  return { message: answer.error?.message };
}
