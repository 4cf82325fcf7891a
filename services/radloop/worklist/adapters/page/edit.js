// The dialog behind E: an absolute answer for each finding. It belongs to the case it was opened for, whatever the list does.

import { $, el, fill } from "./dom.js";
import { finding, name, value } from "./words.js";

const KEYS = { p: "present", n: "absent", c: "cannot-say" };
const OPTIONS = ["present", "absent", "cannot-say"];

export function edit(screen, done) {
  const dialog = $("edit");
  const chosen = new Map(screen.row.said.map((said) => [keyOf(said.code), said.answer]));
  let at = 0;

  const draw = () => {
    fill($("edit-findings"), ...screen.findings.map((code, index) => el("div", { class: `choice ${index === at ? "on" : ""}` },
      el("span", {}, finding(code)),
      el("span", { class: "options" }, OPTIONS.map((option) => el("button", {
        type: "button", "aria-pressed": String(chosen.get(keyOf(code)) === option),
        onclick: () => { at = index; chosen.set(keyOf(code), option); draw(); },
      }, value[option]))))));
    dialog.focus(); // the button that had it is gone
  };
  const finish = () => {
    if (screen.findings.some((code) => !chosen.has(keyOf(code)))) return;
    dialog.close();
    done(screen.findings.map((code) => ({ code, value: chosen.get(keyOf(code)) })));
  };
  dialog.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (KEYS[key]) chosen.set(keyOf(screen.findings[at]), KEYS[key]);
    else if (key === "arrowdown") at = Math.min(at + 1, screen.findings.length - 1);
    else if (key === "arrowup") at = Math.max(at - 1, 0);
    else if (key === "enter") { event.preventDefault(); finish(); return; }
    else return;
    event.preventDefault();
    draw();
  };
  $("edit-whose").textContent = `${name(screen.row.person)} · ${screen.row.person.id}`;
  dialog.showModal();
  draw();
}

const keyOf = (code) => `${code.system}|${code.value}`;
