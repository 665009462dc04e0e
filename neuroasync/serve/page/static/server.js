// What the page asks of its server.

export class ServerError extends Error {}

const token = new URLSearchParams(location.search).get("token");

export function fetchAbout() {
  return ask("about");
}

/** The trace of a sample; `signal` gives it up. */
export function fetchTrace(question, signal) {
  return ask("trace", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(question),
    signal,
  });
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server does not answer. Is it still running?");
  }
  let answer;
  try {
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(`The server answered ${response.status}, and not in JSON.`);
  }
  if (!response.ok) throw new ServerError(answer.error ?? `The server answered ${response.status}.`);
  return answer;
}
