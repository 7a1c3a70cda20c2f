// @ts-check
// Where the page stands. The History API, links of the page and of shadow roots, and leave guards.
import { signal } from "./vendor/view.js";
import { config } from "./config.js";
import { confirm } from "./layers.js";
import { t } from "./text.js";

/** @typedef {import("./plugin-host").Screen} Screen */
/** @typedef {{ path: string, search: string, quiet: boolean, from: Element | null }} Place */

// Answered by the server, not by the page.
const SERVER = /^\/(api|ui|health|metrics|\.well-known)(\/|$)/;
const unsaved = () => t("Leave this page? What you have entered will be lost.");

/** The path below the host's base path. */
const here = () => {
  const path = location.pathname;
  return (path.startsWith(`${config.base}/`) ? path.slice(config.base.length) : "/") || "/";
};

/** The element that has the focus, also inside a shadow root. */
export function focused() {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return element;
}

/** @type {Place} */
const start = { path: here(), search: location.search, quiet: true, from: null };
/** Where the page stands. `quiet`: nobody navigated, so the focus stays where it is; `from`: what had the focus. */
export const place = signal(start);

/** @type {Set<() => unknown>} */
const guards = new Set();
/** Which entry of the history this is: tells how far a Back went. */
let index = history.state?.ph ?? 0;
/** Set while our own history.go is under way: its popstate is not a wish of the person. @type {(() => void) | null} */
let expected = null;

/**
 * Ask before leaving. `fn` answers true, or a sentence to ask with, while there is something to lose.
 * @param {() => unknown} fn
 * @returns {() => void} stops asking
 */
export function addGuard(fn) {
  guards.add(fn);
  return () => guards.delete(fn);
}

/** @returns {string} a sentence to ask with, or "" if nothing is in the way */
function objection() {
  for (const guard of guards) {
    const answer = guard();
    if (answer) return typeof answer === "string" ? answer : unsaved();
  }
  return "";
}

/** Tell whether the page may be left, asking the person where a guard objects. */
export async function mayLeave() {
  const text = objection();
  return text === "" || confirm(text, { ok: t("Leave"), cancel: t("Stay") });
}

/**
 * Tell where an address leads within the page: a path below the base path with its query, or null if the
 * browser must follow it.
 * @param {string} href
 */
export function inside(href) {
  const url = URL.canParse(href, location.href) ? new URL(href, location.href) : null;
  if (url === null || url.origin !== location.origin) return null;
  if (url.pathname !== config.base && !url.pathname.startsWith(`${config.base}/`)) return null;
  const path = url.pathname.slice(config.base.length) || "/";
  return SERVER.test(path) ? null : path + url.search;
}

/**
 * Go to a path of the page. With `replace` the entry in the history is replaced and the focus stays.
 * @param {string} to @param {{ replace?: boolean }} [options]
 * @returns {Promise<boolean>} false if the person chose to stay
 */
export async function go(to, { replace = false } = {}) {
  const url = new URL(location.origin + config.base + to);
  const path = url.pathname.slice(config.base.length) || "/";
  if (path === place.value.path && url.search === place.value.search) return true;
  if (path !== place.value.path && !(await mayLeave())) return false;
  if (!replace) index += 1;
  history[replace ? "replaceState" : "pushState"]({ ph: index }, "", url.pathname + url.search);
  if (!replace) scrollTo(0, 0);
  place.value = { path, search: url.search, quiet: replace, from: focused() };
  return true;
}

/**
 * Find the screen of a path: the longest whose path is its beginning, by whole segments.
 * @param {readonly Screen[]} screens @param {string} path
 * @returns {Screen | null}
 */
export function match(screens, path) {
  const fits = screens.filter((screen) => `${path}/`.startsWith(`${screen.path}/`));
  return fits.sort((one, other) => other.path.length - one.path.length)[0] ?? null;
}

/**
 * Where the address of a plugin leads that has no screen there: to the first of its screens.
 * @param {readonly Screen[]} screens @param {string} path
 * @returns {string | null}
 */
export function firstScreen(screens, path) {
  return screens.find((screen) => path.replace(/\/$/, "") === `/${screen.plugin}`)?.path ?? null;
}

/** @param {PopStateEvent} event */
async function popped(event) {
  if (expected) {
    expected();
    expected = null;
    return;
  }
  const to = event.state?.ph ?? index + 1;
  const delta = to - index;
  if (event.state === null) history.replaceState({ ph: to }, ""); // a link to a part of this page
  if (here() !== place.value.path && objection() !== "") {
    await travel(-delta);
    if (!(await mayLeave())) return;
    await travel(delta);
  }
  index = to;
  if (here() === place.value.path && location.search === place.value.search) return;
  place.value = { path: here(), search: location.search, quiet: false, from: focused() };
}

/** @param {number} delta */
const travel = (delta) =>
  new Promise((/** @type {(value?: undefined) => void} */ done) => {
    expected = done;
    history.go(delta);
  });

/** @param {MouseEvent} event */
function clicked(event) {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  // The target of an event from a shadow root is its host: only the path names the link.
  const link = event.composedPath().find((node) => node instanceof HTMLAnchorElement && node.href);
  if (!(link instanceof HTMLAnchorElement) || link.hasAttribute("download")) return;
  if ((link.target && link.target !== "_self") || link.relList.contains("external")) return;
  const to = inside(link.href);
  if (to === null || (link.hash && to === place.value.path + place.value.search)) return;
  event.preventDefault();
  go(to);
}

/** Begin to follow links, Back and Forward. */
export function startRouter() {
  history.replaceState({ ...history.state, ph: index }, "");
  addEventListener("popstate", popped);
  document.addEventListener("click", clicked);
  addEventListener("beforeunload", (event) => {
    if (objection() !== "") event.preventDefault();
  });
}
