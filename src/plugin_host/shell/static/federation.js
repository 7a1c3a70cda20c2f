// @ts-check
// Federated remotes through their container protocol (`init`, `get`): no runtime of any bundler is needed.
import { config } from "./config.js";

/** @typedef {{ entry: string, name: string, expose: string, format: "module" | "global", share?: string | null, plugin: string, styles: readonly string[] }} Remote */
/** @typedef {{ init: (scope: object) => unknown, get: (module: string) => Promise<() => any> }} Container */

/** Containers by their address: each is initialised once. @type {Map<string, Promise<Container>>} */
const containers = new Map();
/** Libraries of those remotes that share them, by group. Nobody shares with anybody else. @type {Map<string, object>} */
const scopes = new Map();

/**
 * Load what a remote exposes.
 * @param {Remote} remote
 * @returns {Promise<any>} the module
 */
export async function loadRemote(remote) {
  let coming = containers.get(remote.entry);
  if (!coming) {
    coming = start(remote);
    containers.set(remote.entry, coming);
    coming.catch(() => containers.delete(remote.entry)); // another try fetches it again
  }
  const make = await (await coming).get(remote.expose);
  return make();
}

/** @param {Remote} remote @returns {Promise<Container>} */
async function start(remote) {
  const address = config.base + remote.entry;
  const found = remote.format === "global" ? await fromScript(address, remote.name) : await import(address);
  const container = typeof found?.get === "function" ? found : found?.default;
  if (typeof container?.get !== "function" || typeof container?.init !== "function") {
    throw new Error(`${remote.entry} is no container of a federated module: it has no "init" and "get".`);
  }
  await container.init(scopeOf(remote.share));
  return container;
}

/** @param {string | null | undefined} group */
function scopeOf(group) {
  if (!group) return {};
  const scope = scopes.get(group) ?? {};
  scopes.set(group, scope);
  return scope;
}

/** @param {string} address @param {string} name the variable that the script sets @returns {Promise<any>} */
function fromScript(address, name) {
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => {
      const found = /** @type {any} */ (window)[name];
      if (found) done(found);
      else failed(new Error(`${address} does not set the variable "${name}".`));
    };
    script.onerror = () => failed(new Error(`${address} could not be loaded.`));
    document.head.append(script);
  }).finally(() => document.querySelector(`script[src="${CSS.escape(address)}"]`)?.remove());
}

/**
 * Make a place for a remote. Its libraries write styles into the page's head, so it gets no shadow root; its own
 * sheets hold inside it only, and go with it.
 * @param {HTMLElement} box @param {Remote} remote @param {AbortSignal} signal
 * @returns {Promise<HTMLElement>} where the view draws
 */
export async function dressInScope(box, remote, signal) {
  box.dataset.scope = remote.plugin;
  const sheets = await Promise.all(
    remote.styles.map(async (path) => {
      const answer = await fetch(config.base + path, { signal });
      const sheet = new CSSStyleSheet({ baseURL: config.base + path });
      return sheet.replace(`@scope ([data-scope="${remote.plugin}"]) {${answer.ok ? await answer.text() : ""}}`);
    }),
  );
  document.adoptedStyleSheets.push(...sheets);
  const undress = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => !sheets.includes(sheet));
  };
  if (signal.aborted) undress();
  else signal.addEventListener("abort", undress, { once: true });
  const body = document.createElement("div");
  body.className = "ph-mount";
  box.append(body);
  return body;
}
