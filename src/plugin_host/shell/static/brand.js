// @ts-check
// The name of the application and its sign.
import { html } from "./vendor/view.js";
import { config } from "./config.js";
import { appName } from "./state.js";

const Logo = () =>
  html`<svg class="ph-logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <rect width="32" height="32" rx="8" /><rect x="7" y="7" width="8" height="8" rx="2" />
    <rect x="7" y="17" width="8" height="8" rx="2" /><rect x="17" y="17" width="8" height="8" rx="2" />
    <rect x="18" y="7" width="7" height="7" rx="2" transform="rotate(45 21.5 10.5)" />
  </svg>`;

export const Brand = () =>
  html`<span class="ph-brand">
    ${config.logo ? html`<img src=${config.logo} alt="" />` : html`<${Logo} />`}<span>${appName.value}</span>
  </span>`;
