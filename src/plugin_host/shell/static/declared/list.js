// @ts-check
// A list: searched, filtered, sorted and paged by the server; columns to choose, rows to act on, a file to take away.
import { html, useEffect, useRef, useState } from "../vendor/view.js";
import { Icon } from "../icons.js";
import { t } from "../text.js";
import { perform } from "./actions.js";
import { allowed, labelOf, run } from "./calls.js";
import { core, isNumber, spoken, Value } from "./cells.js";
import { exportCsv, MOST_ROWS } from "./csv.js";
import { Part } from "./part.js";
import { Combobox } from "./reference.js";

/** @typedef {import("../plugin-host").DeclaredScreen} DeclaredScreen */
/** @typedef {import("../plugin-host").Field} Field */
/** @typedef {import("../plugin-host").Host} Host */

const WAIT = 250; // milliseconds without a key before a search is sent

/** Load a list page by page. @param {DeclaredScreen} screen @param {Record<string, string>} query @param {Host} host */
function usePages(screen, query, host) {
  const [state, setState] = useState(/** @type {{ items: any[] | null, next: string | null, error: any, busy: boolean }} */ ({ items: null, next: null, error: null, busy: true }));
  const [may, setMay] = useState(/** @type {Record<string, Set<string>>} */ ({}));
  const latest = useRef(0);
  const key = JSON.stringify(query);
  const load = async (/** @type {string | null} */ cursor) => {
    const turn = (latest.current += 1);
    const wanted = () => turn === latest.current;
    setState((old) => ({ ...old, error: null, busy: true }));
    try {
      const page = await run(/** @type {any} */ (screen.operations.list), { ids: screen.ids, query: { ...query, cursor }, signal: host.signal });
      if (!wanted()) return;
      setState((old) => ({ items: cursor ? [...(old.items ?? []), ...page.items] : page.items, next: page.next, error: null, busy: false }));
      const actions = Object.fromEntries(screen.actions.filter(({ on }) => on !== "page").map((action) => [action.operation, action]));
      const answer = await allowed(actions, page.items);
      if (wanted()) setMay((old) => Object.fromEntries(Object.entries(answer).map(([name, ids]) => [name, cursor ? new Set([...(old[name] ?? []), ...ids]) : ids])));
    } catch (error) {
      if (wanted() && !host.signal.aborted) setState((old) => ({ ...old, error, busy: false }));
    }
  };
  useEffect(() => {
    load(null);
    return () => {
      latest.current += 1;
    };
  }, [key]);
  return { ...state, may, more: () => load(state.next), reload: () => load(null) };
}

/** Which columns somebody wants to see of a screen: kept in this browser. @param {DeclaredScreen} screen */
function useColumns(screen) {
  const key = `ph-columns:${screen.plugin}/${screen.id}`;
  const read = () => {
    try {
      return /** @type {string[] | null} */ (JSON.parse(localStorage.getItem(key) ?? "null"));
    } catch {
      return null;
    }
  };
  const [chosen, setChosen] = useState(read);
  const standard = screen.columns.filter((column) => !column.hidden).map(({ name }) => name);
  const names = new Set(Array.isArray(chosen) ? chosen : standard);
  const shown = screen.columns.filter(({ name }) => names.has(name));
  const choose = (/** @type {string} */ name, /** @type {boolean} */ on) => {
    const next = screen.columns.map((column) => column.name).filter((each) => (each === name ? on : names.has(each)));
    localStorage.setItem(key, JSON.stringify(next));
    setChosen(next);
  };
  return { shown: shown.length ? shown : screen.columns.slice(0, 1), names, choose };
}

