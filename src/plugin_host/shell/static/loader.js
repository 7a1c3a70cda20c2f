// @ts-check
// One door for plugin code: it is loaded, given a shadow root, mounted, watched, and taken down again.
// Nothing that goes wrong behind the door reaches the rest of the page.
import { config, stylesheet } from "./config.js";
import { contentSheet } from "./lazy.js";
import { loadTexts } from "./format.js";
import { makeHost, routeOf } from "./host.js";
import { appName } from "./state.js";

/** @typedef {import("./plugin-host").Screen} Screen */
/** @typedef {import("./plugin-host").Slot} Slot */
/** @typedef {import("./plugin-host").ShellAnswer} ShellAnswer */

const TIME_LIMIT = 10_000;
const DRAWN = "audio, button, canvas, iframe, img, input, progress, svg, table, video";

/** @type {Promise<CSSStyleSheet[]> | null} */
let shellSheets = null;
/** The shell's style sheets, parsed once for all shadow roots. */
const sharedSheets = () => {
  shellSheets ??= Promise.all(
    [stylesheet, contentSheet].map(async (address) => {
      const answer = await fetch(address);
      if (!answer.ok) throw new Error("The style sheet could not be loaded.");
      return new CSSStyleSheet().replace(await answer.text());
    }),
  ).catch((error) => {
    shellSheets = null;
    throw error;
  });
  return shellSheets;
};

/**
 * Put a shadow root with the shell's and the screen's styles on an element.
 * @param {HTMLElement} element @param {readonly string[]} styles addresses below the base path
 * @returns {Promise<HTMLElement>} where the view draws
 */
async function dress(element, styles) {
  const root = element.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = await sharedSheets();
  const loaded = styles.map((href) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    // A sheet that fails leaves the view plain, which is better than no view.
    const done = new Promise((end) => ["load", "error"].forEach((kind) => link.addEventListener(kind, end)));
    link.href = config.base + href;
    root.append(link);
    return done;
  });
  await Promise.all(loaded);
  const body = document.createElement("div");
  body.className = "ph-mount";
  root.append(body);
  return body;
}

/** Browsers keep a failed import for the life of the page: only another address is fetched again. @type {Map<string, number>} */
const tries = new Map();

/** @param {string} entry an address below the base path */
async function importModule(entry) {
  const address = () => config.base + entry + (tries.get(entry) ? `?r=${tries.get(entry)}` : "");
  const failed = () => tries.set(entry, (tries.get(entry) ?? 0) + 1);
  try {
    return await import(address());
  } catch {
    failed();
  }
  try {
    return await import(address());
  } catch (error) {
    failed();
    throw error;
  }
}

/**
 * @template T @param {Promise<T>} work @param {AbortSignal} signal
 * @returns {Promise<T>}
 */
function limit(work, signal) {
  return new Promise((done, failed) => {
    const seconds = TIME_LIMIT / 1000;
    const timer = setTimeout(() => failed(new Error(`It did not answer within ${seconds} seconds.`)), TIME_LIMIT);
    const end = () => clearTimeout(timer);
    signal.addEventListener("abort", end, { once: true });
    work.then(done, failed).finally(end);
  });
}

/** @param {HTMLElement} element */
const isEmpty = (element) => !element.textContent?.trim() && !element.querySelector(DRAWN);

/** How each kind is drawn; those that few pages need are loaded with the first of their kind. @type {Record<string, (view: View) => Promise<unknown>>} */
const KINDS = {
  module: async ({ part, box, host, body }) => {
    const [module, element] = await Promise.all([importModule(part.entry), body(dress(box, part.styles))]);
    if (typeof module.mount !== "function") throw new Error(`${part.entry} does not export a function "mount".`);
    return module.mount(element, host);
  },
  declared: async ({ part, box, host, body }) => {
    const [{ mount }, element] = await Promise.all([import("./declared/screen.js"), body(dress(box, [...part.styles, declaredSheet]))]);
    return mount(element, host, part);
  },
  federation: async ({ part, box, host, body, signal }) => {
    const { dressInScope, loadRemote } = await import("./federation.js");
    const [module, element] = await Promise.all([loadRemote(part), body(dressInScope(box, part, signal))]);
    if (typeof module.mount !== "function") throw new Error(`"${part.expose}" of ${part.name} does not export a function "mount".`);
    return module.mount(element, host);
  },
  iframe: async ({ part, box, host, body, fail, known }) => {
    const { mountFrame } = await import("./frames.js");
    return mountFrame(await body(dress(box, [])), host, { part, fail, known });
  },
};
/** The styles of declared screens, beside this file. */
const declaredSheet = new URL("./declared/declared.css", import.meta.url).pathname.slice(config.base.length);

