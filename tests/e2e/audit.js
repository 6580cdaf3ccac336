// Return a list of faults of the page: WCAG 2.2 AA as far as a program can check it.
() => {
  const LEAST_TARGET = 24; // CSS pixels, WCAG 2.5.8
  const wrong = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const outline = (element) => element.cloneNode(false).outerHTML.slice(0, 140);
  const shown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const heard = (element) => shown(element) && !element.closest("[aria-hidden=true]");
  const complain = (what, elements) => elements.forEach((one) => wrong.push(`${what}: ${outline(one)}`));

  // Structure
  if (!document.documentElement.lang) wrong.push("the page has no language");
  if (!document.title.trim()) wrong.push("the page has no title");
  if (all("main").length !== 1) wrong.push("there is not exactly one main");
  if (all("h1").filter(heard).length !== 1) wrong.push("there is not exactly one h1");
  const levels = all("h1, h2, h3, h4").filter(heard).map((heading) => Number(heading.tagName[1]));
  levels.forEach((level, at) => at && level > levels[at - 1] + 1 && wrong.push(`heading ${at + 1} skips a level`));
  const ids = all("[id]").map((element) => element.id);
  const twice = new Set(ids.filter((id, at) => ids.indexOf(id) !== at));
  twice.forEach((id) => wrong.push(`the id ${id} is used twice`));
  for (const name of ["for", "aria-labelledby", "aria-describedby", "aria-controls"]) {
    const dangling = (element) => element.getAttribute(name).split(/\s+/).some((id) => !ids.includes(id));
    complain(`${name} refers to nothing`, all(`[${name}]`).filter(dangling));
  }

  // Names
  const text = (element) =>
    [...element.childNodes]
      .map((node) => {
        if (node.nodeType === Node.TEXT_NODE) return node.data;
        if (node.nodeType !== Node.ELEMENT_NODE || node.ariaHidden === "true" || node.hidden) return "";
        return node.tagName === "IMG" ? node.alt : text(node);
      })
      .join(" ");
  const squeezed = (string) => string.replace(/\s+/g, " ").trim();
  const name = (element) => {
    const labels = element.ariaLabel ? [] : [...(element.labels ?? [])];
    return squeezed(element.ariaLabel ?? (labels.length ? labels.map(text).join(" ") : text(element)));
  };
  const controls = all("a[href], button, summary, input:not([type=hidden]), select, textarea").filter(shown);
  complain("without a name", controls.filter((control) => heard(control) && !name(control)));
  const otherwise = (control) => control.ariaLabel && control.innerText && !name(control).includes(squeezed(control.innerText));
  complain("accessible name differs from the text", controls.filter(otherwise));
  complain("without alternative text", all("img:not([alt])"));
  complain("hidden from screen readers but reachable by Tab", all("[aria-hidden=true]").filter((one) => shown(one) && one.matches("a[href]:not([tabindex='-1']), button")));

  // Contrast
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] > 240) return colour;
    }
    return [255, 255, 255];
  };
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const written = (element) => [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const faint = (element) => {
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    return contrast(rgba(style.color), ground(element)) < (large ? 3 : 4.5);
  };
  complain("too faint", all("body *").filter((one) => written(one) && shown(one) && !one.closest(":disabled, template") && faint(one)));

  // Space
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) wrong.push(`the page is ${document.documentElement.scrollWidth} px wide on ${width}`);
  const inText = (element) => element.matches("p a, li p a") && !element.classList.contains("button");
  const small = (element) => {
    const box = (element.closest("label") ?? element).getBoundingClientRect();
    return Math.min(box.width, box.height) < LEAST_TARGET && !element.closest(".visually-hidden");
  };
  complain("too small to hit", controls.filter((control) => !inText(control) && small(control)));
  complain("extends beyond the page", controls.filter((control) => control.getBoundingClientRect().right > width + 1));
  return wrong;
}
