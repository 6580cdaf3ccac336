// Show times, which the server sends in UTC, in the reader's time zone.

export function showMoments(root) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[data-moment]")) {
    time.textContent = format.format(new Date(time.dateTime));
  }
}
