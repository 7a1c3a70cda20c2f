// @ts-check
// Calls of operations as the server describes them, and what follows from who may do what.
import { check, request } from "../api.js";

/** @typedef {import("../plugin-host").Call} Call */

/** @param {string} template @param {readonly string[]} ids */
const fill = (template, ids) => {
  let at = 0;
  return template.replace(/\{\w+\}/g, () => encodeURIComponent(ids[at++] ?? ""));
};

/**
 * Call an operation. `ids` fill its path, in their order.
 * @param {Call} call
 * @param {{ ids?: readonly string[], query?: Record<string, string | number | null | undefined>, body?: any, signal?: AbortSignal }} [with_]
 */
export function run(call, { ids = [], query = {}, body, signal } = {}) {
  const said = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") said.set(name, String(value));
  }
  const search = said.size ? `?${said}` : "";
  const path = `/api/${call.plugin}${fill(call.path, ids)}${search}`;
  return request(path, { method: call.method, body: call.form && body ? asForm(body) : body, signal });
}

/** A body with files is sent as a form. @param {Record<string, any>} body */
function asForm(body) {
  const form = new FormData();
  for (const [name, value] of Object.entries(body)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each === null || each === undefined) continue;
      form.append(name, each instanceof Blob ? each : typeof each === "object" ? JSON.stringify(each) : String(each));
    }
  }
  return form;
}

/** How many ids an operation's path takes. @param {Call} call */
export const places = (call) => (call.path.match(/\{\w+\}/g) ?? []).length;

/**
 * Ask which of the operations may be done with which of the items; those that are not about one object may be, since
 * the server sent them.
 * @param {Record<string, Call | undefined>} calls @param {readonly { id: string }[]} items
 * @returns {Promise<Record<string, Set<string>>>} by operation the ids
 */
export async function allowed(calls, items) {
  const named = /** @type {[string, Call][]} */ (Object.entries(calls).filter(([, call]) => call));
  const answers = await Promise.all(
    named.map(async ([name, call]) => {
      if (!call.object) return /** @type {const} */ ([name, new Set(items.map(({ id }) => id))]);
      const may = await Promise.all(items.map(({ id }) => check(call.permission, id).catch(() => false)));
      return /** @type {const} */ ([name, new Set(items.filter((_, at) => may[at]).map(({ id }) => id))]);
    }),
  );
  return Object.fromEntries(answers);
}

/** What to call an item by: the first of these fields that has a text. @param {any} item @param {string} [first] */
export function labelOf(item, first) {
  for (const name of [first, "name", "title", "number", "label", "username", "id"]) {
    const value = name ? item?.[name] : undefined;
    if (typeof value === "string" && value) return value;
  }
  return String(item?.id ?? "");
}
