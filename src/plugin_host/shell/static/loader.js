// @ts-check
// One door for plugin code: it is loaded, given a shadow root, mounted, watched, and taken down again.
// Nothing that goes wrong behind the door reaches the rest of the page.
import { config, stylesheet } from "./config.js";
import { loadTexts } from "./format.js";
import { makeHost, routeOf } from "./host.js";
import { appName } from "./state.js";

/** @typedef {import("./plugin-host").Screen} Screen */
/** @typedef {import("./plugin-host").ShellAnswer} ShellAnswer */

const TIME_LIMIT = 10_000;
const DRAWN = "audio, button, canvas, iframe, img, input, progress, svg, table, video";

/** @type {Promise<CSSStyleSheet> | null} */
let shellSheet = null;
/** The shell's style sheet, parsed once for all shadow roots. */
const sharedSheet = () => {
  shellSheet ??= fetch(stylesheet)
    .then((answer) => (answer.ok ? answer.text() : Promise.reject(new Error("The style sheet could not be loaded."))))
    .then((text) => new CSSStyleSheet().replace(text))
    .catch((error) => {
      shellSheet = null;
      throw error;
    });
  return shellSheet;
};

/**
 * Put a shadow root with the shell's and the screen's styles on an element.
 * @param {HTMLElement} element @param {readonly string[]} styles addresses below the base path
 * @returns {Promise<HTMLElement>} where the view draws
 */
async function dress(element, styles) {
  const root = element.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [await sharedSheet()];
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

/**
 * Show a screen in an element.
 * @param {Screen} screen
 * @param {HTMLElement} stage an element whose children are the loader's
 * @param {{ shell: ShellAnswer, onShown: () => void, onError: (error: unknown) => void, onHeading: (has: boolean) => void }} watch
 * @returns {{ stop: () => void, routed: () => boolean }} `routed` tells the view that the address below it has
 *   changed, and answers whether it was listening
 */
export function showScreen(screen, stage, { shell, onShown, onError, onHeading }) {
  const life = new AbortController();
  const { signal } = life;
  /** @type {Set<(route: any) => void>} */
  const listeners = new Set();
  /** @type {HTMLElement | null} */
  let view = null;

  const fail = (/** @type {unknown} */ error) => {
    if (signal.aborted) return;
    console.error(`[plugin-host] ${screen.plugin}/${screen.id}:`, error);
    life.abort();
    onError(error);
  };

  const start = async () => {
    if (screen.kind !== "module") {
      throw new Error(`Its screen "${screen.id}" is of kind "${screen.kind}", which this version of the host does not show.`);
    }
    const box = stage.appendChild(document.createElement("div"));
    signal.addEventListener("abort", () => box.remove(), { once: true });
    const [module, body, texts] = await Promise.all([
      importModule(screen.entry),
      dress(box, screen.styles),
      loadTexts(shell.plugins[screen.plugin]?.locales, signal).catch(() => ({})),
    ]);
    if (typeof module.mount !== "function") throw new Error(`${screen.entry} does not export a function "mount".`);
    if (signal.aborted) return;
    const heading = () => onHeading(body.querySelector("h1") !== null);
    const observer = new MutationObserver(heading);
    observer.observe(body, { childList: true, subtree: true });
    signal.addEventListener("abort", () => observer.disconnect(), { once: true });
    view = body;
    const setTitle = (/** @type {string} */ text) => {
      if (!signal.aborted) document.title = `${text} · ${appName.value}`;
    };
    const extra = (/** @type {HTMLElement} */ element) => dress(element, screen.styles);
    const host = makeHost({ screen, shell, texts, signal, listeners, setTitle, dress: extra });
    const unmount = await module.mount(body, host);
    heading();
    const end = () => {
      try {
        if (typeof unmount === "function") unmount();
      } catch (error) {
        console.error(`[plugin-host] ${screen.plugin}/${screen.id} at unmount:`, error);
      }
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  };

  // A framework that throws while drawing rejects nobody's promise and leaves a blank view. So errors are
  // blamed by the file they come from, and acted upon only where nothing can be seen.
  const folder = screen.entry.split("/").slice(0, 4).join("/") + "/";
  const blame = (/** @type {unknown} */ error, /** @type {string | undefined} */ where) => {
    if (where?.includes(folder) && view !== null && isEmpty(view)) fail(error);
  };
  addEventListener("error", (event) => blame(event.error ?? new Error(event.message), event.filename), { signal });
  addEventListener("unhandledrejection", ({ reason }) => blame(reason, reason?.stack), { signal });

  limit(start(), signal).then(() => signal.aborted || onShown(), fail);

  const routed = () => {
    for (const listener of [...listeners]) {
      try {
        listener(routeOf(screen));
      } catch (error) {
        console.error(`[plugin-host] ${screen.plugin}/${screen.id} at a change of route:`, error);
      }
    }
    return listeners.size > 0;
  };
  return { stop: () => life.abort(), routed };
}