/** @param {{ screen: DeclaredScreen, host: Host, query: Readonly<Record<string, string>> }} props */
export function List({ screen, host, query }) {
  const pages = usePages(screen, query, host);
  const { shown, names, choose } = useColumns(screen);
  const [selected, setSelected] = useState(/** @type {Set<string>} */ (new Set()));
  const { items, may } = pages;
  const bulk = screen.actions.filter(({ on }) => on === "bulk");
  const rows = screen.actions.filter(({ on }) => on === "row");
  useEffect(() => setSelected(new Set()), [JSON.stringify(query)]);
  const change = (/** @type {Record<string, string | null>} */ values) => {
    const next = Object.entries({ ...query, ...values }).filter(([, value]) => value);
    const said = new URLSearchParams(/** @type {[string, string][]} */ (next)).toString();
    host.navigate(screen.here + (said ? `?${said}` : ""), { replace: true });
  };
  const act = async (/** @type {any} */ action, /** @type {readonly string[]} */ ids) => {
    if (await perform(action, ids, { host, screen })) {
      setSelected(new Set());
      pages.reload();
    }
  };
  const pick = (/** @type {string} */ id, /** @type {boolean} */ on) => {
    const next = new Set(selected);
    if (on) next.add(id);
    else next.delete(id);
    setSelected(next);
  };
  const all = items !== null && items.length > 0 && items.every(({ id }) => selected.has(id));
  const sortable = new Set(screen.sort);
  const sorted = query.sort ?? "";
  const narrowed = Object.keys(query).some((name) => name !== "sort");
  const width = shown.length + (bulk.length ? 1 : 0) + (rows.length ? 1 : 0);
  const head = (/** @type {Field} */ field) => {
    const up = sorted === field.name;
    const down = sorted === `-${field.name}`;
    return html`<th scope="col" key=${field.name} class=${isNumber(field) ? "num" : ""} aria-sort=${up ? "ascending" : down ? "descending" : null}>
      ${sortable.has(field.name)
        ? html`<button type="button" class="quiet" onClick=${() => change({ sort: up ? `-${field.name}` : field.name })}>${field.title}<span aria-hidden="true">${up ? " ↑" : down ? " ↓" : ""}</span></button>`
        : field.title}
    </th>`;
  };
  return html`${!screen.nested && html`<${Toolbar} screen=${screen} host=${host} query=${query} change=${change} act=${act} shown=${shown} names=${names} choose=${choose} />`}
    ${pages.error && html`<p class="alert" role="alert">${pages.error.message} <button type="button" class="link" onClick=${pages.reload}>${t("Try again")}</button></p>`}
    ${bulk.length > 0 && selected.size > 0 &&
    html`<div class="row alert info" role="region" aria-label=${t("With those selected")}><span>${t("{count} selected", { count: selected.size })}</span>
      ${bulk.map((action) => html`<button type="button" key=${action.operation} class=${action.danger ? "danger" : ""} disabled=${![...selected].every((id) => may[action.operation]?.has(id))}
        onClick=${() => act(action, [...selected])}>${action.title}</button>`)}
      <button type="button" class="quiet" onClick=${() => setSelected(new Set())}>${t("Clear")}</button></div>`}
    <div class="card flush" role="region" aria-label=${screen.title} tabindex="0" aria-busy=${pages.busy ? "true" : null}><table>
      <thead><tr>
        ${bulk.length > 0 && html`<td><input type="checkbox" aria-label=${t("Select all")} checked=${all} onChange=${(/** @type {any} */ event) => setSelected(new Set(event.currentTarget.checked ? (items ?? []).map(({ id }) => id) : []))} /></td>`}
        ${shown.map(head)}
        ${rows.length > 0 && html`<th scope="col"><span class="visually-hidden">${t("Actions")}</span></th>`}
      </tr></thead>
      <tbody>
        ${(items ?? []).map(
          (item) => html`<tr key=${item.id} aria-selected=${bulk.length ? String(selected.has(item.id)) : null}>
            ${bulk.length > 0 && html`<td><input type="checkbox" aria-label=${t("Select {name}", { name: labelOf(item, shown[0]?.name) })} checked=${selected.has(item.id)}
              onChange=${(/** @type {any} */ event) => pick(item.id, event.currentTarget.checked)} /></td>`}
            ${shown.map((field, at) => html`<${Cell} key=${field.name} screen=${screen} host=${host} field=${field} item=${item} first=${at === 0} />`)}
            ${rows.length > 0 && html`<td><span class="row end">${rows.filter((action) => may[action.operation]?.has(item.id)).map(
              (action) => html`<button type="button" key=${action.operation} class=${action.danger ? "danger small" : "small"} aria-label="${action.title}: ${labelOf(item, shown[0]?.name)}" onClick=${() => act(action, [item.id])}>${action.title}</button>`,
            )}</span></td>`}
          </tr>`,
        )}
        ${items?.length === 0 && html`<tr><td colspan=${width} class="empty"><${Empty} screen=${screen} host=${host} narrowed=${narrowed} clear=${() => host.navigate(screen.here, { replace: true })} /></td></tr>`}
        ${items === null && !pages.error && html`<tr><td colspan=${width} class="empty">${t("Loading…")}</td></tr>`}
      </tbody>
    </table></div>
    ${pages.next && html`<p><button type="button" disabled=${pages.busy} onClick=${pages.more}>${pages.busy ? t("Loading…") : t("Show more")}</button></p>`}
    <p class="visually-hidden" role="status">${items && !pages.busy ? t("{count} shown", { count: items.length }) : ""}</p>`;
}

/** @param {{ screen: DeclaredScreen, host: Host, field: Field, item: any, first: boolean }} props */
function Cell({ screen, host, field, item, first }) {
  const part = screen.parts[`cell:${field.name}`];
  const value = part
    ? html`<${Part} inline address=${part} host=${host} context=${{ item, value: item[field.name] }} />`
    : html`<${Value} field=${field} item=${item} refs=${first ? {} : screen.refs} />`;
  if (!first) return html`<td class=${isNumber(field) ? "num" : ""}>${value}</td>`;
  const opens = !screen.nested && screen.operations.read;
  const page = `${screen.here}/${encodeURIComponent(item.id)}`;
  return html`<th scope="row">${opens ? html`<a href=${host.url(page)}>${value}</a>` : value}</th>`;
}