/**
 * What a kind is drawn with. `body` notes where the view draws, once it is there.
 * @typedef {{
 *   part: any, box: HTMLElement, host: import("./plugin-host").Host, signal: AbortSignal,
 *   body: (element: Promise<HTMLElement>) => Promise<HTMLElement>, fail: (error: unknown) => void,
 *   known: { permissions: readonly string[], texts: Record<string, string> },
 * }} View
 */

/**
 * Show a screen, or what a plugin puts into a slot, in an element.
 * @param {Screen | Slot} part
 * @param {HTMLElement} stage an element whose children are the loader's
 * @param {{ shell: ShellAnswer, context?: unknown, onShown: () => void, onError: (error: unknown) => void, onHeading: (has: boolean) => void }} watch
 * @returns {{ stop: () => void, routed: () => boolean }} `routed` tells the view that the address below it has
 *   changed, and answers whether it was listening
 */
export function show(part, stage, { shell, context, onShown, onError, onHeading }) {
  const life = new AbortController();
  const { signal } = life;
  const name = `${part.plugin}/${"id" in part ? part.id : part.slot}`;
  const route = () => ("id" in part ? routeOf(part) : NOWHERE);
  /** @type {Set<(route: any) => void>} */
  const listeners = new Set();
  /** @type {HTMLElement | null} */
  let view = null;

  const fail = (/** @type {unknown} */ error) => {
    if (signal.aborted) return;
    console.error(`[plugin-host] ${name}:`, error);
    life.abort();
    onError(error);
  };

  const start = async () => {
    const draw = KINDS[part.kind];
    if (!draw) throw new Error(`It is of kind "${part.kind}", which this version of the host does not show.`);
    const box = stage.appendChild(document.createElement("div"));
    signal.addEventListener("abort", () => box.remove(), { once: true });
    const texts = await loadTexts(shell.plugins[part.plugin]?.locales, signal).catch(() => ({}));
    if (signal.aborted) return;
    const setTitle = (/** @type {string} */ text) => {
      if (!signal.aborted && "id" in part) document.title = `${text} · ${appName.value}`;
    };
    const extra = (/** @type {HTMLElement} */ element) => dress(element, part.kind === "declared" ? [...part.styles, declaredSheet] : part.styles);
    const host = makeHost({ plugin: part.plugin, context, route, shell, texts, signal, listeners, setTitle, dress: extra });
    const heading = () => onHeading(view?.querySelector("h1") != null);
    const body = async (/** @type {Promise<HTMLElement>} */ coming) => {
      const element = await coming;
      if (signal.aborted) throw new Error("The view was closed.");
      const observer = new MutationObserver(heading);
      observer.observe(element, { childList: true, subtree: true });
      signal.addEventListener("abort", () => observer.disconnect(), { once: true });
      view = element;
      return element;
    };
    const unmount = await draw({ part, box, host, signal, body, fail, known: { permissions: shell.permissions, texts } });
    heading();
    const end = () => {
      try {
        if (typeof unmount === "function") unmount();
      } catch (error) {
        console.error(`[plugin-host] ${name} at unmount:`, error);
      }
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  };

  // A framework that throws while drawing rejects nobody's promise and leaves a blank view. So errors are
  // blamed by the file they come from, and acted upon only where nothing can be seen.
  const folder = part.entry.split("/").slice(0, 4).join("/") + "/";
  const blame = (/** @type {unknown} */ error, /** @type {string | undefined} */ where) => {
    if (part.entry && where?.includes(folder) && view !== null && isEmpty(view)) fail(error);
  };
  addEventListener("error", (event) => blame(event.error ?? new Error(event.message), event.filename), { signal });
  addEventListener("unhandledrejection", ({ reason }) => blame(reason, reason?.stack), { signal });

  limit(start(), signal).then(() => signal.aborted || onShown(), fail);

  const routed = () => {
    for (const listener of [...listeners]) {
      try {
        listener(route());
      } catch (error) {
        console.error(`[plugin-host] ${name} at a change of route:`, error);
      }
    }
    return listeners.size > 0;
  };
  return { stop: () => life.abort(), routed };
}

const NOWHERE = Object.freeze({ path: "", query: Object.freeze({}) });
