// Files that are dropped on the page or pasted.

/** Call `take` with the files that are dropped anywhere on the page; `target` is highlighted meanwhile. */
export function onDrop(target, take) {
  let depth = 0; // dragenter and dragleave fire for every element that is crossed
  const carriesFile = (event) => event.dataTransfer?.types.includes("Files");
  const leave = () => {
    depth = 0;
    delete target.dataset.over;
  };
  document.addEventListener("dragenter", (event) => {
    if (!carriesFile(event)) return;
    depth += 1;
    target.dataset.over = "";
  });
  document.addEventListener("dragleave", (event) => {
    if (carriesFile(event) && --depth <= 0) leave();
  });
  document.addEventListener("dragover", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    leave();
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
  });
}

/** Call `take` with the pictures that are pasted. */
export function onPaste(take) {
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
}
