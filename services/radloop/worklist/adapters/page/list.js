// The list as triage orders it. Rows are kept by case, so that one that moves is the same row, and slides to its place.

import { $, el, fill } from "./dom.js";
import { age, answerWords, finding, movement, name, percent, risWords, sexMark, waited } from "./words.js";

const CLASS = { stat: "STAT", raised: "raised" };

export const keyOf = (row, view) => (view === "reviews" ? `${row.case_id}/${row.request_id}` : row.case_id);

export class List {
  constructor(open) {
    this.open = open;
    this.elements = new Map();
    this.rows = [];
    this.view = "reading";
    this.skew = 0;
    this.current = "";
    setInterval(() => this.tick(), 1000);
  }

  show(view, rows, at) {
    const moved = view === this.view ? this.positions() : null;
    if (view !== this.view) this.clear();
    this.view = view;
    this.skew = new Date(at).getTime() - Date.now();
    const before = new Map(this.rows.map((row) => [keyOf(row, view), JSON.stringify(row)]));
    this.rows = rows;
    const holder = $("rows");
    const kept = new Set();
    rows.forEach((row, index) => {
      const key = keyOf(row, view);
      kept.add(key);
      const was = before.get(key);
      let element = this.elements.get(key);
      if (!element) {
        element = el("li", { class: "row", "data-case": row.case_id, onclick: () => this.open(key) });
        this.elements.set(key, element);
      }
      if (was !== JSON.stringify(row)) {
        this.draw(element, row);
        if (was) this.flash(element);
      }
      if (holder.children[index] !== element) holder.insertBefore(element, holder.children[index] || null);
    });
    for (const [key, element] of this.elements) {
      if (!kept.has(key)) { element.remove(); this.elements.delete(key); }
    }
    $("empty").hidden = rows.length > 0;
    $("empty").textContent = {
      reading: "Nothing waits to be read.",
      reviews: "Nobody asks for an answer.",
      done: "Nothing has been signed or cancelled yet.",
    }[view];
    this.mark(this.current);
    this.tick();
    if (moved) this.slide(moved);
  }

  clear() {
    for (const element of this.elements.values()) element.remove();
    this.elements.clear();
    this.rows = [];
  }

  mark(key) {
    this.current = key;
    for (const [one, element] of this.elements) element.setAttribute("aria-current", String(one === key));
  }

  reveal(key) {
    this.elements.get(key)?.scrollIntoView({ block: "nearest" });
  }

  row(key) {
    return this.rows.find((row) => keyOf(row, this.view) === key) || null;
  }

  // The neighbour of the open case as the list stands now; `last` is where it stood, should it have left.
  neighbour(step, last) {
    const at = this.rows.findIndex((row) => keyOf(row, this.view) === this.current);
    const to = at >= 0 ? at + step : step > 0 ? last : last - 1;
    const row = this.rows[Math.min(Math.max(to, 0), this.rows.length - 1)];
    return row ? keyOf(row, this.view) : null;
  }

  index(key) {
    return this.rows.findIndex((row) => keyOf(row, this.view) === key);
  }

  draw(element, row) {
    const said = row.said[0];
    const move = movement(row);
    const review = this.view === "reviews";
    element.dataset.urgency = review ? "" : row.urgency;
    element.classList.toggle("answered", Boolean(row.answer));
    fill(element, el("div", { class: "body" },
      el("div", { class: "line" },
        el("span", { class: "name" }, name(row.person)),
        el("span", { class: "facts" }, [age(row.person.age_years), sexMark(row.person.sex)].filter(Boolean).join(" ")),
        el("span", { class: "wait", "data-arrived": row.arrived_at, "data-by": row.read_by || "" }),
      ),
      el("div", { class: "line" }, this.findingOf(row, said), el("span", { class: "chips" }, this.chips(row, review))),
      move && el("div", { class: `reason ${row.move}`, title: row.reason }, el("b", {}, move.head), move.rest && `: ${move.rest}`),
    ));
  }

  findingOf(row, said) {
    if (row.ai_hidden) return el("span", { class: "finding none" }, "your own reading first: AI hidden");
    if (row.unread) return el("span", { class: "finding none", title: row.unread }, `no AI: ${row.unread}`);
    if (!said) return el("span", { class: "finding none" }, row.description || "no AI reading");
    const words = said.unsure ? " · unsure" : said.answer === "absent" ? " · not likely" : "";
    return el("span", { class: `finding ${said.answer}` }, `${finding(said.code)} `, el("b", {}, percent(said.probability)), words);
  }

  chips(row, review) {
    const chip = (kind, text, title = "") => el("span", { class: `chip ${kind}`, title }, text);
    return [
      !review && CLASS[row.urgency] && chip(row.urgency, CLASS[row.urgency]),
      !review && row.urgency === "routine" && row.priority === "asap" && chip("asap", "ASAP"),
      row.unmatched && chip("warn", "unmatched", "no order agrees with these images: read, but not published"),
      row.revision > 1 && chip("", `images ${row.revision}`, "late images arrived: this is a newer revision"),
      row.asked && !review && chip("review", "review", "an answer is asked for"),
      !review && row.ris && chip(row.ris.outcome === "refused" ? "refused" : "", row.ris.outcome === "refused" ? "RIS refused" : "RIS", risWords(row.ris)),
      row.standing === "signed" && chip("done", "signed"),
      row.standing === "cancelled" && chip("", "cancelled"),
      row.answer && chip("done", `✓ ${row.answer.kind === "cannot-say" ? "cannot say" : row.answer.kind}`, `${answerWords(row.answer)} · ${row.answer.reader}`),
    ];
  }

  tick() {
    const now = Date.now() + this.skew;
    for (const wait of document.querySelectorAll("#rows .wait")) {
      const late = wait.dataset.by && new Date(wait.dataset.by).getTime() < now && this.view === "reading"
        && !wait.closest(".row").classList.contains("answered");
      const text = this.view === "reading" ? `${late ? "late · " : ""}${waited(now - new Date(wait.dataset.arrived).getTime())}` : "";
      if (wait.textContent !== text) wait.textContent = text;
      wait.classList.toggle("late", Boolean(late));
    }
  }

  flash(element) {
    element.classList.remove("changed");
    void element.offsetWidth;
    element.classList.add("changed");
  }

  positions() {
    return new Map([...this.elements].map(([key, element]) => [key, element.offsetTop]));
  }

  slide(before) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    for (const [key, element] of this.elements) {
      const delta = (before.get(key) ?? element.offsetTop) - element.offsetTop;
      if (delta) element.animate([{ transform: `translateY(${delta}px)` }, { transform: "none" }], { duration: 320, easing: "ease-in-out" });
    }
  }
}
