// What stands beside the image: who, what was asked, what the model says, where the case stands, what each key would record.

import { $, el, fill } from "./dom.js";
import { age, answerWords, clock, finding, movement, name, opposite, percent, risWords, sex, value } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

export function showFacts(screen) {
  const { person } = screen.row;
  const facts = [
    ["ID", person.id ? `${person.id}${person.issuer ? ` · ${person.issuer}` : ""}` : "unknown"],
    ["Born", person.birth_date || "unknown"],
    ["Accession", screen.accession || "none"],
    ["Study date", screen.study_date || "unknown"],
    ["View", screen.view || "unknown"],
    ["Indication", screen.indication || "none given"],
  ];
  fill($("facts"),
    el("h1", {}, name(person)),
    el("p", { class: "sub" }, `${age(person.age_years)} · ${sex(person.sex)}${screen.row.description ? ` · ${screen.row.description}` : ""}`),
    el("dl", {}, facts.map(([term, fact]) => [el("dt", {}, term), el("dd", {}, fact)])),
    screen.row.unmatched && el("p", { class: "alert" }, `Unmatched${screen.unmatched_reason ? `: ${screen.unmatched_reason}` : ""}. Read it; nothing of it is published.`),
    screen.row.standing === "cancelled" && el("p", { class: "alert" }, "The order was cancelled."),
    screen.row.standing === "signed" && el("p", { class: "alert" }, "The report is signed."),
  );
  fill($("who"), el("b", {}, name(person)), el("br"), `${person.id || "no ID"} · ${age(person.age_years)} · ${sex(person.sex)}`);
}

export function showFinding(screen) {
  const { row } = screen;
  const heading = (right) => el("h2", {}, "Model", right && el("span", {}, right));
  if (row.ai_hidden) {
    fill($("finding"), el("div", { class: "card" }, heading("hidden"),
      el("div", {}, "Your own reading first. The model's answer is shown after yours: that is how it is measured.")));
    return;
  }
  if (!row.said.length) {
    const why = row.unread ? `No model read this study: ${row.unread}.` : "No model reading is shown for this study. It keeps its place: first in, first out.";
    fill($("finding"), el("div", { class: "card" }, heading(), el("div", { class: "dim" }, why)));
    return;
  }
  fill($("finding"), el("div", { class: "card" }, heading(`${row.model} v${row.version}`), row.said.map((said) => el("div", { class: "said" },
    el("div", { class: "head" }, el("span", { class: "name" }, finding(said.code)), el("span", { class: "percent" }, percent(said.probability))),
    meter(said),
    said.unsure
      ? el("div", { class: "says unsure" }, el("b", {}, "unsure"), `: neither answer can be ruled out (leans ${said.answer})`)
      : el("div", { class: "says" }, "says ", el("b", {}, said.answer)),
  ))));
}

// The calibrated probability as a bar, and each member of the ensemble as a mark on it: how far they agree is to be seen.
function meter(said) {
  const shape = (tag, attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [key, set] of Object.entries(attributes)) element.setAttribute(key, set);
    return element;
  };
  const x = (probability) => 3 + 294 * Math.min(Math.max(probability, 0), 1);
  const svg = shape("svg", { viewBox: "0 0 300 26", class: "meter", role: "img", preserveAspectRatio: "none" });
  svg.setAttribute("aria-label", `${percent(said.probability)}; members ${said.members.map(percent).join(", ")}`);
  svg.append(
    shape("rect", { x: 3, y: 11, width: 294, height: 4, rx: 2, fill: "#262d37" }),
    shape("rect", { x: 3, y: 11, width: Math.max(x(said.probability) - 3, 2), height: 4, rx: 2, fill: said.unsure ? "#a9a2d8" : "#7fb7c9" }),
    ...said.members.map((member) => shape("line", { x1: x(member), x2: x(member), y1: 6, y2: 20, stroke: "#c9d1da", "stroke-width": 1.5, "stroke-opacity": 0.6 })),
  );
  return svg;
}

export function showPlace(row) {
  const move = movement(row);
  const lines = [
    row.urgency === "stat" && el("p", { class: "refused" }, "STAT by the clinician"),
    move && el("p", { class: row.move }, `${move.head}${move.rest ? `: ${move.rest}` : ""}`),
    !move && row.reason && el("p", {}, row.reason),
    row.read_by && el("p", { class: "dim" }, `read by ${clock(row.read_by)} · arrived ${clock(row.arrived_at)}`),
    row.ris && el("p", { class: row.ris.outcome === "refused" ? "refused" : "dim" }, risWords(row.ris)),
  ].filter(Boolean);
  fill($("place"), lines.length > 0 && el("div", { class: "card" }, el("h2", {}, "Place in the list"), lines));
}

export function showAnswer(row) {
  const { answer } = row;
  fill($("answer"), answer && el("div", { class: "card" }, el("h2", {}, "Answer", el("span", {}, clock(answer.at))),
    el("div", {}, el("b", {}, answer.kind === "cannot-say" ? "cannot say" : answer.kind), ` · ${answerWords(answer)}`),
    el("div", { class: "dim" }, answer.reader)));
}

export function showActions(screen, row, press) {
  const said = screen.row.said;
  const names = said.map((one) => finding(one.code)).join(", ");
  const effect = (turned) => said.map((one) => value[turned ? opposite[one.answer] : one.answer]).join(", ");
  const button = (key, label, told, enabled = true) =>
    el("button", { disabled: !enabled, onclick: (event) => { event.currentTarget.blur(); press(key); } }, el("kbd", {}, key.toUpperCase()), el("span", {}, label), told && el("span", { class: "effect" }, told));
  fill($("actions"),
    button("a", "Accept", said.length ? `${names} ${effect(false)}` : "nothing to accept", said.length > 0),
    button("r", "Reject", said.length ? `${names} ${effect(true)}` : "nothing to reject", said.length > 0),
    el("div", { class: "pair" }, button("e", "Edit", ""), button("c", "Cannot say", "")),
    el("div", { class: "pair" }, button("z", "Take back", "", Boolean(row.answer)), button("u", "Undo move", "", row.move === "lifted")),
  );
}
