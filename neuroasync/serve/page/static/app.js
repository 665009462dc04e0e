// Loads the descriptions of the networks and starts the page.

import { Page } from "./page.js";
import { ServerError, fetchNetworks } from "./run/server.js";

const $ = (id) => document.getElementById(id);

/** Return lists of networks that can be compared, because they have the same input and classes. */
function groupNetworks(networks) {
  const groups = new Map();
  for (const network of networks) {
    const { input, classes, drawing } = network;
    const key = JSON.stringify([input.shape, classes, drawing?.coding ?? null]);
    groups.set(key, [...(groups.get(key) ?? []), network]);
  }
  return [...groups.values()];
}

/** Return the group that has the network of the address, or the first one. */
function chooseGroup(groups) {
  const wanted = new URLSearchParams(location.search).get("network");
  return groups.find((group) => group.some(({ name }) => name === wanted)) ?? groups[0];
}

function offerGroups(groups, chosen) {
  if (groups.length < 2) return;
  const select = $("group");
  for (const group of groups) {
    const rest = group.length - 1;
    const text = rest ? `${group[0].name} + ${rest} more` : group[0].name;
    select.append(new Option(text, group[0].name, group === chosen, group === chosen));
  }
  $("group-field").hidden = false;
  select.addEventListener("change", () => {
    const query = new URLSearchParams(location.search);
    query.set("network", select.value);
    location.search = query;
  });
}

try {
  const groups = groupNetworks(await fetchNetworks());
  const networks = chooseGroup(groups);
  offerGroups(groups, networks);
  if (networks[0].drawing || networks[0].samples.length) {
    for (const section of document.querySelectorAll("[data-ready]")) section.hidden = false;
    new Page(networks);
  } else {
    $("empty").hidden = false;
  }
} catch (error) {
  $("error").hidden = false;
  $("error").textContent = error.message;
  if (!(error instanceof ServerError)) throw error; // errors of the page itself go to the console
} finally {
  $("main").setAttribute("aria-busy", "false");
}
