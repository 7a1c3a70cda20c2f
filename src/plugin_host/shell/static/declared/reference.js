// @ts-check
// A field that holds the id of something else: found by typing, chosen with keys or pointer (ARIA combobox).
import { html, useEffect, useId, useRef, useState } from "../vendor/view.js";
import { t } from "../text.js";
import { labelOf, run } from "./calls.js";
import { labelFor } from "./cells.js";

/** @typedef {import("../plugin-host").Ref} Ref */

const WAIT = 200; // milliseconds without a key before a search is sent
const MOST = 10;

/**
 * @param {{ ref_: Ref, value: string | null, onChange: (value: string | null) => void, id?: string, label?: string, described?: string | null, invalid?: boolean, required?: boolean }} props
 */
export function Combobox({ ref_, value, onChange, id, label, described, invalid, required }) {
  const list = useId();
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const [items, setItems] = useState(/** @type {{ id: string, text: string }[]} */ ([]));
  const [at, setAt] = useState(-1);
  const [told, setTold] = useState("");
  const turn = useRef(0);
  const timer = useRef(0);

  useEffect(() => {
    let wanted = true;
    if (!value) setText("");
    else labelFor(ref_, value).then((found) => wanted && setText((old) => (old === "" ? found : old)));
    return () => {
      wanted = false;
    };
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const search = (/** @type {string} */ q) => {
    const mine = (turn.current += 1);
    setOpen(true);
    setTold(t("Searching…"));
    run(ref_.list, { query: { q, limit: MOST } }).then(
      (page) => {
        if (mine !== turn.current) return;
        setItems(page.items.map((/** @type {any} */ item) => ({ id: String(item[ref_.key]), text: labelOf(item, ref_.label) })));
        setAt(page.items.length ? 0 : -1);
        setTold(page.items.length ? "" : t("Nothing matches."));
      },
      (error) => mine === turn.current && (setItems([]), setTold(error.message)),
    );
  };
  const typed = (/** @type {any} */ event) => {
    const q = event.currentTarget.value;
    setText(q);
    if (q === "") onChange(null);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => search(q), WAIT);
  };
  const choose = (/** @type {{ id: string, text: string }} */ item) => {
    setText(item.text);
    setOpen(false);
    onChange(item.id);
  };
  const leave = () => {
    clearTimeout(timer.current);
    turn.current += 1;
    setOpen(false);
    // What was typed and not chosen is no choice.
    if (value) labelFor(ref_, value).then(setText);
    else setText("");
  };
  const pressed = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) search(value ? "" : text);
      else if (items.length) setAt((at + (event.key === "ArrowDown" ? 1 : items.length - 1)) % items.length);
    } else if (event.key === "Enter" && open && items[at]) {
      event.preventDefault();
      choose(items[at]);
    } else if (event.key === "Escape" && open) {
      event.preventDefault();
      event.stopPropagation();
      setOpen(false);
    }
  };
  return html`<span class="ph-combo" onFocusOut=${leave}>
    <input type="text" role="combobox" id=${id} aria-label=${label} aria-autocomplete="list" aria-expanded=${String(open)} aria-controls=${list}
      aria-activedescendant=${open && at >= 0 ? `${list}-${at}` : null} aria-describedby=${described} aria-invalid=${invalid ? "true" : null}
      autocomplete="off" spellcheck=${false} required=${required} value=${text} placeholder=${t("Type to search")} onInput=${typed} onKeyDown=${pressed} />
    <ul id=${list} role="listbox" aria-label=${label ?? t("Choices")} hidden=${!open || items.length === 0}>
      ${items.map(
        (item, n) => html`<li key=${item.id} id=${`${list}-${n}`} role="option" aria-selected=${String(n === at)}
          onMouseDown=${(/** @type {Event} */ event) => (event.preventDefault(), choose(item))}>${item.text}</li>`,
      )}
    </ul>
    ${open && told && html`<small class="muted" role="status">${told}</small>`}
  </span>`;
}

/**
 * Several of them: those that are chosen, each with a button that takes it away, and a field to add one.
 * @param {{ ref_: Ref, value: string[], onChange: (value: string[]) => void, id: string, label: string, described?: string | null, invalid?: boolean }} props
 */
export function Chosen({ ref_, value, onChange, id, label, described, invalid }) {
  const add = (/** @type {string | null} */ one) => one !== null && !value.includes(one) && onChange([...value, one]);
  return html`<span class="ph-chosen">
    ${value.length > 0 && html`<ul aria-label=${label}>${value.map(
      (one) => html`<li key=${one} class="badge"><${Label} ref_=${ref_} id=${one} />
        <button type="button" class="quiet" aria-label=${t("Remove {name}", { name: one })} onClick=${() => onChange(value.filter((each) => each !== one))}>×</button></li>`,
    )}</ul>`}
    <${Combobox} key=${value.length} ref_=${ref_} value=${null} id=${id} described=${described} invalid=${invalid} onChange=${add} />
  </span>`;
}

/** @param {{ ref_: Ref, id: string }} props */
function Label({ ref_, id }) {
  const [text, setText] = useState(id);
  useEffect(() => {
    let wanted = true;
    labelFor(ref_, id).then((found) => wanted && setText(found));
    return () => {
      wanted = false;
    };
  }, [id]);
  return text;
}
