// Live parts: the server renders, this only swaps. Without scripts the page is still whole.
const status = document.getElementById("live");
const say = (state, text) => { if (status) { status.dataset.state = state; status.textContent = text; } };
const part = document.querySelector("[data-live]");
if (part) {
  const source = new EventSource(part.dataset.live);
  source.onopen = () => say("on", "live");
  source.onerror = () => say("cut", "the stream was cut: connecting again");
  for (const target of document.querySelectorAll("[data-event]")) {
    source.addEventListener(target.dataset.event, (event) => {
      const focused = document.activeElement?.getAttribute?.("href");
      target.innerHTML = event.data;
      // Swapping must not lose the place of someone who uses the keyboard.
      if (focused) target.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
    });
  }
}
