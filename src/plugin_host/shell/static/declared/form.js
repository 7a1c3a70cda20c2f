// @ts-check
// A form made of a JSON Schema: for a new object, for changing one, and for what an action asks for.
import { html, useEffect, useRef, useState } from "../vendor/view.js";
import { HostError } from "../api.js";
import { t } from "../text.js";
import { initial, FormField } from "./fields.js";

/** @typedef {import("../plugin-host").Field} Field */
/** @typedef {import("../plugin-host").Host} Host */
/** @typedef {import("../plugin-host").Ref} Ref */

/** The fields that a schema takes, in the order of those that the screen names. @param {readonly Field[]} named @param {any} schema @returns {Field[]} */
export function fieldsOf(named, schema) {
  const properties = schema?.properties ?? {};
  const own = named.filter(({ name }) => name in properties).map((field) => ({ ...field, schema: properties[field.name] }));
  return own.length ? own : Object.entries(properties).map(([name, each]) => ({ name, schema: each, title: each.title ?? name }));
}

/** @param {readonly Field[]} fields @returns {[string, Field[]][]} */
function grouped(fields) {
  /** @type {Map<string, Field[]>} */
  const found = new Map();
  for (const field of fields) found.set(field.group ?? "", [...(found.get(field.group ?? "") ?? []), field]);
  return [...found];
}

const same = (/** @type {any} */ one, /** @type {any} */ other) => one === other || JSON.stringify(one) === JSON.stringify(other);

/** The message of a field: that of the field itself, or of something in it. @param {any} problem @param {string} name */
const faultOf = (problem, name) =>
  problem?.errors?.find((/** @type {any} */ each) => each.pointer === `/${name}` || each.pointer?.startsWith(`/${name}/`))?.detail;

/**
 * @param {{
 *   title: string, fields: readonly Field[], schema: any, item?: any, refs: Record<string, Ref>, parts?: Record<string, string>,
 *   host: Host, submit: string, send: (body: any) => Promise<any>, cancel: () => void, level?: "h1" | "h2",
 * }} props `send` gets the values, of an existing `item` those that were changed; what it throws is shown
 */
export function Form({ title, fields, schema, item, refs, parts = {}, host, submit, send, cancel, level = "h1" }) {
  const start = useRef(Object.fromEntries(fields.map((field) => [field.name, item ? item[field.name] : initial(field)])));
  const [values, setValues] = useState(start.current);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const dirty = useRef(false);
  const sending = useRef(false); // whoever sends may leave
  dirty.current = fields.some(({ name }) => !same(values[name], start.current[name]));
  useEffect(() => host.leaveGuard(() => dirty.current && !sending.current), []);
  useEffect(() => {
    if (problem === null) return;
    const wrong = form.current?.querySelector('[aria-invalid="true"]') ?? form.current?.querySelector(".alert");
    if (wrong instanceof HTMLElement) wrong.focus();
  }, [problem]);

  const required = new Set(item ? [] : (schema?.required ?? []));
  const body = () => {
    const changed = fields.filter(({ name }) => values[name] !== undefined && (!item || !same(values[name], start.current[name])));
    return Object.fromEntries(changed.map(({ name }) => [name, values[name]]));
  };
  const submitted = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    sending.current = true;
    try {
      await send(body());
    } catch (error) {
      setProblem(error);
    } finally {
      sending.current = false;
      setBusy(false);
    }
  };
  const known = new Set(fields.map(({ name }) => name));
  const others = (problem?.errors ?? []).filter((/** @type {any} */ each) => !known.has(each.pointer?.split("/")[1]));
  const general = problem && (others.length > 0 || !problem.errors?.length);
  const one = (/** @type {Field} */ field) => html`<${FormField} key=${field.name} field=${field} value=${values[field.name]} host=${host} item=${item}
    set=${(/** @type {any} */ value) => setValues((old) => ({ ...old, [field.name]: value }))}
    required=${required.has(field.name)} error=${faultOf(problem, field.name)} ref_=${refs[field.name]} part=${parts[`field:${field.name}`]} />`;
  return html`<form class="card" ref=${form} onSubmit=${submitted}>
    ${level === "h1" ? html`<h1>${title}</h1>` : html`<h2>${title}</h2>`}
    ${general &&
    html`<div class="alert" role="alert" tabindex="-1"><p>${problem instanceof HostError || problem instanceof Error ? problem.message : String(problem)}</p>
      ${others.length > 0 && html`<ul>${others.map((/** @type {any} */ each) => html`<li>${each.pointer}: ${each.detail}</li>`)}</ul>`}</div>`}
    ${grouped(fields).map(([name, those]) =>
      name ? html`<fieldset key=${name}><legend>${name}</legend><div class="stack">${those.map(one)}</div></fieldset>` : those.map(one),
    )}
    <div class="row">
      <button class="primary" disabled=${busy}>${busy ? t("Saving…") : submit}</button>
      <button type="button" class="quiet" onClick=${cancel}>${t("Cancel")}</button>
    </div>
  </form>`;
}
