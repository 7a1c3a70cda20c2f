// @ts-check
// What stands in the person's own menu: who it is, how the page looks, the account, the way out.
import { html, useSignal } from "./vendor/view.js";
import { config } from "./config.js";
import { Icon } from "./icons.js";
import { notify } from "./layers.js";
import { mayLeave } from "./router.js";
import { shell, signOut, user } from "./state.js";
import { t } from "./text.js";
import { choice, choose } from "./theme.js";

const THEMES = /** @type {const} */ ([
  ["light", () => t("Light"), "sun"],
  ["dark", () => t("Dark"), "moon"],
  ["system", () => t("System"), "monitor"],
]);

const ThemeChoice = () =>
  html`<fieldset class="ph-choice"><legend>${t("Appearance")}</legend>
    <div>${THEMES.map(
      ([value, label, icon]) => html`<label key=${value}>
        <input type="radio" name="ph-theme" value=${value} checked=${choice.value === value} onChange=${() => choose(value)} />
        <${Icon} name=${icon} /><span>${label()}</span>
      </label>`,
    )}</div>
  </fieldset>`;

const hasAccount = () => shell.value?.screens.some((screen) => screen.plugin === "core" && screen.id === "account");

export function UserMenuContent() {
  const busy = useSignal(false);
  const person = user.value;
  const leave = async () => {
    if (!(await mayLeave())) return;
    busy.value = true;
    try {
      await signOut();
    } catch (error) {
      notify(/** @type {Error} */ (error).message, { kind: "error" });
      busy.value = false;
    }
  };
  return html`${person && html`<p><strong>${person.display || person.username}</strong><small class="muted">${person.username}</small></p>`}
    <${ThemeChoice} />
    ${hasAccount() && html`<a class="button quiet" href=${`${config.base}/core/account`}><${Icon} name="user" />${t("Your account")}</a>`}
    ${person && html`<button type="button" class="quiet" disabled=${busy.value} onClick=${leave}><${Icon} name="sign-out" />${t("Sign out")}</button>`}`;
}
