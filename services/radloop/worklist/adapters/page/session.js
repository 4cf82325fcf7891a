// The case that is open. What was shown is frozen when it is opened: every command names that, and nothing else.

import { bytes, casePath, get, newId, post, query } from "./api.js";

export class OpenCase {
  static async load(caseId, requestId) {
    const screen = await get(casePath(caseId) + query({ request: requestId }));
    return new OpenCase(screen, requestId);
  }

  constructor(screen, requestId) {
    this.screen = Object.freeze(screen);
    this.caseId = screen.row.case_id;
    this.requestId = requestId; // the review it was opened from, empty where it was opened from the list
    this.answersTo = requestId || screen.row.request_id;
    this.row = screen.row;
    this.picture = 0;
    this.spent = 0;
    this.seenSince = document.hidden ? null : performance.now();
  }

  get shown() {
    const { revision, prediction_id } = this.screen.row;
    return { revision, prediction_id, ai_shown: this.screen.ai_shown, request_id: this.answersTo };
  }

  // Seconds with the case on a visible page.
  get seconds() {
    const running = this.seenSince === null ? 0 : performance.now() - this.seenSince;
    return Math.round((this.spent + running) / 100) / 10;
  }

  visible(yes) {
    if (yes && this.seenSince === null) this.seenSince = performance.now();
    if (!yes && this.seenSince !== null) { this.spent += performance.now() - this.seenSince; this.seenSince = null; }
  }

  opened(reader) {
    return post(casePath(this.caseId, "open"), { command_id: newId(), reader, ...this.shown });
  }

  verdict(reader, kind, answers) {
    const verdict = { verdict_id: newId(), reader, kind, answers, seconds_spent: this.seconds, ...this.shown };
    return post(casePath(this.caseId, "verdicts"), verdict);
  }

  takeBack(reader, verdictId) {
    return post(casePath(this.caseId, "verdicts", encodeURIComponent(verdictId), "take-back"), { command_id: newId(), reader });
  }

  undo(reader) {
    return post(casePath(this.caseId, "undo"), { command_id: newId(), reader });
  }

  // Looks at the case as it is now, without changing what is on the screen.
  async now() {
    return (await get(casePath(this.caseId) + query({ request: this.requestId }))).row;
  }

  async image(longest) {
    const { sop_instance_uid, frame } = this.screen.pictures[this.picture];
    const path = casePath(this.caseId, "images", encodeURIComponent(sop_instance_uid), frame);
    const [header, buffer] = await Promise.all([get(path + query({ longest })), bytes(`${path}/pixels${query({ longest })}`)]);
    return [header, buffer];
  }

  async evidence() {
    const said = this.screen.row.said[0];
    const { evidence, pictures } = this.screen;
    const here = pictures[this.picture];
    if (!said || !evidence || evidence.sop_instance_uid !== here.sop_instance_uid || evidence.frame !== here.frame) return null;
    return get(casePath(this.caseId, "evidence") + query({ request: this.requestId, system: said.code.system, value: said.code.value }));
  }
}
