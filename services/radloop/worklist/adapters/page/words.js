// Facts into words, one way everywhere.

export const percent = (probability) => {
  if (probability > 0.99) return ">99 %";
  if (probability < 0.01) return "<1 %";
  return `${Math.round(probability * 100)} %`;
};

export const value = { present: "present", absent: "absent", "cannot-say": "cannot say" };
export const opposite = { present: "absent", absent: "present" };

export function waited(milliseconds) {
  const minutes = Math.max(0, Math.floor(milliseconds / 60000));
  if (minutes < 60) {
    const seconds = Math.max(0, Math.floor(milliseconds / 1000)) % 60;
    return `${minutes}:${String(seconds).padStart(2, "0")}`;
  }
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")}`;
  return `${Math.floor(minutes / 1440)} d`;
}

export function age(years) {
  if (years === null || years === undefined) return "age unknown";
  if (years < 2) return `${Math.max(0, Math.floor(years * 12))} mo`;
  return `${Math.floor(years)} y`;
}

export const sex = (code) => ({ M: "male", F: "female", O: "other" })[code] || "sex unknown";
export const sexMark = (code) => ({ M: "m", F: "f", O: "o" })[code] || "";
export const name = (person) => person.name || (person.id ? `ID ${person.id}` : "unknown patient");
export const clock = (instant) => new Date(instant).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
export const finding = (code) => code.display || code.value;

export function answerWords(answer) {
  const said = answer.answers.map((one) => `${finding(one.code)} ${value[one.value]}`).join(", ");
  return said || answer.kind;
}

export function movement(row) {
  const head = { lifted: "lifted", kept: "kept its place", undone: "reordering undone" }[row.move];
  if (!head) return null;
  const rest = row.reason.replace(/^(lifted|kept its place|undone|reordering undone)[:,]?\s*/i, "").replace(/:\s*lifted$/i, "");
  return { head, rest };
}

export function risWords(ris) {
  if (!ris) return "";
  const what = ris.kind === "priority-undo" ? "own priority given back" : `priority${ris.code ? ` ${ris.code}` : ""}`;
  if (ris.outcome === "delivered") return `RIS took ${what}`;
  if (ris.outcome === "refused") return `RIS refused ${what}${ris.reason ? `: ${ris.reason}` : ""}`;
  return `RIS: ${what} ${ris.outcome}`;
}
