// @ts-check
// What lies above the page: short messages, questions, dialogs.
import { html, render, signal } from "./vendor/view.js";
import { Icon } from "./icons.js";
import { t } from "./text.js";

/** @typedef {{ kind?: "info" | "success" | "error", action?: { label: string, run: () => void } }} NoticeOptions */
/** @typedef {NoticeOptions & { id: number, text: string }} Notice */

const SHOWN_FOR = 6000; // milliseconds; errors stay until they are closed
const MOST = 4;

const notices = signal(/** @type {Notice[]} */ ([]));
let count = 0;

/**
 * Show a short message at the edge of the page.
 * @param {string} text @param {NoticeOptions} [options]
 */
export function notify(text, options = {}) {
  const id = (count += 1);
  notices.value = [...notices.value, { ...options, id, text: String(text) }].slice(-MOST);
  if (options.kind !== "error") setTimeout(() => dismiss(id), SHOWN_FOR);
}

/** @param {number} id */
const dismiss = (id) => {
  notices.value = notices.value.filter((notice) => notice.id !== id);
};

/** @param {{ notice: Notice }} props */
function NoticeCard({ notice: { id, text, kind = "info", action } }) {
  const act = () => {
    dismiss(id);
    action?.run();
  };
  const icon = { info: "message", success: "check", error: "alert" }[kind];
  return html`<div class="ph-notice" data-kind=${kind}>
    <${Icon} name=${icon} /><span>${text}</span>
    ${action && html`<button type="button" class="link" onClick=${act}>${action.label}</button>`}
    <button type="button" class="quiet icon" aria-label=${t("Dismiss")} onClick=${() => dismiss(id)}><${Icon} name="x" /></button>
  </div>`;
}

/** The two live regions are always there: a screen reader announces only what is put into one that it knows. */
export function Notices() {
  const [calm, urgent] = [notices.value.filter((n) => n.kind !== "error"), notices.value.filter((n) => n.kind === "error")];
  const cards = (/** @type {Notice[]} */ list) => list.map((n) => html`<${NoticeCard} key=${n.id} notice=${n} />`);
  return html`<div class="ph-notices">
    <div role="status">${cards(calm)}</div>
    <div role="alert">${cards(urgent)}</div>
  </div>`;
}

/**
 * Open a modal dialog. The focus goes back to where it was when it closes.
 * @template T
 * @param {{ label?: string, signal?: AbortSignal, className?: string }} options
 * @param {(element: HTMLDialogElement, close: (value?: T) => void) => void} fill
 * @returns {Promise<T | undefined>} what `close` was given; undefined if it was dismissed
 */
export function openDialog({ label, signal: stop, className = "" }, fill) {
  return new Promise((done) => {
    const dialog = document.createElement("dialog");
    dialog.className = className;
    if (label) dialog.setAttribute("aria-label", label);
    /** @type {T | undefined} */
    let result;
    const close = (/** @type {T | undefined} */ value) => {
      result = value;
      dialog.close();
    };
    const abort = () => dialog.close();
    dialog.addEventListener("close", () => {
      stop?.removeEventListener("abort", abort);
      dialog.remove();
      done(result);
    });
    stop?.addEventListener("abort", abort);
    document.body.append(dialog);
    fill(dialog, close);
    dialog.showModal();
    if (stop?.aborted) abort();
  });
}

/**
 * Ask a question that is answered by yes or no.
 * @param {string} text @param {{ ok?: string, cancel?: string, danger?: boolean, signal?: AbortSignal }} [options]
 * @returns {Promise<boolean>}
 */
export async function confirm(text, { ok = t("OK"), cancel = t("Cancel"), danger = false, signal: stop } = {}) {
  const answer = await openDialog({ label: String(text), signal: stop, className: "ph-confirm" }, (dialog, close) => {
    render(
      html`<p>${String(text)}</p>
        <div class="row end">
          <button type="button" onClick=${() => close(false)}>${cancel}</button>
          <button type="button" class=${danger ? "primary danger" : "primary"} autofocus onClick=${() => close(true)}>${ok}</button>
        </div>`,
      dialog,
    );
  });
  return answer === true;
}
