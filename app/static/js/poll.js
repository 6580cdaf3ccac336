// Asks for a URL's JSON again and again, with growing pauses, until told that it is enough.

const FIRST = 300; // milliseconds
const LONGEST = 4000;
const GROWTH = 1.35;
const LOST_FIRST = 2000;
const LOST_LONGEST = 20_000;
const TIMEOUT = 8000;

/**
 * `onAnswer(data, response)` returns true when it is enough. `onLost(milliseconds)` hears of a failed try and of the
 * pause before the next; `onGone()` of a page that is no longer there. Returns a function that tries at once.
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
    if (document.hidden) return; // goes on when the page is seen again
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
