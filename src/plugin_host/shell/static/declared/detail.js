// @ts-check
// One object: its fields, what can be done with it, and what belongs to it in tabs.
import { html, useEffect, useRef, useState } from "../vendor/view.js";
import { SlotView } from "../slots.js";
import { t } from "../text.js";
import { perform } from "./actions.js";
import { allowed, labelOf, run } from "./calls.js";
import { Value } from "./cells.js";
import { fieldsOf, Form } from "./form.js";
import { List } from "./list.js";
import { Part } from "./part.js";

/** @typedef {import("../plugin-host").DeclaredScreen} DeclaredScreen */
/** @typedef {import("../plugin-host").Field} Field */
/** @typedef {import("../plugin-host").Host} Host */

/** Load one object; also for the form that changes it. @param {DeclaredScreen} screen @param {string} id @param {Host} host */
export function useItem(screen, id, host) {
  const [state, setState] = useState(/** @type {{ item: any, error: any, may: Record<string, boolean> }} */ ({ item: null, error: null, may: {} }));
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let wanted = true;
    const load = async () => {
      const { read, update, delete: remove } = screen.operations;
      const item = read ? await run(read, { ids: [id], signal: host.signal }) : null;
      const actions = Object.fromEntries(screen.actions.filter(({ on }) => on === "row").map((action) => [action.operation, action]));
      const may = await allowed({ update, delete: remove, ...actions }, [{ id }]);
      return { item, error: null, may: Object.fromEntries(Object.entries(may).map(([name, ids]) => [name, ids.has(id)])) };
    };
    load().then(
      (found) => wanted && setState(found),
      (error) => wanted && setState({ item: null, error, may: {} }),
    );
    return () => {
      wanted = false;
    };
  }, [id, turn]);
  return { ...state, reload: () => setTurn(turn + 1) };
}

/** The fields of an object that the screen names, columns first; all there are where it names none. @param {DeclaredScreen} screen @returns {Field[]} */
function shownFields(screen) {
  const properties = screen.schemas.read?.properties ?? {};
  const named = [...screen.columns, ...screen.form].filter(({ name }, at, all) => name in properties && all.findIndex((each) => each.name === name) === at);
  return named.length > 0 ? named : fieldsOf([], screen.schemas.read);
}

/** @param {{ screen: DeclaredScreen, id: string, tab: string, host: Host }} props */
export function Detail({ screen, id, tab, host }) {
  const { item, error, may, reload } = useItem(screen, id, host);
  const title = item ? labelOf(item, screen.columns[0]?.name) : screen.title;
  useEffect(() => host.title(title), [title]);
  const back = html`<p><a href=${host.url(screen.here)}>← ${screen.title}</a></p>`;
  if (error) return html`${back}<h1>${screen.title}</h1><p class="alert" role="alert">${error.message}</p>`;
  if (!item) return html`${back}<h1>${screen.title}</h1><p class="muted" role="status">${t("Loading…")}</p>`;
  const remove = /** @type {any} */ (screen.operations.delete);
  const removed = async () => {
    const action = { ...remove, on: "row", danger: true, confirm: t("Delete “{title}”? This cannot be undone.", { title }) };
    if (await perform(action, [id], { host, screen })) host.navigate(screen.here);
  };
  const act = async (/** @type {any} */ action) => {
    if (await perform(action, [id], { host, screen })) reload();
  };
  const whole = screen.parts.detail;
  return html`${back}
    <div class="toolbar"><h1>${title}</h1><span class="spacer"></span>
      ${screen.actions.filter((action) => action.on === "row" && may[action.operation]).map(
        (action) => html`<button type="button" key=${action.operation} class=${action.danger ? "danger" : ""} onClick=${() => act(action)}>${action.title}</button>`,
      )}
      ${remove && may.delete && html`<button type="button" class="danger" onClick=${removed}>${remove.title}</button>`}
      ${screen.operations.update && may.update && html`<a class="button primary" href=${host.url(`${screen.here}/${encodeURIComponent(id)}/edit`)}>${t("Edit")}</a>`}
    </div>
    ${whole
      ? html`<${Part} address=${whole} host=${host} context=${{ item, reload }} />`
      : html`<section class="card"><dl>${shownFields(screen).map((field) => {
          const part = screen.parts[`cell:${field.name}`];
          return html`<dt key=${field.name}>${field.title}</dt>
            <dd>${part ? html`<${Part} inline address=${part} host=${host} context=${{ item, value: item[field.name] }} />` : html`<${Value} field=${field} item=${item} refs=${screen.refs} />`}</dd>`;
        })}</dl></section>`}
    <${Tabs} screen=${screen} id=${id} item=${item} chosen=${tab} host=${host} />`;
}

