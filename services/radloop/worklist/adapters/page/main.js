// The page: a list that moves, a case that stays. Wires list, image, panel and keys together.

import { get, query } from "./api.js";
import { $, el, fill, toast } from "./dom.js";
import { edit } from "./edit.js";
import { List, keyOf } from "./list.js";
import { showActions, showAnswer, showFacts, showFinding, showPlace } from "./panel.js";
import { OpenCase } from "./session.js";
import { Viewer } from "./viewer.js";
import { clock, name, opposite, value } from "./words.js";

const PAUSE_MS = 200; // between two looks at a list that changes all the time
const UNNAMED = "unnamed";
const READER = "radloop.reader";

let view = "reading";
let open = null; // the case on the screen
let wanted = 0; // counts openings, so that a slow one never overtakes a later one
let lastIndex = 0;
let busy = false;
let looks = 0;
let spoke = null; // which version spoke when the page last looked

const list = new List((key) => openRow(key));
const viewer = new Viewer((at) => showWindow(at));
const reader = () => $("reader").value.trim();

// ---- the list -------------------------------------------------------------------------------------------------------

let refreshing = false;
let again = false;

async function refresh() {
  if (refreshing) { again = true; return; }
  refreshing = true;
  try {
    const asked = view;
    const [rows, other, serving] = await Promise.all([
      get(`/api/rows${query({ view: asked })}`),
      asked === "reviews" ? get("/api/rows?view=reading") : get("/api/rows?view=reviews"),
      get("/api/serving"),
    ]);
    if (asked === view) list.show(view, rows.rows, rows.at);
    if (asked !== "done") $("count-reading").textContent = (asked === "reviews" ? other : rows).rows.length || "";
    $("count-reviews").textContent = (asked === "reviews" ? rows : other).rows.length || "";
    showServing(serving);
    if (open) lastIndex = list.index(list.current) >= 0 ? list.index(list.current) : lastIndex;
  } catch (error) {
    $("live-text").textContent = error.message;
  } finally {
    refreshing = false;
    if (again) { again = false; setTimeout(refresh, PAUSE_MS); }
  }
}

function showServing(serving) {
  $("serving").dataset.mode = serving.mode;
  const speaks = serving.mode === "production" || serving.mode === "canary";
  const now = speaks ? serving.version : 0;
  // The list is about to be put in another order: say so at the moment it happens.
  if (spoke !== null && now !== spoke) toast(!now ? "No version serves any more: first in, first out"
    : `${serving.model} v${now} ${serving.mode === "canary" ? "is on trial" : "serves"} from now on`);
  spoke = now;
  const parts = {
    production: ["serving ", el("b", {}, `${serving.model} v${serving.version}`)],
    canary: ["on trial ", el("b", {}, `${serving.model} v${serving.version}`)],
    shadow: [el("b", {}, "Model in shadow"), ": first in, first out"],
    none: [el("b", {}, "No model yet"), ": first in, first out"],
  }[serving.mode];
  const shadow = serving.mode !== "shadow" && serving.shadow ? ` · v${serving.shadow} in shadow` : "";
  const since = speaks && serving.since ? ` since ${clock(serving.since)}` : "";
  fill($("serving"), ...parts, since, shadow, speaks && serving.note ? ` · ${serving.note}` : "");
}

function choose(next) {
  if (next === view) return;
  view = next;
  for (const tab of document.querySelectorAll(".tabs button")) tab.setAttribute("aria-selected", String(tab.dataset.view === view));
  list.mark("");
  lastIndex = 0;
  refresh();
}

// ---- the case -------------------------------------------------------------------------------------------------------

function openRow(key) {
  const row = list.row(key);
  if (!row) return;
  list.mark(key);
  list.reveal(key);
  lastIndex = list.index(key);
  openCase(row.case_id, view === "reviews" ? row.request_id : "");
}

