// Builds elements from plain text only: nothing a patient's name could contain is ever read as HTML.

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("data-") || name.startsWith("aria-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...present(children));
  return element;
}

// Replaces what an element holds; what is absent (false, null, "") is left out.
export const fill = (element, ...children) => element.replaceChildren(...present(children));

const present = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== "");

export const $ = (id) => document.getElementById(id);

export function toast(text, kind = "") {
  const shown = el("div", { class: `toast ${kind}` }, text);
  $("toasts").append(shown);
  setTimeout(() => shown.remove(), kind === "refused" ? 7000 : 2600);
}
