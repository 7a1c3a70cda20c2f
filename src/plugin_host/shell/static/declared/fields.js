// @ts-check
// One field of a form: the control that fits its schema, and what it says between text and JSON.
import { html, useId } from "../vendor/view.js";
import { t } from "../text.js";
import { core, nullable, spoken } from "./cells.js";
import { Part } from "./part.js";
import { Chosen, Combobox } from "./reference.js";

/** @typedef {import("../plugin-host").Field} Field */
/** @typedef {import("../plugin-host").Ref} Ref */
/** @typedef {import("../plugin-host").Host} Host */

/** What stands for no value in JSON: null where it may be, the empty text else. @param {Field} field */
const none = (field) => (nullable(field.schema) ? null : core(field.schema).type === "string" || core(field.schema).type === undefined ? "" : undefined);

/** What a new object has in a field. @param {Field} field */
export function initial(field) {
  const schema = core(field.schema);
  if (field.schema.default !== undefined) return field.schema.default;
  if (schema.type === "boolean") return false;
  if (schema.type === "array") return [];
  return nullable(field.schema) ? null : undefined;
}

/** A moment as the control takes it: in the person's own time. @param {string} value */
function local(value) {
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return "";
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** @param {string} text @returns {any} */
const asNumber = (text) => (Number.isFinite(Number(text)) ? Number(text) : text);

/** @typedef {{ attributes: Record<string, any>, field: Field, value: any, set: (value: any) => void }} Control */

/** @param {any} event */
const said = (event) => event.currentTarget.value;

/** The controls, by what `kindOf` says. @type {Record<string, (control: Control) => any>} */
const CONTROLS = {
  boolean: ({ attributes, value, set }) =>
    html`<input ...${attributes} type="checkbox" checked=${value === true} required=${false} onChange=${(/** @type {any} */ event) => set(event.currentTarget.checked)} />`,
  choice: ({ attributes, field, value, set }) => {
    const { enum: choices } = core(field.schema);
    const at = choices.indexOf(value);
    const change = (/** @type {any} */ event) => set(said(event) === "" ? none(field) : choices[Number(said(event))]);
    return html`<select ...${attributes} value=${at < 0 ? "" : String(at)} onChange=${change}>
      ${(at < 0 || nullable(field.schema) || !attributes.required) && html`<option value="">${attributes.required ? t("Choose…") : "—"}</option>`}
      ${choices.map((/** @type {any} */ one, /** @type {number} */ n) => html`<option key=${n} value=${String(n)}>${spoken(String(one))}</option>`)}
    </select>`;
  },
  choices: ({ attributes, field, value, set }) => {
    const options = core(core(field.schema).items).enum;
    const chosen = new Set(value ?? []);
    return html`<span class="stack" role="group" aria-labelledby=${`${attributes.id}-label`}>${options.map((/** @type {any} */ one) => {
      const change = (/** @type {any} */ event) => set(options.filter((/** @type {any} */ each) => (each === one ? event.currentTarget.checked : chosen.has(each))));
      return html`<label class="check" key=${one}><input type="checkbox" checked=${chosen.has(one)} onChange=${change} /><span>${spoken(String(one))}</span></label>`;
    })}</span>`;
  },
  words: ({ attributes, value, set }) =>
    html`<input ...${attributes} type="text" value=${(value ?? []).join(", ")} placeholder=${t("Separated by commas")}
      onChange=${(/** @type {any} */ event) => set(said(event).split(",").map((/** @type {string} */ word) => word.trim()).filter(Boolean))} />`,
  moment: ({ attributes, field, value, set }) =>
    html`<input ...${attributes} type="datetime-local" value=${value ? local(value) : ""}
      onInput=${(/** @type {any} */ event) => set(said(event) === "" ? none(field) : new Date(said(event)).toISOString())} />`,
  whole: ({ attributes, field, value, set }) =>
    html`<input ...${attributes} type="number" step=${core(field.schema).multipleOf ?? 1} min=${core(field.schema).minimum} max=${core(field.schema).maximum} value=${value ?? ""}
      onInput=${(/** @type {any} */ event) => set(said(event) === "" ? none(field) : asNumber(said(event)))} />`,
  number: ({ attributes, field, value, set }) =>
    html`<input ...${attributes} type="text" inputmode="decimal" value=${value ?? ""}
      onInput=${(/** @type {any} */ event) => set(said(event) === "" ? none(field) : core(field.schema).type === "string" ? said(event) : asNumber(said(event)))} />`,
  file: ({ attributes, field, set }) => {
    const many = core(field.schema).type === "array";
    const change = (/** @type {any} */ event) => set(many ? [...event.currentTarget.files] : (event.currentTarget.files[0] ?? null));
    return html`<input ...${attributes} type="file" multiple=${many} onChange=${change} />`;
  },
  json: ({ attributes, field, value, set }) => {
    const change = (/** @type {any} */ event) => {
      try {
        set(said(event).trim() === "" ? none(field) : JSON.parse(said(event)));
        event.currentTarget.setCustomValidity("");
      } catch {
        event.currentTarget.setCustomValidity(t("This is no JSON."));
      }
    };
    return html`<textarea ...${attributes} spellcheck=${false} onChange=${change}>${value === null || value === undefined ? "" : JSON.stringify(value, null, 2)}</textarea>`;
  },
  textarea: ({ attributes, field, value, set }) =>
    html`<textarea ...${attributes} maxlength=${core(field.schema).maxLength} onInput=${(/** @type {any} */ event) => set(said(event) === "" ? none(field) : said(event))} value=${value ?? ""}></textarea>`,
  text: ({ attributes, field, value, set }) => {
    const { format, maxLength, minLength, pattern } = core(field.schema);
    const type = field.widget === "password" ? "password" : (TYPES[field.widget ?? ""] ?? TYPES[format] ?? "text");
    // An empty pattern would let nothing pass, and browsers know other patterns than Python does.
    const rule = pattern && !/\(\?/.test(pattern) ? { pattern } : {};
    return html`<input ...${attributes} ...${rule} type=${type} maxlength=${maxLength} minlength=${minLength} value=${value ?? ""}
      onInput=${(/** @type {any} */ event) => set(said(event) === "" ? none(field) : said(event))} />`;
  },
};
/** @type {Record<string, string>} */
const TYPES = { date: "date", time: "time", email: "email", uri: "url", link: "url" };
const LONG = 300; // a text that may be longer gets more room than one line

/** @param {Field} field */
export function kindOf(field) {
  const schema = core(field.schema);
  const items = schema.type === "array" ? core(schema.items) : null;
  if (field.widget === "textarea" || field.widget === "json" || field.widget === "file") return field.widget;
  if (schema.format === "binary" || items?.format === "binary") return "file";
  if (schema.enum) return "choice";
  if (schema.type === "boolean") return "boolean";
  if (items?.enum) return "choices";
  if (items) return items.type === "string" ? "words" : "json";
  if (schema.format === "date-time") return "moment";
  if (schema.type === "integer") return "whole";
  if (schema.type === "number" || schema.format === "decimal" || field.widget === "money") return "number";
  if (schema.type === "object" || schema.anyOf || schema.oneOf) return "json";
  return schema.maxLength > LONG ? "textarea" : "text";
}

/**
 * @param {{ field: Field, value: any, set: (value: any) => void, required: boolean, error?: string, ref_?: Ref, part?: string, host: Host, item: any }} props
 */
export function FormField({ field, value, set, required, error, ref_, part, host, item }) {
  const id = useId();
  const kind = kindOf(field);
  const help = error ?? field.help ?? field.schema.description;
  const described = help ? `${id}-told` : null;
  const attributes = { id, name: field.name, required, "aria-invalid": error ? "true" : null, "aria-describedby": described };
  const control = part
    ? html`<${Part} address=${part} host=${host} context=${{ field, value, item, set, id }} />`
    : ref_ && core(field.schema).type === "array"
      ? html`<${Chosen} ref_=${ref_} value=${value ?? []} id=${id} label=${field.title} described=${described} invalid=${Boolean(error)} onChange=${set} />`
      : ref_
      ? html`<${Combobox} ref_=${ref_} value=${value ?? null} id=${id} described=${described} invalid=${Boolean(error)} required=${required}
          onChange=${(/** @type {string | null} */ chosen) => set(chosen ?? none(field))} />`
      : CONTROLS[kind]({ attributes, field, value, set });
  const { title } = field;
  const told = help && html`<small id=${described} class=${error ? "err" : "muted"}>${help}</small>`;
  if (kind === "boolean" && !part) return html`<div class="field" data-field=${field.name}><label class="check">${control}<span>${title}</span></label>${told}</div>`;
  const label = kind === "choices" ? html`<span class="ph-label" id=${`${id}-label`}>${title}</span>` : html`<label for=${id} class=${required ? "ph-required" : ""}>${title}</label>`;
  return html`<div class="field" data-field=${field.name}>${label}${control}${told}</div>`;
}
