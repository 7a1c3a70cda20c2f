// The editor of a draft: who it is for, when it is due, and the lines with a live total.
import { html, useEffect, useRef, useState } from "plugin-host/view";
import { fromCents, lineCents, plain, totalCents, trimmed } from "./money.js";
import { Failure, Heading, useOne, useSettled, withQuery } from "./parts.js";

const COLUMNS = { description: "Description", quantity: "Quantity", unit_price: "Price" };

let lineKeys = 0; // a line has no id while it is written; the key keeps the focus when another one is removed
const newLine = (line = { description: "", quantity: "1", unit_price: "" }) => ({ ...line, key: (lineKeys += 1) });

export function Editor({ host, invoice, onSaved }) {
  const [customer, setCustomer] = useState(invoice && { id: invoice.customer_id, name: invoice.customer_name });
  const [currency, setCurrency] = useState(invoice?.currency ?? "");
  const [due, setDue] = useState(invoice?.due_on ?? "");
  const [lines, setLines] = useState(() => (invoice?.lines ?? [undefined]).map((line) => newLine(line && shown(line))));
  const [errors, setErrors] = useState({});
  const [failure, setFailure] = useState(null);
  const [busy, setBusy] = useState(false);
  const form = useRef(null);
  const dirty = useRef(false);
  useEffect(() => host.leaveGuard(() => dirty.current), []);
  useEffect(() => form.current?.querySelector("[aria-invalid]")?.focus(), [errors]);

  const touched = (set) => (value) => {
    dirty.current = true;
    set(value);
  };
  const changeLines = (next) => {
    if (next.length !== lines.length) setErrors({}); // they name lines by their place
    touched(setLines)(next);
  };
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setFailure(null);
    try {
      const body = {
        customer_id: customer?.id ?? "",
        due_on: due || null,
        lines: lines.map((line) => ({
          description: line.description,
          quantity: plain(line.quantity),
          unit_price: plain(line.unit_price),
        })),
        ...(currency && { currency: currency.toUpperCase() }),
      };
      const saved = invoice
        ? await host.api(`/invoices/${invoice.id}`, { method: "PATCH", body })
        : await host.api("/invoices", { method: "POST", body });
      dirty.current = false;
      onSaved?.(saved);
      host.notify("The draft was saved", { kind: "success" });
      host.navigate(`/invoices/${saved.id}`);
    } catch (error) {
      const fields = Object.fromEntries((error.errors ?? []).map((each) => [each.pointer, each.detail]));
      setErrors(fields);
      setFailure(Object.keys(fields).length === 0 ? error : null);
    } finally {
      setBusy(false);
    }
  };

  return html`<${Heading} host=${host} title=${invoice ? `Edit draft for ${invoice.customer_name}` : "New invoice"} />
    <form ref=${form} onSubmit=${submit} class="editor">
      ${failure && html`<${Failure} error=${failure} />`}
      <div class="card head">
        <${CustomerPicker} host=${host} customer=${customer} onPick=${touched(setCustomer)} error=${errors["/customer_id"]} />
        <${Labelled} id="currency" label="Currency" error=${errors["/currency"]} value=${currency}
          onInput=${touched(setCurrency)} maxlength="3" size="5" placeholder="as usual" />
        <${Labelled} id="due_on" label="Due on" type="date" error=${errors["/due_on"]} value=${due} onInput=${touched(setDue)} />
      </div>
      <${LineTable} host=${host} currency=${currency} lines=${lines} onChange=${changeLines} errors=${errors} />
      <div class="row">
        <button type="submit" class="primary" disabled=${busy}>Save draft</button>
        <button type="button" class="quiet" onClick=${() => host.navigate(invoice ? `/invoices/${invoice.id}` : "/invoices")}>
          Cancel
        </button>
      </div>
    </form>`;
}

const shown = ({ description, quantity, unit_price }) => ({ description, quantity: trimmed(quantity), unit_price });

