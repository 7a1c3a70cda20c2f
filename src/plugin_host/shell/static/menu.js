// @ts-check
// The navigation: what this person may open, in groups, with the place where they are.
import { html, useSignal } from "./vendor/view.js";
import { config } from "./config.js";
import { Icon } from "./icons.js";
import { place } from "./router.js";
import { menuItems } from "./state.js";
import { t } from "./text.js";

/** @typedef {import("./plugin-host").MenuItem} MenuItem */

const FILTER_FROM = 8; // fewer items are seen at a glance

/** Items with those below them in one list. @param {readonly MenuItem[]} items @returns {MenuItem[]} */
export const flatten = (items) => items.flatMap((item) => [item, ...flatten(item.children ?? [])]);

/** Keep the order in which the groups come; items without a group come first. @param {readonly MenuItem[]} items */
export function groups(items) {
  /** @type {Map<string, MenuItem[]>} */
  const found = new Map([["", []]]);
  for (const item of items) {
    const name = item.group ?? "";
    found.set(name, [...(found.get(name) ?? []), item]);
  }
  return [...found].filter(([, list]) => list.length > 0);
}

/** The item that leads closest to where the page stands. @param {readonly MenuItem[]} items @param {string} path */
function current(items, path) {
  const fits = flatten(items).filter(({ to }) => to && (to === path || (to !== "/" && `${path}/`.startsWith(`${to}/`))));
  return fits.sort((a, b) => (b.to ?? "").length - (a.to ?? "").length)[0]?.id;
}

/** @param {readonly MenuItem[]} items @param {string} text @returns {MenuItem[]} */
function narrowed(items, text) {
  return items.flatMap((item) => {
    const children = narrowed(item.children ?? [], text);
    const hit = item.title.toLowerCase().includes(text) || (item.group ?? "").toLowerCase().includes(text);
    return hit ? [item] : children.length ? [{ ...item, children }] : [];
  });
}

/** @param {{ item: MenuItem, here: string | undefined }} props @returns {any} */
function Entry({ item, here }) {
  const children = item.children ?? [];
  const name = html`<${Icon} name=${item.icon} /><span>${item.title}</span>`;
  return html`<li>
    ${item.to
      ? html`<a href=${config.base + item.to} aria-current=${item.id === here ? "page" : null}>${name}</a>`
      : html`<span class="ph-parent">${name}</span>`}
    ${children.length > 0 &&
    html`<ul>${children.map((child) => html`<${Entry} key=${child.id} item=${child} here=${here} />`)}</ul>`}
  </li>`;
}

export function Menu() {
  const text = useSignal("");
  const items = menuItems.value;
  const here = current(items, place.value.path);
  const shown = narrowed(items, text.value.trim().toLowerCase());
  /** @param {KeyboardEvent & { currentTarget: HTMLElement }} event */
  const enter = (event) => {
    const first = event.currentTarget.closest("nav")?.querySelector("[role=group] a");
    if (event.key === "Enter" && first instanceof HTMLElement) first.click();
  };
  return html`<nav class="ph-menu" aria-label=${t("Main")}>
    ${flatten(items).length >= FILTER_FROM &&
    html`<input type="search" placeholder=${t("Find in menu")} aria-label=${t("Find in menu")} value=${text.value}
      onInput=${(/** @type {any} */ event) => (text.value = event.currentTarget.value)} onKeyDown=${enter} />`}
    <ul>
      <li><a href=${`${config.base}/`} aria-current=${place.value.path === "/" ? "page" : null}><${Icon} name="home" /><span>${t("Home")}</span></a></li>
    </ul>
    ${groups(shown).map(
      ([name, list], at) => html`<div role="group" key=${name} aria-labelledby=${name ? `ph-group-${at}` : null}>
        ${name && html`<h2 id=${`ph-group-${at}`}>${name}</h2>`}
        <ul>${list.map((item) => html`<${Entry} key=${item.id} item=${item} here=${here} />`)}</ul>
      </div>`,
    )}
    ${text.value && shown.length === 0 && html`<p class="muted">${t("Nothing matches.")}</p>`}
  </nav>`;
}
