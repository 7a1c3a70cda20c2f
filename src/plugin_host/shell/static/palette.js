// @ts-check
// Ctrl+K: everything that this person can open, by a few letters.
import { html, render, useEffect, useRef, useState } from "./vendor/view.js";
import { Icon } from "./icons.js";
import { openDialog } from "./layers.js";
import { dressPage } from "./lazy.js";
import { flatten } from "./menu.js";
import { go } from "./router.js";
import { menuItems, shell } from "./state.js";
import { t } from "./text.js";

const MOST = 12;

/** Whether the letters stand in the text in their order; words that begin with them come first. @param {string} text @param {string} letters */
function rank(text, letters) {
  const low = text.toLowerCase();
  if (low.startsWith(letters)) return 0;
  if (low.split(/\W+/).some((word) => word.startsWith(letters))) return 1;
  if (low.includes(letters)) return 2;
  let at = -1;
  for (const letter of letters) {
    at = low.indexOf(letter, at + 1);
    if (at < 0) return -1;
  }
  return 3;
}

/** What can be opened: the menu, and screens that are not in it. */
function places() {
  const menu = flatten(menuItems.value).filter(({ to }) => to);
  const known = new Set(menu.map(({ to }) => to));
  const plugins = shell.value?.plugins ?? {};
  const screens = (shell.value?.screens ?? []).filter(({ path }) => !known.has(path));
  return [
    { title: t("Home"), to: "/", icon: "home", about: "" },
    ...menu.map(({ title, to, icon, group }) => ({ title, to: /** @type {string} */ (to), icon, about: group ?? "" })),
    ...screens.map(({ title, path, plugin }) => ({ title, to: path, icon: null, about: plugins[plugin]?.name ?? plugin })),
  ];
}

let open = false;

/** Show it. */
export async function openPalette() {
  if (open) return;
  open = true;
  await dressPage();
  const to = await openDialog({ label: t("Go to"), className: "ph-palette" }, (dialog, close) => {
    render(html`<${Palette} close=${close} />`, dialog);
  });
  open = false;
  if (typeof to === "string") go(to);
}

/** @param {{ close: (to?: any) => void }} props */
function Palette({ close }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const letters = text.trim().toLowerCase();
  const found = places()
    .map((place) => ({ ...place, rank: letters ? rank(place.title, letters) : 0 }))
    .filter((place) => place.rank >= 0)
    .sort((one, other) => one.rank - other.rank)
    .slice(0, MOST);
  useEffect(() => {
    list.current?.children[at]?.scrollIntoView({ block: "nearest" });
  }, [at]);
  const pressed = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length) {
      event.preventDefault();
      setAt((at + step + found.length) % found.length);
    } else if (event.key === "Enter" && found[at]) {
      event.preventDefault();
      close(found[at].to);
    }
  };
  return html`<input type="text" role="combobox" aria-expanded="true" aria-controls="ph-places" aria-autocomplete="list" autofocus autocomplete="off" spellcheck=${false}
      aria-label=${t("Go to")} placeholder=${t("Go to…")} aria-activedescendant=${found[at] ? `ph-place-${at}` : null} value=${text}
      onInput=${(/** @type {any} */ event) => (setText(event.currentTarget.value), setAt(0))} onKeyDown=${pressed} />
    <ul id="ph-places" role="listbox" aria-label=${t("Go to")} ref=${list}>${found.map(
      (place, n) => html`<li key=${place.to} id=${`ph-place-${n}`} role="option" aria-selected=${String(n === at)} onClick=${() => close(place.to)}>
        <${Icon} name=${place.icon} /><span>${place.title}</span><small class="muted">${place.about}</small></li>`,
    )}</ul>
    ${found.length === 0 && html`<p class="muted" role="status">${t("Nothing matches.")}</p>`}`;
}
