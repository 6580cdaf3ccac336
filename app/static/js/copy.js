// Copy a command or a token to the clipboard.

const SHOWN_FOR = 2000; // milliseconds

export function startCopy(button) {
  if (!navigator.clipboard) return; // available only in secure contexts; the text can still be selected
  button.hidden = false;
  const label = button.getAttribute("aria-label");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.dataset.copied = "";
    button.setAttribute("aria-label", button.dataset.done);
    setTimeout(() => {
      delete button.dataset.copied;
      button.setAttribute("aria-label", label);
    }, SHOWN_FOR);
  });
}
