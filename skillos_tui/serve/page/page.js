// Keys go to the terminal once it shows something, and to the link when the workbench has ended.
// Before that its socket is not open, and it cannot report its focus.
"use strict";

function giveFocus() {
  const ended = document.body.classList.contains("-closed");
  const shown = document.body.classList.contains("-first-byte");
  const target = ended ? ".ended a" : shown ? ".xterm-helper-textarea" : null;
  if (target) document.querySelector(target).focus();
}

window.addEventListener("load", () => {
  new MutationObserver(giveFocus).observe(document.body, { attributes: true, attributeFilter: ["class"] });
});
