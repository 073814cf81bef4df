// Small comforts; every page works without them.
"use strict";

// A refused form comes back with its own page and a status of 422: show it like any other answer.
document.addEventListener("htmx:beforeSwap", (event) => {
  const status = event.detail.xhr.status;
  if (status === 422 || status === 409 || status === 402 || status === 403) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

// Links and tokens that are shown once are selected as soon as they are focused.
document.addEventListener("focusin", (event) => {
  if (event.target instanceof HTMLInputElement && event.target.readOnly) {
    event.target.select();
  }
});
