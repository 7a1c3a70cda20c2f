// @ts-check
// Screens that are not trusted: a sandboxed frame without an origin, and one port through which it may ask.
import { config, stylesheet } from "./config.js";
import { contentSheet } from "./lazy.js";

/** @typedef {import("./plugin-host").Host} Host */

const MOST_CALLS = 60; // in MOMENT milliseconds
const MOMENT = 1000;
const MOST_BYTES = 1_000_000;
const TALLEST = 20_000; // pixels
const METHODS = new Set(["GET", "POST", "PUT", "PATCH", "DELETE"]);

/** What a frame may call, by the capability that it needs; null needs none. @type {Record<string, [string | null, (host: Host, words: any[]) => any]>} */
const CALLS = {
  api: [
    "api",
    (host, [path, init]) => {
      const method = String(init?.method ?? "GET").toUpperCase();
      if (!METHODS.has(method)) throw new Error(`The method ${method} is not possible.`);
      return host.api(String(path), { method, body: init?.body }); // no headers: only what it means, not how it is sent
    },
  ],
  can: [null, (host, [permission, object]) => (object === undefined ? host.can(String(permission)) : host.can(String(permission), String(object)))],
  notify: ["notify", (host, [text, options]) => host.notify(String(text).slice(0, 500), { kind: options?.kind === "error" || options?.kind === "success" ? options.kind : "info" })],
  confirm: ["confirm", (host, [text, options]) => host.confirm(String(text).slice(0, 1000), { danger: options?.danger === true })],
  navigate: ["navigate", (host, [to, options]) => host.navigate(String(to), { replace: options?.replace === true })],
  title: [null, (host, [text]) => host.title(String(text).slice(0, 200))],
};

/**
 * Show a frame and answer what it asks, until the view ends.
 * @param {HTMLElement} body @param {Host} host
 * @param {{ part: any, fail: (error: unknown) => void, known: { permissions: readonly string[], texts: Record<string, string> } }} about
 *   `known` is told to the frame once, so that it need not ask
 * @returns {Promise<() => void>} what takes it away
 */
export function mountFrame(body, host, { part, fail, known }) {
  const allowed = new Set(part.capabilities);
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", `allow-scripts allow-forms${allowed.has("downloads") ? " allow-downloads" : ""}`);
  frame.setAttribute("allow", "");
  frame.referrerPolicy = "no-referrer";
  frame.title = part.title || part.plugin;
  frame.className = "ph-frame";
  const { port1: port, port2: theirs } = new MessageChannel();
  /** @type {number[]} */
  let recent = [];
  let guarded = false;

  const answer = async (/** @type {MessageEvent} */ { data }) => {
    if (data?.kind === "height") {
      frame.style.blockSize = `${Math.min(Math.max(Number(data.height) || 0, 40), TALLEST)}px`;
      return;
    }
    if (data?.kind === "guard") {
      guarded = data.on === true;
      return;
    }
    if (data?.kind !== "call") return;
    const reply = (/** @type {object} */ said) => port.postMessage({ kind: "answer", id: data.id, ...said });
    try {
      const now = Date.now();
      recent = [...recent.filter((at) => now - at < MOMENT), now];
      if (recent.length > MOST_CALLS) throw new Error("Too many calls in a moment.");
      const known = Object.hasOwn(CALLS, data.name) ? CALLS[data.name] : null;
      if (!known) throw new Error(`There is no call "${String(data.name).slice(0, 40)}".`);
      const [capability, call] = known;
      if (capability && !allowed.has(capability)) throw new Error(`This frame has no capability "${capability}".`);
      const words = JSON.parse(JSON.stringify(data.words ?? []));
      if (JSON.stringify(words).length > MOST_BYTES) throw new Error("That is too much in one call.");
      reply({ value: await call(host, words) });
    } catch (error) {
      const { message, status = 0, code = "", detail = "", errors = [] } = /** @type {any} */ (error);
      reply({ error: { message: String(message), status, code, detail, errors } });
    }
  };
  port.onmessage = answer;
  const stops = [
    host.onRoute((route) => port.postMessage({ kind: "route", route })),
    host.onTheme((theme) => port.postMessage({ kind: "theme", theme })),
    host.leaveGuard(() => guarded),
  ];
  const stop = () => {
    for (const end of stops) end();
    port.close();
    frame.remove();
  };
  return new Promise((done, failed) => {
    let loads = 0;
    frame.addEventListener("load", () => {
      loads += 1;
      if (loads > 1) {
        stop();
        fail(new Error("The frame went to another page."));
        return;
      }
      const { contract, plugin, context, user, route, theme } = host;
      const hello = { kind: "plugin-host", contract, plugin, user, route, theme, context, base: config.base, sheets: [stylesheet, contentSheet], ...known };
      // A frame without an origin has none that could be named here; the port is for this window only.
      frame.contentWindow?.postMessage(JSON.parse(JSON.stringify(hello)), "*", [theirs]);
      done(stop);
    });
    frame.addEventListener("error", () => failed(new Error("The frame could not be loaded.")));
    frame.src = config.base + part.entry;
    body.append(frame);
  });
}
