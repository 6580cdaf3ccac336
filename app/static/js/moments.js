// Times come from the server in UTC; the reader's browser knows the reader's time zone.

export function showMoments(root) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[data-moment]")) {
    time.textContent = format.format(new Date(time.dateTime));
  }
}
