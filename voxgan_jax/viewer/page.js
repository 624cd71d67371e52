// The page's buttons that copy a text, and its parts that are folded on screen and open on paper.
(() => {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    const status = button.parentElement.querySelector("[role=status]");
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = source.textContent.replace(/\s+/g, " ").trim();
      let done = true;
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        // Some browsers give a page that was opened as a file no clipboard.
        getSelection().selectAllChildren(source);
        done = document.execCommand("copy");
      }
      status.textContent = done ? "Copied." : "Now press Ctrl-C or Cmd-C.";
    });
  }
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details.paper-open:not([open])")];
    for (const part of folded) part.open = true;
  });
  addEventListener("afterprint", () => {
    for (const part of folded) part.open = false;
  });
})();
