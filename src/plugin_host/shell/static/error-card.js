// @ts-check
// What stands where a view cannot: whose it is, what happened, what to do.
import { html } from "./vendor/view.js";
import { config } from "./config.js";
import { Icon } from "./icons.js";
import { t } from "./text.js";

/** A view that failed. @param {{ title: string, plugin: string, error: unknown, retry: () => void }} props */
export function ErrorCard({ title, plugin, error, retry }) {
  const text = error instanceof Error ? error.message : String(error);
  return html`<section class="card ph-failed" role="alert">
    <span class="ph-mark danger"><${Icon} name="alert" /></span>
    <h1>${t("{title} could not be shown", { title })}</h1>
    <p>${t("The plugin {plugin} ran into a problem. Everything else goes on working.", { plugin })}</p>
    <div class="row center">
      <button type="button" class="primary" onClick=${retry}>${t("Try again")}</button>
      <a class="button" href=${`${config.base}/`}>${t("Go to the start page")}</a>
    </div>
    <details><summary>${t("Technical details")}</summary><pre>${text}</pre></details>
  </section>`;
}

/** An address where there is nothing for this person. */
export const NotFound = () =>
  html`<section class="card ph-failed">
    <span class="ph-mark"><${Icon} name="search" /></span>
    <h1>${t("There is no such page")}</h1>
    <p>${t("It may have moved, or you may not be allowed to see it.")}</p>
    <div class="row center"><a class="button primary" href=${`${config.base}/`}>${t("Go to the start page")}</a></div>
  </section>`;

/** The page cannot start. @param {{ error: Error | null, retry: () => void }} props */
export const Unreachable = ({ error, retry }) =>
  html`<main class="ph-card-page"><section class="card ph-failed" role="alert">
    <span class="ph-mark danger"><${Icon} name="alert" /></span>
    <h1>${t("{name} is not available", { name: config.name })}</h1>
    <p>${error?.message ?? t("The server did not answer.")}</p>
    <div class="row center"><button type="button" class="primary" onClick=${retry}>${t("Try again")}</button></div>
  </section></main>`;
