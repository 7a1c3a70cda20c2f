// @ts-check
// Who it is, once more: before dangerous things the server wants a fresh proof.
import { html, render, useSignal } from "./vendor/view.js";
import { HostError, request } from "./api.js";
import { openDialog } from "./layers.js";
import { dressPage } from "./lazy.js";
import { t } from "./text.js";

/** @type {Promise<boolean> | null} */
let asking = null;

/** Ask for the password, and for a code where one is needed. Several calls at once ask once. @returns {Promise<boolean>} whether it was given */
export function askForProof() {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

async function ask() {
  await dressPage();
  const done = await openDialog({ label: t("Please confirm that it is you"), className: "ph-confirm" }, (dialog, close) => {
    render(html`<${Form} close=${close} />`, dialog);
  });
  return done === true;
}

/** @param {{ close: (done: boolean) => void }} props */
function Form({ close }) {
  const message = useSignal("");
  const code = useSignal(false);
  const busy = useSignal(false);
  const send = async (/** @type {any} */ event) => {
    event.preventDefault();
    const { password, otp } = Object.fromEntries(new FormData(event.currentTarget));
    busy.value = true;
    try {
      await request("/api/core/auth/reauthenticate", { method: "POST", body: { password, ...(otp && { otp }) } });
      close(true);
    } catch (error) {
      if (error instanceof HostError && error.code === "otp_required") code.value = true;
      else message.value = /** @type {Error} */ (error).message;
    } finally {
      busy.value = false;
    }
  };
  return html`<form onSubmit=${send}>
    <h2>${t("Please confirm that it is you")}</h2>
    <p class="muted">${t("What you are about to do needs your password once more.")}</p>
    ${message.value && html`<p class="alert" role="alert">${message.value}</p>`}
    <label>${t("Password")} <input type="password" name="password" required autofocus autocomplete="current-password" /></label>
    ${code.value && html`<label>${t("Code of your authenticator")} <input name="otp" required inputmode="numeric" autocomplete="one-time-code" /></label>`}
    <div class="row end"><button type="button" onClick=${() => close(false)}>${t("Cancel")}</button><button class="primary" disabled=${busy.value}>${t("Confirm")}</button></div>
  </form>`;
}
