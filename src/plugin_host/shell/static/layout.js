// @ts-check
// The frame around every view: the bar on top, the menu at the side, the person's own menu.
import { html, useEffect, useLayoutEffect, useRef, useSignal } from "./vendor/view.js";
import { Brand } from "./brand.js";
import { config } from "./config.js";
import { Icon } from "./icons.js";
import { lazy } from "./lazy.js";
import { Menu } from "./menu.js";
import { place } from "./router.js";
import { menuItems, user } from "./state.js";
import { t } from "./text.js";

// As in shell.css: from here on the menu has its place beside the view.
const WIDE = matchMedia("(min-width: 56rem)");
/** @param {string} name */
const initials = (name) => {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  return words.slice(0, 2).map((word) => [...word][0].toUpperCase()).join("") || "?";
};

const UserMenuContent = lazy(() => import("./user-menu.js").then((module) => module.UserMenuContent));

function UserMenu() {
  const open = useSignal(false);
  const seen = useSignal(false);
  const person = user.value;
  const name = person ? person.display || person.username : "";
  const toggled = (/** @type {any} */ event) => {
    open.value = event.newState === "open";
    seen.value ||= open.value;
  };
  return html`<button type="button" class="quiet ph-user" popovertarget="ph-user-menu" aria-expanded=${String(open.value)}>
      <span class="ph-avatar" aria-hidden="true">${person ? initials(name) : html`<${Icon} name="user" />`}</span>
      <span class="visually-hidden">${person ? t("Menu of ") : t("Menu")}</span><span class="ph-user-name">${name}</span><${Icon} name="chevron" />
    </button>
    <div id="ph-user-menu" popover class="ph-popover" onBeforeToggle=${toggled}>${seen.value && html`<${UserMenuContent} />`}</div>`;
}

const signInLink = () => `${config.base}/login?next=${encodeURIComponent(place.value.path + place.value.search)}`;

/** @param {{ children: any }} props */
export function Layout({ children }) {
  const open = useSignal(false);
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const side = useRef(/** @type {HTMLElement | null} */ (null));
  const shut = () => {
    open.value = false;
  };
  useEffect(() => place.subscribe(shut), []);
  useEffect(() => {
    WIDE.addEventListener("change", shut);
    return () => WIDE.removeEventListener("change", shut);
  }, []);
  const close = () => {
    open.value = false;
    button.current?.focus();
  };
  useLayoutEffect(() => {
    if (!open.value) return undefined;
    side.current?.querySelector("a")?.focus();
    const escape = (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && close();
    document.addEventListener("keydown", escape);
    return () => document.removeEventListener("keydown", escape);
  }, [open.value]);
  /** @param {MouseEvent} event */
  const skip = (event) => {
    event.preventDefault();
    document.getElementById("view")?.focus();
  };
  const hasMenu = user.value !== null || menuItems.value.length > 0;
  return html`<a class="ph-skip" href="#view" onClick=${skip}>${t("Skip to content")}</a>
    <header class="ph-top">
      ${hasMenu &&
      html`<button type="button" class="quiet icon ph-menu-button" ref=${button} aria-expanded=${String(open.value)}
        aria-controls="ph-side" aria-label=${t("Menu")} onClick=${() => (open.value = !open.value)}>
        <${Icon} name=${open.value ? "x" : "menu"} /></button>`}
      <a class="ph-home-link" href=${`${config.base}/`}><${Brand} /></a>
      <span class="spacer"></span>
      ${user.value === null && html`<a class="button primary" href=${signInLink()}>${t("Sign in")}</a>`}
      <${UserMenu} />
    </header>
    <div class="ph-body" data-open=${open.value ? "" : null} data-bare=${hasMenu ? null : ""}>
      ${hasMenu &&
      html`<div class="ph-side" id="ph-side" ref=${side}><${Menu} /></div>`}
      ${open.value && html`<div class="ph-veil" onClick=${close}></div>`}
      <main id="view" tabindex="-1" inert=${open.value}>${children}</main>
    </div>`;
}
