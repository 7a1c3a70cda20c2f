// @ts-check
// What plugins put into places that are left open: cards of the start page, tabs of an object, settings.
import { html, useEffect, useRef, useSignal } from "./vendor/view.js";
import { show } from "./loader.js";
import { shell } from "./state.js";
import { t } from "./text.js";

/** @typedef {import("./plugin-host").Slot} Slot */

/** What is put into a slot, for whoever is here. @param {string} name @returns {Slot[]} */
export const slotsOf = (name) => (shell.value?.slots ?? []).filter((each) => each.slot === name);

/** One part; if it fails, a small card says so and all others go on. @param {{ slot: Slot, context?: unknown }} props */
export function SlotView({ slot, context }) {
  const stage = useRef(/** @type {HTMLElement | null} */ (null));
  const problem = useSignal("");
  const busy = useSignal(true);
  const turn = useSignal(0);
  useEffect(() => {
    problem.value = "";
    busy.value = true;
    const view = show(slot, /** @type {HTMLElement} */ (stage.current), {
      shell: /** @type {NonNullable<typeof shell.value>} */ (shell.peek()),
      context,
      onHeading: () => {},
      onShown: () => {
        busy.value = false;
      },
      onError: (error) => {
        busy.value = false;
        problem.value = error instanceof Error ? error.message : String(error);
      },
    });
    return view.stop;
  }, [turn.value]);
  const about = shell.value?.plugins[slot.plugin]?.name ?? slot.plugin;
  return html`<div class="ph-slot" data-plugin=${slot.plugin} aria-busy=${busy.value ? "true" : null}>
    <div ref=${stage}></div>
    ${problem.value &&
    html`<div class="alert" role="alert"><p>${t("{plugin} could not show this.", { plugin: about })}</p>
      <details><summary>${t("Technical details")}</summary><pre>${problem.value}</pre></details>
      <p><button type="button" onClick=${() => (turn.value += 1)}>${t("Try again")}</button></p></div>`}
  </div>`;
}

/** All parts of a slot as cards. @param {{ name: string }} props */
export const SlotCards = ({ name }) =>
  html`<div class="grid ph-cards">${slotsOf(name).map(
    (slot, n) => html`<section class="card" key=${`${slot.plugin}-${n}`} aria-label=${slot.title || slot.plugin}>
      ${slot.title && html`<h2>${slot.title}</h2>`}<${SlotView} slot=${slot} />
    </section>`,
  )}</div>`;
