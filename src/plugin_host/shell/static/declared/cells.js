// @ts-check
// Values as people read them. Text is always text: nothing here makes HTML of what the server sent.
import { html, useEffect, useRef, useState } from "../vendor/view.js";
import { config } from "../config.js";
import { format } from "../format.js";
import { t } from "../text.js";
import { labelOf, run } from "./calls.js";

/** @typedef {import("../plugin-host").Field} Field */
/** @typedef {import("../plugin-host").Ref} Ref */

/** The schema of a value that may be missing. @param {any} schema */
export function core(schema) {
  const choices = schema?.anyOf ?? schema?.oneOf;
  const some = choices?.filter((/** @type {any} */ each) => each.type !== "null");
  if (some?.length === 1) return { ...schema, anyOf: undefined, oneOf: undefined, ...some[0] };
  return Array.isArray(schema?.type) ? { ...schema, type: schema.type.find((/** @type {string} */ one) => one !== "null") } : (schema ?? {});
}

/** Whether null is one of the values. @param {any} schema */
export const nullable = (schema) =>
  [schema?.type].flat().includes("null") || (schema?.anyOf ?? schema?.oneOf ?? []).some((/** @type {any} */ each) => each.type === "null");

/** @param {string} word */
export const spoken = (word) => {
  const text = word.replace(/[_-]+/g, " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
};

const SAFE_LINK = /^(https?:|mailto:|tel:)/i;

/** @param {Field} field @param {any} item */
const currencyOf = ({ currency }, item) => (currency && /^[A-Z]{3}$/.test(currency) ? currency : (currency && item?.[currency]) || "EUR");

/** Whether a field is shown flush right, as numbers are. @param {Field} field */
export const isNumber = ({ schema, widget }) => {
  const { type, format: kind } = core(schema);
  return widget === "money" || type === "integer" || type === "number" || kind === "decimal";
};

/** A value as one line of text: for CSV and for titles. @param {Field} field @param {any} item @returns {string} */
export function plain(field, item) {
  const value = item?.[field.name];
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** @param {{ field: Field, item: any, refs: Record<string, Ref> }} props @returns {any} */
export function Value({ field, item, refs }) {
  const value = item?.[field.name];
  if (value === null || value === undefined || value === "") return html`<span class="muted">—</span>`;
  const ref = refs[field.name];
  if (ref && Array.isArray(value)) {
    if (value.length === 0) return html`<span class="muted">—</span>`;
    return value.map((each, at) => html`${at > 0 && ", "}<${Reference} key=${each} ref_=${ref} id=${String(each)} />`);
  }
  if (ref) return html`<${Reference} ref_=${ref} id=${String(value)} />`;
  return shown(field, value, item);
}

/** @param {Field} field @param {any} value @param {any} item @returns {any} */
function shown(field, value, item) {
  const schema = core(field.schema);
  const kind = schema.format;
  if (field.widget === "money") return format.money(value, currencyOf(field, item));
  if (typeof value === "boolean") return value ? t("Yes") : t("No");
  if (kind === "date") return format.date(value);
  if (kind === "date-time") return html`<time datetime=${value}>${format.dateTime(value)}</time>`;
  if (kind === "decimal" || typeof value === "number") return format.number(value, { maximumFractionDigits: 20 });
  if (Array.isArray(value)) return value.every((each) => typeof each !== "object") ? value.join(", ") : html`<${Raw} value=${value} />`;
  if (typeof value === "object") return html`<${Raw} value=${value} />`;
  if (field.widget === "badge" || schema.enum) return html`<span class="badge">${spoken(String(value))}</span>`;
  if (kind === "email" || field.widget === "email") return html`<a href=${`mailto:${value}`}>${value}</a>`;
  if ((kind === "uri" || field.widget === "link") && SAFE_LINK.test(value)) {
    return html`<a href=${value} rel="noreferrer noopener external">${value}</a>`;
  }
  return String(value);
}

/** @param {{ value: any }} props */
const Raw = ({ value }) => html`<code>${JSON.stringify(value)}</code>`;

/** Labels that were asked for, by operation and id; a list asks for each only once. @type {Map<string, Promise<string>>} */
const labels = new Map();
const MOST_LABELS = 500;

/** @param {Ref} ref @param {string} id @returns {Promise<string>} */
export function labelFor(ref, id) {
  const call = ref.read;
  if (!call) return Promise.resolve(id);
  const key = `${call.plugin}.${call.operation}:${id}`;
  const known = labels.get(key);
  if (known) return known;
  if (labels.size >= MOST_LABELS) labels.clear();
  const asked = run(call, { ids: [id] }).then(
    (item) => labelOf(item, ref.label),
    () => {
      labels.delete(key);
      return id;
    },
  );
  labels.set(key, asked);
  return asked;
}

/** @param {{ ref_: Ref, id: string }} props */
function Reference({ ref_, id }) {
  const [label, setLabel] = useState("");
  const alive = useRef(true);
  useEffect(() => {
    alive.current = true;
    labelFor(ref_, id).then((text) => alive.current && setLabel(text));
    return () => {
      alive.current = false;
    };
  }, [id]);
  const text = label || "…";
  return ref_.to ? html`<a href=${config.base + ref_.to.replace("{id}", encodeURIComponent(id))}>${text}</a>` : text;
}