function Labelled({ id, label, error, onInput, ...rest }) {
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <input id=${id} ...${wrong(id, error)} ...${rest} onInput=${(event) => onInput(event.currentTarget.value)} />
    ${error && html`<small class="err" id="${id}-error">${error}</small>`}
  </div>`;
}

const wrong = (id, error) => (error ? { "aria-invalid": "true", "aria-describedby": `${id}-error` } : {});

/** Search in contacts, and a list of buttons with what was found: plain HTML that every keyboard knows. */
function CustomerPicker({ host, customer, onPick, error }) {
  const [text, setText] = useState("");
  const [open, setOpen] = useState(customer === null);
  const input = useRef(null);
  useEffect(() => {
    if (open && customer !== null) input.current?.focus();
  }, [open]);
  const pick = (each) => {
    onPick({ id: each.id, name: each.name });
    setOpen(false);
  };
  if (!open) {
    return html`<div class="field">
      <strong>Customer</strong>
      <div class="row">
        <span>${customer.name}</span>
        <button type="button" class="quiet" ...${wrong("customer", error)} onClick=${() => setOpen(true)}>Change</button>
      </div>
      ${error && html`<small class="err" id="customer-error">${error}</small>`}
    </div>`;
  }
  return html`<div class="field">
    <label for="customer">Customer</label>
    <input id="customer" type="search" ref=${input} autocomplete="off" placeholder="Search name or company" value=${text}
      ...${wrong("customer", error)} onInput=${(event) => setText(event.currentTarget.value)} />
    ${error && html`<small class="err" id="customer-error">${error}</small>`}
    <${Found} host=${host} text=${text} onPick=${pick} />
  </div>`;
}

function Found({ host, text, onPick }) {
  const q = useSettled(text.trim());
  const found = useOne(host, withQuery("/customers", { q }));
  if (found.error) return html`<${Failure} error=${found.error} retry=${found.reload} />`;
  const items = found.data?.items ?? [];
  return html`<ul class="found" aria-label="Found in contacts">
      ${items.slice(0, 6).map(
        (each) => html`<li key=${each.id}>
          <button type="button" class="quiet" onClick=${() => onPick(each)}>
            ${each.name} <span class="muted">${each.company ?? each.email}</span>
          </button>
        </li>`,
      )}
    </ul>
    <small class="muted" role="status">
      ${found.data && items.length === 0 ? "Nobody was found whom you may see in contacts." : ""}
    </small>`;
}

function LineTable({ host, currency, lines, onChange, errors }) {
  const known = /^[a-z]{3}$/i.test(currency);
  const money = (cents) => (known ? host.format.money(fromCents(cents), currency) : fromCents(cents));
  const change = (key, field, value) =>
    onChange(lines.map((line) => (line.key === key ? { ...line, [field]: value } : line)));
  return html`<div class="card flush">
    <table>
      <thead>
        <tr>
          <th scope="col">Description</th>
          <th scope="col">Quantity</th>
          <th scope="col">Price</th>
          <th scope="col" class="num">Amount</th>
          <th scope="col"><span class="visually-hidden">Remove</span></th>
        </tr>
      </thead>
      <tbody>
        ${lines.map((line, index) => {
          const cents = lineCents(line);
          return html`<tr key=${line.key}>
            ${Object.entries(COLUMNS).map(
              ([field, title]) => html`<td key=${field}>
                <${Cell} line=${line} field=${field} label="${title} of line ${index + 1}"
                  error=${errors[`/lines/${index}/${field}`]} onInput=${(value) => change(line.key, field, value)} />
              </td>`,
            )}
            <td class="num">${cents === null ? "–" : money(cents)}</td>
            <td>
              <button type="button" class="quiet" aria-label="Remove line ${index + 1}" disabled=${lines.length === 1}
                onClick=${() => onChange(lines.filter((each) => each.key !== line.key))}>×</button>
            </td>
          </tr>`;
        })}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row" colspan="3">
            <button type="button" disabled=${lines.length === 100} onClick=${() => onChange([...lines, newLine()])}>
              Add line
            </button>
          </th>
          <td class="num"><strong aria-live="polite">${money(totalCents(lines))}</strong></td>
          <td></td>
        </tr>
      </tfoot>
    </table>
  </div>`;
}

function Cell({ line, field, label, error, onInput }) {
  const id = `${field}-${line.key}`;
  return html`<input id=${id} aria-label=${label} value=${line[field]} required
      inputmode=${field === "description" ? "text" : "decimal"} maxlength=${field === "description" ? 500 : 11}
      ...${wrong(id, error)} onInput=${(event) => onInput(event.currentTarget.value)} />
    ${error && html`<small class="err" id="${id}-error">${error}</small>`}`;
}
