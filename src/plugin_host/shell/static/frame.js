// @ts-check
// For the files of a sandboxed frame: the same `host` as every other view has, over one port.
import { format } from "./format.js";
import { translate } from "./text.js";

/** @typedef {import("./plugin-host").Host} Host */

/** @type {Promise<Host> | null} */
let connected = null;

/**
 * Wait for the shell's greeting.
 * @returns {Promise<Host>}
 */
export function connect() {
  connected ??= new Promise((done) => {
    const listen = (/** @type {MessageEvent} */ event) => {
      if (event.source !== window.parent || event.data?.kind !== "plugin-host" || event.ports.length !== 1) return;
      removeEventListener("message", listen);
      done(makeHost(event.data, event.ports[0]));
    };
    addEventListener("message", listen);
  });
  return connected;
}

/** @param {any} hello @param {MessagePort} port @returns {Host} */
function makeHost(hello, port) {
  /** @type {Map<number, { done: (value: any) => void, failed: (error: unknown) => void }>} */
  const waiting = new Map();
  const routes = new Set();
  const themes = new Set();
  const held = new Set(hello.permissions);
  let { route, theme } = hello;
  let count = 0;
  const call = (/** @type {string} */ name, /** @type {any[]} */ ...words) =>
    new Promise((done, failed) => {
      count += 1;
      waiting.set(count, { done, failed });
      port.postMessage({ kind: "call", id: count, name, words });
    });
  const dress = () => document.documentElement.setAttribute("data-theme", theme);
  const stay = (/** @type {Set<any>} */ set, /** @type {any} */ fn) => {
    set.add(fn);
    return () => set.delete(fn);
  };
  port.onmessage = ({ data }) => {
    if (data.kind === "answer") {
      const one = waiting.get(data.id);
      waiting.delete(data.id);
      if (data.error) one?.failed(Object.assign(new Error(data.error.message), data.error));
      else one?.done(data.value);
    } else if (data.kind === "route") {
      route = Object.freeze(data.route);
      for (const fn of routes) fn(route);
    } else if (data.kind === "theme") {
      theme = data.theme;
      dress();
      for (const fn of themes) fn(theme);
    }
  };
  const links = hello.sheets.map((/** @type {string} */ address) => Object.assign(document.createElement("link"), { rel: "stylesheet", href: address }));
  document.head.prepend(...links);
  dress();
  // The frame is as high as what is in it.
  new ResizeObserver(() => port.postMessage({ kind: "height", height: document.documentElement.scrollHeight })).observe(document.body);
  /** @type {Set<() => unknown>} */
  const guards = new Set();
  const guard = () => port.postMessage({ kind: "guard", on: [...guards].some((fn) => fn()) });
  for (const kind of ["input", "change", "click"]) addEventListener(kind, () => guards.size && setTimeout(guard));
  const own = `${hello.base}/${hello.plugin.id}/`;
  return Object.freeze({
    contract: hello.contract,
    context: hello.context,
    plugin: Object.freeze(hello.plugin),
    user: hello.user && Object.freeze(hello.user),
    signal: new AbortController().signal,
    styleNonce: "",
    format,
    get theme() {
      return theme;
    },
    get route() {
      return route;
    },
    can: /** @type {Host["can"]} */ ((/** @type {string} */ permission, /** @type {string} */ id) => (id === undefined ? held.has(permission) : call("can", permission, id))),
    api: (/** @type {string} */ path, /** @type {any} */ { method, body } = {}) => call("api", path, { method, body }),
    url: (path = "") => own + String(path).replace(/^\/+/, ""),
    navigate: (/** @type {string} */ to, /** @type {any} */ options) => /** @type {Promise<boolean>} */ (call("navigate", to, options)),
    onRoute: (/** @type {any} */ fn) => stay(routes, fn),
    onTheme: (/** @type {any} */ fn) => stay(themes, fn),
    leaveGuard: (/** @type {any} */ fn) => {
      const end = stay(guards, fn);
      guard();
      return () => {
        end();
        guard();
      };
    },
    notify: (/** @type {string} */ text, /** @type {any} */ options) => void call("notify", text, options).catch(console.error),
    confirm: (/** @type {string} */ text, /** @type {any} */ options) => /** @type {Promise<boolean>} */ (call("confirm", text, options)),
    dialog: async (/** @type {any} */ mount, { title = "" } = {}) => {
      const dialog = document.body.appendChild(document.createElement("dialog"));
      if (title) dialog.setAttribute("aria-label", title);
      return new Promise((done) => {
        /** @type {any} */
        let result;
        const unmount = mount(dialog, (/** @type {any} */ value) => {
          result = value;
          dialog.close();
        });
        dialog.addEventListener("close", async () => {
          (await unmount)?.();
          dialog.remove();
          done(result);
        });
        dialog.showModal();
      });
    },
    t: (/** @type {string} */ key, /** @type {any} */ args) => translate(hello.texts, key, args),
    title: (/** @type {string} */ text) => void call("title", text),
  });
}
