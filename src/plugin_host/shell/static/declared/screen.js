// @ts-check
// A declared screen: which of its views the address means. No code of the plugin is needed for any of it.
import { html, render, useEffect, useState } from "../vendor/view.js";
import { shell } from "../state.js";
import { t } from "../text.js";
import { labelOf, run } from "./calls.js";
import { Detail, useItem } from "./detail.js";
import { fieldsOf, Form } from "./form.js";
import { List } from "./list.js";
import { Part } from "./part.js";

/** @typedef {import("../plugin-host").DeclaredScreen} DeclaredScreen */
/** @typedef {import("../plugin-host").Host} Host */

/**
 * Draw a declared screen.
 * @param {HTMLElement} element @param {Host} host @param {any} said what the server says of the screen
 */
export function mount(element, host, said) {
  const here = said.path.slice(`/${said.plugin}`.length).replace(/^\//, "");
  const slots = (shell.peek()?.slots ?? []).filter((slot) => slot.slot === said.slot);
  /** @type {DeclaredScreen} */
  const screen = { ...said, here, ids: [], nested: false, slots };
  render(html`<${Views} screen=${screen} host=${host} />`, element);
  return () => render(null, element);
}

/** @param {{ screen: DeclaredScreen, host: Host }} props */
function Views({ screen, host }) {
  const [route, setRoute] = useState(host.route);
  useEffect(() => host.onRoute(setRoute), []);
  if (screen.problem) {
    return html`<h1>${screen.title}</h1><div class="alert" role="alert"><p>${t("This screen cannot be drawn.")}</p><p>${screen.problem}</p></div>`;
  }
  const [id, view] = route.path.split("/").map(decodeURIComponent);
  if (!id) {
    if (!screen.operations.list) return html`<h1>${screen.title}</h1><p class="alert" role="alert">${t("You may not see this list.")}</p>`;
    const whole = screen.parts.list;
    return whole ? html`<${Part} address=${whole} host=${host} context=${{ query: route.query }} />` : html`<${List} screen=${screen} host=${host} query=${route.query} />`;
  }
  if (id === "new" && screen.operations.create) return html`<${New} screen=${screen} host=${host} query=${route.query} />`;
  if (view === "edit" && screen.operations.update) return html`<${Edit} key=${id} screen=${screen} id=${id} host=${host} />`;
  if (screen.operations.read) return html`<${Detail} key=${id} screen=${screen} id=${id} tab=${view ?? ""} host=${host} />`;
  return html`<h1>${screen.title}</h1><p class="alert" role="alert">${t("There is nothing at this address, or you may not see it.")}</p>`;
}

/** @param {{ screen: DeclaredScreen, host: Host, query: Readonly<Record<string, string>> }} props */
function New({ screen, host, query }) {
  const create = /** @type {any} */ (screen.operations.create);
  const { title } = create;
  useEffect(() => host.title(title), []);
  const done = (/** @type {any} */ item) => {
    host.notify(t("{title} was added", { title: labelOf(item, screen.columns[0]?.name) }), { kind: "success" });
    const page = screen.operations.read && item?.id !== undefined ? `${screen.here}/${encodeURIComponent(item.id)}` : screen.here;
    return host.navigate(page, { replace: true });
  };
  const send = async (/** @type {any} */ body) => done(await run(create, { body }));
  const cancel = () => host.navigate(screen.here);
  if (screen.parts.form) return html`<${Part} address=${screen.parts.form} host=${host} context=${{ item: null, send, cancel }} />`;
  // What the address says is filled in: links may lead to a form with a beginning.
  const fields = fieldsOf(screen.form, create.takes).map((field) =>
    query[field.name] === undefined ? field : { ...field, schema: { ...field.schema, default: query[field.name] } },
  );
  return html`<${Form} title=${title} fields=${fields} schema=${create.takes} refs=${screen.refs} parts=${screen.parts} host=${host}
    submit=${title} send=${send} cancel=${cancel} />`;
}

/** @param {{ screen: DeclaredScreen, id: string, host: Host }} props */
function Edit({ screen, id, host }) {
  const { item, error } = useItem(screen, id, host);
  const update = /** @type {any} */ (screen.operations.update);
  const title = item ? labelOf(item, screen.columns[0]?.name) : screen.title;
  useEffect(() => host.title(title), [title]);
  const page = screen.operations.read ? `${screen.here}/${encodeURIComponent(id)}` : screen.here;
  if (error) return html`<h1>${screen.title}</h1><p class="alert" role="alert">${error.message}</p>`;
  if (!item) return html`<h1>${screen.title}</h1><p class="muted" role="status">${t("Loading…")}</p>`;
  const send = async (/** @type {any} */ body) => {
    if (Object.keys(body).length > 0) await run(update, { ids: [id], body });
    host.notify(t("Your changes were saved"), { kind: "success" });
    await host.navigate(page, { replace: true });
  };
  const cancel = () => host.navigate(page);
  if (screen.parts.form) return html`<${Part} address=${screen.parts.form} host=${host} context=${{ item, send, cancel }} />`;
  return html`<${Form} title=${title} fields=${fieldsOf(screen.form, update.takes)} schema=${update.takes} item=${item} refs=${screen.refs} parts=${screen.parts}
    host=${host} submit=${t("Save")} send=${send} cancel=${cancel} />`;
}