/** @param {{ screen: DeclaredScreen, id: string, item: any, chosen: string, host: Host }} props */
function Tabs({ screen, id, item, chosen, host }) {
  const slots = screen.slots.map((slot, n) => ({ id: `${slot.plugin}-${n}`, title: slot.title || slot.plugin, slot }));
  const tabs = [...screen.tabs, ...slots];
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  if (tabs.length === 0) return null;
  const current = tabs.find((tab) => tab.id === chosen) ?? tabs[0];
  const open = (/** @type {string} */ name) => host.navigate(`${screen.here}/${encodeURIComponent(id)}/${name}`, { replace: true });
  const pressed = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = tabs[(tabs.indexOf(current) + step + tabs.length) % tabs.length];
    open(next.id);
    requestAnimationFrame(() => /** @type {HTMLElement | null} */ (list.current?.querySelector('[aria-selected="true"]'))?.focus());
  };
  return html`<section>
    <div role="tablist" class="ph-tabs" ref=${list} aria-label=${t("More about this")} onKeyDown=${pressed}>
      ${tabs.map(
        (tab) => html`<button type="button" key=${tab.id} role="tab" id=${`ph-tab-${tab.id}`} aria-selected=${String(tab === current)} aria-controls="ph-tab"
          tabindex=${tab === current ? "0" : "-1"} class="quiet" onClick=${() => open(tab.id)}>${tab.title}</button>`,
      )}
    </div>
    <div role="tabpanel" id="ph-tab" aria-labelledby=${`ph-tab-${current.id}`} key=${current.id}>
      ${"slot" in current
        ? html`<${SlotView} slot=${current.slot} context=${{ id, object: item }} />`
        : html`<${Belongings} screen=${screen} tab=${current} id=${id} host=${host} />`}
    </div>
  </section>`;
}

/** A list that belongs to the object, with a form to add to it. @param {{ screen: DeclaredScreen, tab: any, id: string, host: Host }} props */
function Belongings({ screen, tab, id, host }) {
  const [adding, setAdding] = useState(false);
  const [turn, setTurn] = useState(0);
  const { create } = tab.operations;
  const [may, setMay] = useState(!create?.object);
  useEffect(() => {
    let wanted = true;
    if (create?.object) allowed({ create }, [{ id }]).then((answer) => wanted && setMay(answer.create.has(id)));
    return () => {
      wanted = false;
    };
  }, [id]);
  const inner = { ...screen, ...tab, title: tab.title, actions: [], filters: [], search: false, parts: {}, empty: null, ids: [id], nested: true };
  const send = async (/** @type {any} */ body) => {
    await run(create, { ids: [id], body });
    setAdding(false);
    setTurn(turn + 1);
  };
  return html`<div class="stack">
    ${adding
      ? html`<${Form} level="h2" title=${create.title} fields=${fieldsOf(tab.form, create.takes)} schema=${create.takes} refs=${screen.refs}
          host=${host} submit=${create.title} send=${send} cancel=${() => setAdding(false)} />`
      : create && may && html`<p><button type="button" onClick=${() => setAdding(true)}>${create.title}</button></p>`}
    <${List} key=${turn} screen=${inner} host=${host} query=${{}} />
  </div>`;
}
