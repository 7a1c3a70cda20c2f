// @ts-check
// The start page: a greeting, and what this person can open.
import { html } from "./vendor/view.js";
import { config } from "./config.js";
import { Icon } from "./icons.js";
import { flatten, groups } from "./menu.js";
import { SlotCards, slotsOf } from "./slots.js";
import { menuItems, shell, user } from "./state.js";
import { t } from "./text.js";

const greeting = () => {
  const hour = new Date().getHours();
  if (hour < 5) return t("Hello");
  if (hour < 12) return t("Good morning");
  return hour < 18 ? t("Good afternoon") : t("Good evening");
};

/** The plugin that a path belongs to, as people call it. @param {string} path */
const owner = (path) => shell.value?.plugins[path.split("/")[1]]?.name ?? "";

export function Home() {
  const shown = groups(menuItems.value.flatMap((item) => flatten([item]).map((each) => ({ ...each, group: item.group }))))
    .map(([name, list]) => /** @type {const} */ ([name, list.filter((item) => item.to)]))
    .filter(([, list]) => list.length > 0);
  return html`<div class="ph-home">
    <header>
      <h1>${greeting()}, ${user.value?.display || user.value?.username}</h1>
      ${shown.length > 0 && html`<p class="muted">${t("Here is what you can open.")}</p>`}
    </header>
    ${slotsOf("core.dashboard").length > 0 && html`<${SlotCards} name="core.dashboard" />`}
    ${shown.length === 0 && html`<${Nothing} />`}
    ${shown.map(
      ([name, list], at) => html`<section key=${name} aria-labelledby=${name ? `ph-home-${at}` : null}>
        ${name && html`<h2 id=${`ph-home-${at}`}>${name}</h2>`}
        <ul class="ph-tiles">${list.map((item) => html`<li key=${item.id}><${Tile} item=${item} /></li>`)}</ul>
      </section>`,
    )}
  </div>`;
}

/** @param {{ item: import("./plugin-host").MenuItem }} props */
const Tile = ({ item }) =>
  html`<a class="ph-tile" href=${config.base + item.to}>
    <span class="ph-mark"><${Icon} name=${item.icon} /></span>
    <span><strong>${item.title}</strong><small class="muted">${owner(item.to ?? "")}</small></span>
  </a>`;

const Nothing = () =>
  html`<section class="card empty">
    <span class="ph-mark"><${Icon} name="inbox" /></span>
    <h2>${t("Nothing to open yet")}</h2>
    <p>${t("Once an administrator gives you a role, the pages you may use appear here and in the menu.")}</p>
  </section>`;
