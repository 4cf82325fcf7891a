// Talks to the door. A command that failed on the way may be sent again with the same id: it is done once.

export class Refused extends Error {}

async function answerOf(response) {
  if (response.ok) return response;
  let reason = `the platform answered ${response.status}`;
  try { reason = (await response.json()).reason || reason; } catch { /* no JSON: the status says it */ }
  throw new Refused(reason);
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    throw new Refused("the platform cannot be reached: nothing was recorded");
  }
}

export const get = async (path) => (await answerOf(await reach(path))).json();
export const bytes = async (path) => (await answerOf(await reach(path))).arrayBuffer();

export async function post(path, body) {
  const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const first = await reach(path, options).catch(() => null);
  const response = first && first.status !== 503 ? first : await reach(path, options);
  return (await answerOf(response)).json();
}

export const casePath = (caseId, ...rest) => ["/api/cases", encodeURIComponent(caseId), ...rest].join("/");
export const query = (fields) => {
  const given = Object.entries(fields).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length ? `?${new URLSearchParams(given)}` : "";
};
export const newId = () => crypto.randomUUID();