/** @param {{ screen: DeclaredScreen, host: Host, narrowed: boolean, clear: () => void }} props */
function Empty({ screen, host, narrowed, clear }) {
  if (narrowed) return html`<p>${t("Nothing matches.")}</p><p><button type="button" onClick=${clear}>${t("Show all")}</button></p>`;
  return html`<p>${screen.empty ?? t("There is nothing here yet.")}</p>
    ${screen.operations.create && !screen.nested && html`<p><a class="button" href=${host.url(`${screen.here}/new`)}>${screen.operations.create.title}</a></p>`}`;
}

/**
 * @param {{ screen: DeclaredScreen, host: Host, query: Readonly<Record<string, string>>, change: (values: Record<string, string | null>) => void,
 *   act: (action: any, ids: readonly string[]) => void, shown: readonly Field[], names: Set<string>, choose: (name: string, on: boolean) => void }} props
 */
function Toolbar({ screen, host, query, change, act, shown, names, choose }) {
  const [text, setText] = useState(query.q ?? "");
  const [rows, setRows] = useState(-1);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => setText(query.q ?? ""), [query.q]);
  const typed = (/** @type {any} */ event) => {
    const q = event.currentTarget.value;
    setText(q);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => change({ q: q.trim() }), WAIT);
  };
  const exported = async () => {
    setRows(0);
    try {
      const what = { query: { ...query }, ids: screen.ids, columns: shown, name: screen.title, signal: host.signal, progress: setRows };
      const { rows: count, whole } = await exportCsv(/** @type {any} */ (screen.operations.list), what);
      host.notify(whole ? t("{count} rows were saved", { count }) : t("The first {count} rows were saved; narrow the list for the rest", { count: MOST_ROWS }), { kind: "success" });
    } catch (error) {
      host.notify(/** @type {Error} */ (error).message, { kind: "error" });
    } finally {
      setRows(-1);
    }
  };
  return html`<div class="toolbar"><h1>${screen.title}</h1><span class="spacer"></span>
      ${screen.actions.filter(({ on }) => on === "page").map((action) => html`<button type="button" key=${action.operation} onClick=${() => act(action, [])}>${action.title}</button>`)}
      ${screen.operations.create && html`<a class="button primary" href=${host.url(`${screen.here}/new`)}><${Icon} name="plus" />${screen.operations.create.title}</a>`}
    </div>
    <div class="toolbar">
      ${screen.search && html`<input type="search" aria-label=${t("Search {title}", { title: screen.title })} placeholder=${t("Search")} value=${text} onInput=${typed} />`}
      ${screen.filters.map((field) => html`<${Filter} key=${field.name} field=${field} ref_=${screen.refs[field.name]} value=${query[field.name] ?? ""} set=${(/** @type {string | null} */ value) => change({ [field.name]: value })} />`)}
      <span class="spacer"></span>
      <details class="ph-columns"><summary class="button quiet">${t("Columns")}</summary>
        <fieldset><legend class="visually-hidden">${t("Columns")}</legend>${screen.columns.map(
          (field) => html`<label class="check" key=${field.name}><input type="checkbox" checked=${names.has(field.name)} onChange=${(/** @type {any} */ event) => choose(field.name, event.currentTarget.checked)} /><span>${field.title}</span></label>`,
        )}</fieldset></details>
      <button type="button" class="quiet" disabled=${rows >= 0} onClick=${exported}><${Icon} name="download" />${rows >= 0 ? t("{rows} rows…", { rows }) : t("Export CSV")}</button>
    </div>`;
}

/** @param {{ field: Field, ref_?: import("../plugin-host").Ref, value: string, set: (value: string | null) => void }} props */
function Filter({ field, ref_, value, set }) {
  const schema = core(field.schema);
  if (ref_) return html`<label>${field.title} <${Combobox} ref_=${ref_} value=${value || null} label=${field.title} onChange=${set} /></label>`;
  const choices = schema.type === "boolean" ? ["true", "false"] : schema.enum;
  const name = (/** @type {any} */ one) => (schema.type === "boolean" ? (one === "true" ? t("Yes") : t("No")) : spoken(String(one)));
  const change = (/** @type {any} */ event) => set(event.currentTarget.value || null);
  if (choices) {
    return html`<label>${field.title} <select value=${value} onChange=${change}><option value="">${t("All")}</option>
      ${choices.map((/** @type {any} */ one) => html`<option key=${one} value=${String(one)}>${name(one)}</option>`)}</select></label>`;
  }
  const type = { date: "date", "date-time": "text" }[/** @type {string} */ (schema.format)] ?? (schema.type === "integer" ? "number" : "text");
  return html`<label>${field.title} <input type=${type} value=${value} onChange=${change} /></label>`;
}
