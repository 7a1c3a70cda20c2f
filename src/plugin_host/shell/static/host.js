// @ts-check
// The object that a module is handed: all that it may ask of the shell. It is frozen, one for each mounted view.
import { effect } from "./vendor/view.js";
import { check, confine, request } from "./api.js";
import { config } from "./config.js";
import { format } from "./format.js";
import { translate } from "./text.js";
import { confirm, notify, openDialog } from "./layers.js";
import { addGuard, go, place } from "./router.js";
import { scheme } from "./theme.js";

/** @typedef {import("./plugin-host").Host} Host */
/** @typedef {import("./plugin-host").Screen} Screen */
/** @typedef {import("./plugin-host").ShellAnswer} ShellAnswer */

/**
 * Where a screen stands: the path below its own path, as it is in the address, and the query.
 * @param {Screen} screen
 */
export function routeOf(screen) {
  const { path, search } = place.value;
  return Object.freeze({
    path: path.slice(screen.path.length).replace(/^\/|\/$/g, ""),
    query: Object.freeze(Object.fromEntries(new URLSearchParams(search))),
  });
}

/**
 * Resolve a path as a module writes it, relative to its plugin's pages; `..` leads to other plugins' pages.
 * @param {string} plugin @param {string} to
 * @returns {string} a path below the host's base path
 */
export function resolve(plugin, to) {
  const own = `${location.origin}${config.base}/${plugin}/`;
  const url = new URL(`./${String(to).replace(/^[/\\]+/, "")}`, own);
  const path = url.pathname.startsWith(`${config.base}/`) ? url.pathname.slice(config.base.length) : `/${plugin}`;
  return (path.replace(/\/+$/, "") || "/") + url.search;
}

/**
 * @param {{
 *   plugin: string, context?: unknown, route: () => import("./plugin-host").Route, shell: ShellAnswer, texts: Record<string, string>, signal: AbortSignal,
 *   listeners: Set<(route: any) => void>, setTitle: (text: string) => void,
 *   dress: (element: HTMLElement) => Promise<HTMLElement>,
 * }} view `dress` gives an element a shadow root with the styles of the view
 * @returns {Host}
 */
export function makeHost({ plugin: id, context, route, shell, texts, signal, listeners, setTitle, dress }) {
  const about = shell.plugins[id];
  const held = new Set(["public", ...(shell.user ? ["signed-in"] : []), ...shell.permissions]);
  /** Undo with the view what it has begun, at the latest. @param {() => void} stop */
  const owned = (stop) => {
    signal.addEventListener("abort", stop, { once: true });
    return () => {
      signal.removeEventListener("abort", stop);
      stop();
    };
  };
  /** @type {Host} */
  const host = {
    contract: config.contract,
    context,
    plugin: Object.freeze({ id, version: about?.version ?? "" }),
    user: shell.user && Object.freeze({ ...shell.user }),
    signal,
    styleNonce: config.nonce,
    format,
    get theme() {
      return scheme.value;
    },
    get route() {
      return route();
    },
    can: /** @type {Host["can"]} */ (
      (/** @type {string} */ permission, /** @type {string} */ object) =>
        object === undefined ? held.has(permission) : check(permission, String(object))
    ),
    api: async (path, init = {}) => {
      const all = init.signal ? AbortSignal.any([signal, init.signal]) : signal;
      return request(confine(id, path), { ...init, signal: all });
    },
    url: (path = "") => config.base + resolve(id, path),
    navigate: (to, options) => go(resolve(id, to), options),
    onRoute: (fn) => {
      listeners.add(fn);
      return owned(() => listeners.delete(fn));
    },
    leaveGuard: (fn) => owned(addGuard(fn)),
    onTheme: (fn) => {
      let first = true;
      const stop = effect(() => {
        const theme = scheme.value;
        if (!first) queueMicrotask(() => fn(theme));
        first = false;
      });
      return owned(stop);
    },
    notify,
    confirm: (text, options = {}) => confirm(text, { ...options, signal }),
    dialog: (mount, { title = about?.name ?? id } = {}) =>
      openDialog({ label: title, signal, className: "ph-dialog" }, async (dialog, close) => {
        const box = dialog.appendChild(document.createElement("div"));
        const element = await dress(box);
        const unmount = await mount(element, close);
        dialog.addEventListener("close", () => unmount?.(), { once: true });
      }),
    t: (key, args) => translate(texts, key, args),
    title: setTitle,
  };
  return Object.freeze(host);
}
