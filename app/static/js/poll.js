// Poll a URL for JSON, with growing pauses, until told to stop.

const FIRST = 300; // milliseconds
const LONGEST = 4000;
const GROWTH = 1.35;
const LOST_FIRST = 2000;
const LOST_LONGEST = 20_000;
const TIMEOUT = 8000;

/**
 * `onAnswer(data, response)` returns true to stop. `onLost(milliseconds)` is called after a failed request with the pause
 * before the next one, and `onGone()` when the page no longer exists. Returns a function that sends a request at once.
 */
export function poll(url, { onAnswer, onLost, onGone }) {
  let pause = FIRST;
  let lost = LOST_FIRST;
  let timer = null;
  let asking = false;

  const later = (milliseconds) => {
    timer = setTimeout(ask, milliseconds);
  };
  const ask = async () => {
    if (asking) return;
    clearTimeout(timer);
    timer = null;
    if (document.hidden) return; // resumes when the page is visible again
    asking = true;
    try {
      await once();
    } finally {
      asking = false;
    }
  };
  const once = async () => {
    let response;
    let data;
    try {
      response = await fetch(url, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(TIMEOUT) });
      if (response.status === 404 || response.status === 410) return onGone();
      if (!response.ok) throw new Error(response.statusText);
      data = await response.json();
    } catch {
      onLost(lost);
      later(lost);
      lost = Math.min(lost * 2, LOST_LONGEST);
      return;
    }
    lost = LOST_FIRST;
    if (await onAnswer(data, response)) return stop();
    later(pause);
    pause = Math.min(pause * GROWTH, LONGEST);
  };
  const seen = () => !document.hidden && ask();
  const stop = () => {
    document.removeEventListener("visibilitychange", seen);
    removeEventListener("online", ask);
  };
  document.addEventListener("visibilitychange", seen);
  addEventListener("online", ask);
  later(pause);
  return ask;
}
