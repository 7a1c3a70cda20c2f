// @ts-check
// Calls to the server: JSON in and out, and problems (RFC 9457) as errors.
import { config } from "./config.js";
import { t } from "./text.js";

/** What went wrong with a call: `status` 0 means that the server was not reached. */
export class HostError extends Error {
  /** @param {number} status @param {{ type?: string, title?: string, detail?: string, errors?: any[] }} [problem] */
  constructor(status, problem = {}) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.name = "HostError";
    this.status = status;
    /** The last part of the problem's type: a word to compare with. */
    this.code = problem.type?.split(":").at(-1) ?? (status ? `http_${status}` : "unreachable");
    this.detail = problem.detail ?? "";
    /** @type {{ pointer: string, detail: string }[]} */
    this.errors = problem.errors ?? [];
    /** How many seconds to wait, where the server said so. @type {number | null} */
    this.retryAfter = null;
  }
}

/** @type {() => void} */
let unauthorised = () => {};
/** Say what happens when the server no longer knows who is asking. @param {() => void} fn */
export const onUnauthorised = (fn) => {
  unauthorised = fn;
};

/** @type {() => Promise<boolean>} */
let prove = async () => false;
/** Say how somebody proves once more who they are; answers whether they did. @param {() => Promise<boolean>} fn */
export const onProofNeeded = (fn) => {
  prove = fn;
};

const SIGN_IN = "/api/core/auth/login";

/**
 * Call the host. `path` stands below its base path; `init` is as for fetch, with any JSON value as `body`.
 * @param {string} path
 * @param {Omit<RequestInit, "body"> & { body?: any }} [init]
 * @returns {Promise<any>} the JSON of the answer, its text, a Blob, or null if it is empty
 */
export async function request(path, init = {}) {
  const { body, ...rest } = init;
  const headers = new Headers(init.headers);
  if (!headers.has("accept")) headers.set("accept", "application/json, application/problem+json, */*;q=0.5");
  const raw = body === undefined || body instanceof FormData || body instanceof Blob;
  if (!raw) headers.set("content-type", "application/json");
  const content = raw ? body : JSON.stringify(body);
  let answer;
  try {
    answer = await fetch(config.base + path, { ...rest, headers, body: content, credentials: "same-origin" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new HostError(0, { detail: t("The server cannot be reached. Check your connection and try again.") });
  }
  if (answer.ok) return read(answer);
  if (answer.status === 401 && path !== SIGN_IN) unauthorised();
  const refused = await problem(answer);
  if (refused.code === "reauthentication_required" && (await prove())) return request(path, init);
  throw refused;
}

/** @param {Response} answer */
async function read(answer) {
  if (answer.status === 204) return null;
  const kind = answer.headers.get("content-type") ?? "";
  if (/[/+]json\b/.test(kind)) return answer.json();
  return kind.startsWith("text/") || kind === "" ? answer.text() : answer.blob();
}

/** @param {Response} answer */
async function problem(answer) {
  const said = await answer.json().catch(() => ({}));
  const error = new HostError(answer.status, said);
  const wait = Number(answer.headers.get("retry-after"));
  if (wait > 0) error.retryAfter = wait;
  return error;
}

const SCHEME = /^[a-z][a-z0-9+.-]*:/i;

/**
 * Confine a path to `/api/<plugin>/`: resolved first and checked after, so that no spelling of `..` leads out.
 * @param {string} plugin
 * @param {string} path below the plugin's own prefix, with or without a slash in front
 * @returns {string} the path below the host's base path, with its query
 */
export function confine(plugin, path) {
  const own = `${config.base}/api/${plugin}/`;
  const text = String(path);
  const refuse = () => new HostError(0, { type: "path_outside", detail: `"${text}" is outside of /api/${plugin}/.` });
  if (SCHEME.test(text) || /^[/\\]{2}|^\\/.test(text)) throw refuse();
  const url = new URL(text.startsWith("/") ? `.${text}` : `./${text}`, location.origin + own);
  const escaped = /%2e|%2f|%5c/i.test(url.pathname);
  if (url.origin !== location.origin || !url.pathname.startsWith(own) || escaped) throw refuse();
  return url.pathname.slice(config.base.length) + url.search;
}

/** @type {{ permission: string, object: string, done: (allowed: boolean) => void, failed: (error: unknown) => void }[]} */
let asked = [];
const MAX_CHECKS = 200;

/**
 * Ask whether a permission is held on one object. Questions of the same moment share a call.
 * @param {string} permission @param {string} object
 * @returns {Promise<boolean>}
 */
export function check(permission, object) {
  return new Promise((done, failed) => {
    asked.push({ permission, object, done, failed });
    if (asked.length === 1) setTimeout(sendChecks);
  });
}

async function sendChecks() {
  const all = asked;
  asked = [];
  for (let from = 0; from < all.length; from += MAX_CHECKS) {
    const some = all.slice(from, from + MAX_CHECKS);
    const checks = some.map(({ permission, object }) => ({ permission, object }));
    try {
      const { results } = await request("/api/core/access/check", { method: "POST", body: { checks } });
      some.forEach((each, at) => each.done(results[at] === true));
    } catch (error) {
      some.forEach((each) => each.failed(error));
    }
  }
}