async function openCase(caseId, requestId) {
  const mine = ++wanted;
  busy = true;
  try {
    const loaded = await OpenCase.load(caseId, requestId);
    if (mine !== wanted) return;
    open = loaded;
    open.key = list.current;
    const named = open.screen.evidence;
    open.picture = Math.max(0, open.screen.pictures.findIndex((one) => named && one.sop_instance_uid === named.sop_instance_uid && one.frame === named.frame));
    viewer.clear();
    document.body.dataset.drawn = "";
    $("case").hidden = false;
    $("stage-hint").hidden = true;
    $("replaced").hidden = true;
    showFacts(open.screen);
    showFinding(open.screen);
    showRow(open.row);
    loaded.opened(reader() || UNNAMED).catch((error) => toast(error.message, "refused"));
    await showPicture(loaded);
  } catch (error) {
    if (mine === wanted) {
      toast(error.message, "refused");
      list.mark(open ? open.key : "");
    }
  } finally {
    if (mine === wanted) busy = false;
  }
}

async function showPicture(of) {
  const longest = Math.max($("canvas").clientWidth, $("canvas").clientHeight) * (devicePixelRatio || 1) > 1100 ? 2048 : 1024;
  const at = of.picture;
  const picture = of.screen.pictures[at];
  if (!picture) { toast("this case has no image to show", "refused"); return; }
  const place = of.screen.pictures.length > 1 ? `image ${at + 1} of ${of.screen.pictures.length} (I)` : "";
  fill($("what"), el("b", {}, [picture.modality, picture.view].filter(Boolean).join(" ")), el("br"), [of.screen.study_date, place].filter(Boolean).join(" · "));
  const map = of.evidence().catch(() => null);
  const [header, pixels] = await of.image(longest);
  if (of !== open || at !== of.picture) return;
  viewer.load(header, pixels);
  const values = await map;
  if (of !== open || at !== of.picture) return;
  viewer.evidence(values);
  document.body.dataset.drawn = `${of.caseId} ${at}`;
}

// Only where the case stands and what was answered: never what is being looked at.
function showRow(row) {
  open.row = row;
  showPlace(row);
  showAnswer(row);
  showActions(open.screen, row, press);
}

async function refreshOpen() {
  const of = open;
  if (!of) return;
  const mine = ++looks; // an earlier look that comes back later must not undo what this one shows
  let row;
  try { row = await of.now(); } catch { return; }
  if (of !== open || mine !== looks) return;
  const shown = of.screen.row;
  const images = row.revision !== shown.revision;
  const reading = row.prediction_id !== shown.prediction_id;
  const standing = row.standing !== shown.standing;
  showRow(row);
  $("replaced").hidden = !(images || reading || standing);
  if (images || reading || standing) {
    const what = images ? "New images arrived." : standing ? `The case is now ${row.standing}.` : shown.ai_hidden ? "The model's reading can be shown now." : "The model's reading changed.";
    fill($("replaced"), `${what} This screen is as you opened it. `, el("kbd", {}, "L"), " loads what is new.");
  }
}

function showWindow(at) {
  fill($("window"), at.header && [`W ${Math.round(at.width)} · L ${Math.round(at.center)}`, el("br"), `zoom ${Math.round(at.zoom * 100)} %`]);
  const here = at.header && at.overlay;
  fill($("map"), here && [at.overlayOn ? "evidence map on " : "evidence map off ", el("kbd", {}, "O")]);
}

// ---- what the keys do -----------------------------------------------------------------------------------------------

function named() {
  if (reader()) { $("reader").classList.remove("wanted"); return true; }
  $("reader").classList.add("wanted");
  $("reader").focus();
  toast("Say who you are first: your name goes with the answer", "refused");
  return false;
}

// `of` is the case that was open when the key was pressed; by the time the answer is back, another may be.
async function command(of, words, ask) {
  if (!named()) return;
  try {
    await ask();
    toast(`${words} · ${name(of.screen.row.person)}`);
  } catch (error) {
    toast(`Not recorded for ${name(of.screen.row.person)}: ${error.message}`, "refused");
  }
  refresh();
  refreshOpen();
}

function answered(of, kind, words, answers) {
  return command(of, words, () => of.verdict(reader(), kind, answers));
}

