// The page of a running search: update its stages, then replace them with the results.

import { fill, find, findAll, say, show } from "./dom.js";
import { poll } from "./poll.js";
import { dropPreview, showPreview } from "./preview.js";

export function startSearch(article, enhance) {
  const id = article.dataset.search;
  showPreview(id, find("[data-query-picture]", article));
  const clock = startClock(find("[data-elapsed]", article));
  const lost = startLost(find("[data-lost]", article));

  const tryNow = poll(article.dataset.statusUrl, {
    async onAnswer(state, response) {
      lost.clear();
      clock.adjust(response.headers.get("Date"));
      if (state.status !== "done" && state.status !== "failed") {
        move(article, state);
        return false;
      }
      clock.stop();
      move(article, state);
      return finish(article, id, enhance);
    },
    onLost: (milliseconds) => lost.show(milliseconds),
    onGone: () => location.reload(),
  });
  lost.onRetry(tryNow);
}

function move(article, { stage, position, notice }) {
  const stages = findAll("[data-stage]", article);
  const at = stages.findIndex((one) => one.dataset.stage === stage);
  if (at < 0) return;
  stages.forEach((one, index) => {
    one.dataset.state = index < at ? "past" : index === at ? "current" : "future";
    if (index === at) one.setAttribute("aria-current", "step");
    else one.removeAttribute("aria-current");
  });
  const place = find("[data-position]", article);
  place.textContent = stage === "waiting" && position ? fill(place.dataset.text, { n: position }) : "";
  say(find("[data-say]", article), find("[data-label]", stages[at]).textContent);
  const box = find("[data-notice]", article);
  if (notice) say(find("p", box), notice);
  show(box, Boolean(notice));
}

/** Fetch the page again and replace its content. Resolves to whether that succeeded. */
async function finish(article, id, enhance) {
  let page;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!response.ok) throw new Error(response.statusText);
    page = new DOMParser().parseFromString(await response.text(), "text/html");
  } catch {
    return false; // the next poll tries again
  }
  const fresh = document.adoptNode(find("#search", page));
  const swap = () => {
    article.replaceWith(fresh);
    document.title = page.title;
    enhance(fresh);
    find("#outcome", fresh).focus({ preventScroll: true });
  };
  dropPreview(id);
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (document.startViewTransition && !still) document.startViewTransition(swap);
  else swap();
  return true;
}

function startClock(element) {
  const since = Date.parse(element.dataset.since);
  let skew = 0; // how far this machine's clock is ahead of the server's
  const tick = () => {
    const seconds = Math.max(0, Math.round((Date.now() - skew - since) / 1000));
    element.textContent = fill(element.dataset.text, { seconds });
  };
  const timer = setInterval(tick, 1000);
  return {
    adjust(header) {
      if (header) skew = Date.now() - Date.parse(header);
      tick();
    },
    stop: () => clearInterval(timer),
  };
}

function startLost(box) {
  const text = find("[data-lost-text]", box);
  return {
    show(milliseconds) {
      text.textContent = fill(text.dataset.text, { seconds: Math.round(milliseconds / 1000) });
      show(box);
    },
    clear: () => show(box, false),
    onRetry(tryNow) {
      find("[data-retry-now]", box).addEventListener("click", () => {
        text.textContent = text.dataset.trying;
        tryNow();
      });
    },
  };
}
