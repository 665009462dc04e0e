// Requests to the server of the page.

export class ServerError extends Error {}

const token = new URLSearchParams(location.search).get("token");

export function fetchAbout() {
  return request("about");
}

/** Fetch the trace of a sample. `signal` aborts the request. */
export function fetchTrace(sample, signal) {
  return request("trace", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(sample),
    signal,
  });
}

async function request(path, options = {}) {
  const headers = { ...options.headers };
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server does not respond. Is it still running?");
  }
  let body;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(`The server responded with status ${response.status} and without JSON.`);
  }
  if (!response.ok) {
    throw new ServerError(body.error ?? `The server responded with status ${response.status}.`);
  }
  return body;
}