function press(key) {
  const of = open;
  if (!of) return;
  if (busy) { toast("The case is still being opened: nothing was recorded", "refused"); return; }
  const { said } = of.screen.row;
  const all = (pick) => said.map((one) => ({ code: one.code, value: pick(one) }));
  if ((key === "a" || key === "r") && !said.length) {
    toast(of.screen.row.ai_hidden ? "The model's answer is hidden: say yours with E" : "The model said nothing of this case: answer with E", "refused");
  } else if (key === "a") {
    answered(of, "accept", "Accepted", all((one) => one.answer));
  } else if (key === "r") {
    answered(of, "reject", `Rejected: ${value[opposite[said[0].answer]]}`, all((one) => opposite[one.answer]));
  } else if (key === "c") {
    answered(of, "cannot-say", "Recorded: cannot say", of.screen.findings.map((code) => ({ code, value: "cannot-say" })));
  } else if (key === "e") {
    if (named()) edit(of.screen, (answers) => answered(of, "refine", "Recorded", answers));
  } else if (key === "z") {
    const { answer } = of.row;
    if (!answer) toast("There is no answer to take back", "refused");
    else if (answer.reader !== reader()) toast(`This answer is ${answer.reader}'s`, "refused");
    else command(of, "Taken back", () => of.takeBack(reader(), answer.verdict_id));
  } else if (key === "u") {
    if (of.row.move !== "lifted") toast("This case was not moved", "refused");
    else command(of, "The case has its own place back", () => of.undo(reader()));
  }
}

const ACTS = new Set(["a", "r", "c", "e", "z", "u"]);
const VIEWS = { 1: "reading", 2: "reviews", 3: "done" };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.target === $("reader")) {
    if (event.key === "Enter" || event.key === "Escape") $("reader").blur();
    return;
  }
  const key = event.key.toLowerCase();
  if (event.repeat && key !== "j" && key !== "k") return;
  if (key === "j" || key === "arrowdown") { const next = list.neighbour(1, lastIndex); if (next) openRow(next); }
  else if (key === "k" || key === "arrowup") { const next = list.neighbour(-1, lastIndex); if (next) openRow(next); }
  else if (ACTS.has(key)) press(key);
  else if (key === "o") viewer.toggle();
  else if (key === "0") viewer.reset();
  else if (key === "i" && open && open.screen.pictures.length > 1) { open.picture = (open.picture + 1) % open.screen.pictures.length; viewer.evidence(null); showPicture(open); }
  else if (key === "l" && open) openCase(open.caseId, open.requestId);
  else if (VIEWS[key]) choose(VIEWS[key]);
  else if (key === "?") $("help").showModal();
  else return;
  event.preventDefault();
});

for (const tab of document.querySelectorAll(".tabs button")) tab.addEventListener("click", () => { choose(tab.dataset.view); tab.blur(); });
$("help-button").addEventListener("click", (event) => { event.currentTarget.blur(); $("help").showModal(); });
$("reader").value = localStorage.getItem(READER) || "";
$("reader").addEventListener("input", () => { localStorage.setItem(READER, reader()); $("reader").classList.toggle("wanted", !reader()); });
document.addEventListener("visibilitychange", () => open?.visible(!document.hidden));

// ---- live -----------------------------------------------------------------------------------------------------------

const events = new EventSource("/api/events");
events.onopen = () => {
  $("live").dataset.on = "true";
  $("live-text").textContent = "live";
  refresh();
  refreshOpen();
};
events.onerror = () => {
  $("live").dataset.on = "false";
  $("live-text").textContent = "not live: reconnecting";
};
events.addEventListener("changed", (event) => {
  const { case_ids: cases } = JSON.parse(event.data);
  refresh();
  if (open && (!cases.length || cases.includes(open.caseId))) refreshOpen();
});

async function openedFromOutside() {
  const accession = new URLSearchParams(location.search).get("accession");
  await refresh();
  if (!accession) return;
  history.replaceState(null, "", "/"); // an accession number is nobody's business in a history of addresses
  try {
    const { case_ids: cases } = await get(`/api/find${query({ accession })}`);
    if (!cases.length) { toast("No case has this accession number (yet)", "refused"); return; }
    if (cases.length > 1) toast(`${cases.length} cases have this accession number: this is the first`);
    const row = list.rows.find((one) => one.case_id === cases[0]);
    if (row) openRow(keyOf(row, view));
    else openCase(cases[0], "");
  } catch (error) {
    toast(error.message, "refused");
  }
}

openedFromOutside();
