// Requests to the server of the page.

/** An error that the server reported, or that it does not respond. */
export class ServerError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status; // 0 if there was no response
  }
}

const token = new URLSearchParams(location.search).get("token");

/** Fetch the descriptions of all networks, the default network first. */
export async function fetchNetworks() {
  const first = await request("about");
  const others = first.networks.filter((name) => name !== first.name);
  return [first, ...(await Promise.all(others.map((name) => request(withNetwork("about", name)))))];
}

/** Fetch the trace of a sample in a network. `signal` aborts the request. */
export function fetchTrace(network, sample, signal) {
  return request(withNetwork("trace", network), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(sample),
    signal,
  });
}

function withNetwork(path, name) {
  return `${path}?${new URLSearchParams({ network: name })}`;
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
  const { status } = response;
  let body;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(`The server responded with status ${status} and without JSON.`, status);
  }
  if (!response.ok) {
    throw new ServerError(body.error ?? `The server responded with status ${status}.`, status);
  }
  return body;
}
