// The invoices: a list with totals, one invoice, and the editor. Build-free ES modules.
import { html, render, useState } from "plugin-host/view";
import { Editor } from "./editor.js";
import { trimmed } from "./money.js";
import { Empty, Failure, Heading, Loading, SortHeader } from "./parts.js";
import { useOne, usePages, useRoute, useSettled, withQuery } from "./parts.js";

const STATES = { draft: "Draft", sent: "Sent", paid: "Paid" };
const COLOURS = { draft: "", sent: "warn", paid: "ok", late: "danger" };

export async function mount(element, host) {
  render(html`<${Screen} host=${host} />`, element);
  return () => render(null, element);
}

function Screen({ host }) {
  const [id, what] = useRoute(host).parts;
  if (id === undefined) return html`<${List} host=${host} />`;
  if (id === "new") return html`<${Editor} host=${host} invoice=${null} />`;
  return html`<${One} key=${id} host=${host} id=${id} editing=${what === "edit"} />`;
}

function List({ host }) {
  const [text, setText] = useState("");
  const [state, setState] = useState("");
  const [sort, setSort] = useState("-created_at");
  const q = useSettled(text.trim());
  const invoices = usePages(host, withQuery("/invoices", { q, state, sort }));
  const narrowed = q !== "" || state !== "";
  const all = () => {
    setText("");
    setState("");
  };
  return html`<${Heading} host=${host} title="Invoices">
      ${host.can("invoicing.create") &&
      html`<button class="primary" onClick=${() => host.navigate("/invoices/new")}>New invoice</button>`}
    <//>
    <${Totals} host=${host} />
    <div class="toolbar" role="search">
      <label>Search <input type="search" value=${text} onInput=${(event) => setText(event.currentTarget.value)} /></label>
      <label>State
        <select value=${state} onChange=${(event) => setState(event.currentTarget.value)}>
          <option value="">All</option>
          ${Object.entries(STATES).map(([key, title]) => html`<option key=${key} value=${key}>${title}</option>`)}
        </select>
      </label>
    </div>
    ${invoices.error && html`<${Failure} error=${invoices.error} retry=${invoices.reload} />`}
    ${invoices.items === null && invoices.busy && html`<${Loading} />`}
    ${invoices.items?.length === 0 &&
    html`<${Empty} title=${narrowed ? "No invoice matches" : "No invoices yet"}>
      ${narrowed && html`<button type="button" onClick=${all}>Show all</button>`}
    <//>`}
    ${invoices.items?.length > 0 && html`<${Table} host=${host} invoices=${invoices} sort=${sort} onSort=${setSort} />`}`;
}

function Totals({ host }) {
  const totals = useOne(host, "/totals");
  if (totals.error) return html`<${Failure} error=${totals.error} retry=${totals.reload} />`;
  const order = Object.keys(STATES);
  const items = (totals.data?.items ?? []).toSorted((one, other) => order.indexOf(one.state) - order.indexOf(other.state));
  return html`<div class="grid">
    ${items.map(
      (each) => html`<div class="card stat" key=${each.state + each.currency}>
        <span class="muted">${STATES[each.state]} (${each.count})</span>
        <strong>${host.format.money(each.total, each.currency)}</strong>
      </div>`,
    )}
  </div>`;
}

function Table({ host, invoices, sort, onSort }) {
  return html`<div class="card flush" aria-busy=${invoices.busy}>
      <table>
        <thead>
          <tr>
            <${SortHeader} field="number" sort=${sort} onSort=${onSort}>Number<//>
            <${SortHeader} field="customer_name" sort=${sort} onSort=${onSort}>Customer<//>
            <th scope="col">State</th>
            <${SortHeader} field="created_at" sort=${sort} onSort=${onSort}>Written<//>
            <${SortHeader} field="due_on" sort=${sort} onSort=${onSort}>Due<//>
            <${SortHeader} field="total" sort=${sort} onSort=${onSort} class="num">Total<//>
          </tr>
        </thead>
        <tbody>
          ${invoices.items.map(
            (invoice) => html`<tr key=${invoice.id}>
              <th scope="row" class="whole"><a href=${host.url(`/invoices/${invoice.id}`)}>${invoice.number ?? "Draft"}</a></th>
              <td>${invoice.customer_name}</td>
              <td><${State} invoice=${invoice} /></td>
              <td class="whole">${host.format.date(invoice.created_at)}</td>
              <td class="whole">${invoice.due_on && host.format.date(invoice.due_on)}</td>
              <td class="num">${host.format.money(invoice.total, invoice.currency)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${invoices.next &&
    html`<p><button type="button" disabled=${invoices.busy} onClick=${invoices.more}>Load more</button></p>`}`;
}

function State({ invoice }) {
  const late = invoice.state === "sent" && invoice.due_on < new Date().toISOString().slice(0, 10);
  return html`<span class="badge ${COLOURS[late ? "late" : invoice.state]}">${late ? "Overdue" : STATES[invoice.state]}</span>`;
}

function One({ host, id, editing }) {
  const invoice = useOne(host, `/invoices/${id}`);
  if (invoice.error) {
    return html`<${Heading} host=${host} title="Invoice" /><${Failure} error=${invoice.error} retry=${invoice.reload} />`;
  }
  if (invoice.data === null) return html`<${Loading} />`;
  if (editing) return html`<${Editor} host=${host} invoice=${invoice.data} onSaved=${invoice.set} />`;
  return html`<${Detail} host=${host} invoice=${invoice.data} onChange=${invoice.set} />`;
}

function Detail({ host, invoice, onChange }) {
  const [busy, setBusy] = useState(false);
  const path = `/invoices/${invoice.id}`;
  /** Ask, call, and tell; what went wrong is told as well. */
  const act = async ({ question, options, call, done }) => {
    if (!(await host.confirm(question, options))) return;
    setBusy(true);
    try {
      host.notify(done(await call()), { kind: "success" });
    } catch (error) {
      host.notify(error.detail || error.message, { kind: "error" });
    } finally {
      setBusy(false);
    }
  };
  const changed = (text) => (answer) => {
    onChange(answer);
    return `Invoice ${answer.number} ${text}`;
  };
  const send = () =>
    act({
      question: "Send this invoice? It gets its number and cannot be changed any more.",
      options: { ok: "Send" },
      call: () => host.api(`${path}/send`, { method: "POST" }),
      done: changed("was sent"),
    });
  const pay = () =>
    act({
      question: `Note that invoice ${invoice.number} was paid?`,
      options: { ok: "It was paid" },
      call: () => host.api(`${path}/pay`, { method: "POST" }),
      done: changed("was paid"),
    });
  const remove = () =>
    act({
      question: "Delete this draft?",
      options: { ok: "Delete", danger: true },
      call: () => host.api(path, { method: "DELETE" }),
      done: () => {
        host.navigate("/invoices");
        return "The draft was deleted";
      },
    });
  const draft = invoice.state === "draft";
  return html`<p><a href=${host.url("/invoices")}>All invoices</a></p>
    <${Heading} host=${host} title=${draft ? `Draft for ${invoice.customer_name}` : `Invoice ${invoice.number}`}>
      ${invoice.editable &&
      draft &&
      html`<button type="button" class="primary" disabled=${busy} onClick=${send}>Send</button>
        <button type="button" onClick=${() => host.navigate(`${path}/edit`)}>Edit</button>
        <button type="button" class="danger" disabled=${busy} onClick=${remove}>Delete</button>`}
      ${invoice.editable &&
      invoice.state === "sent" &&
      html`<button type="button" class="primary" disabled=${busy} onClick=${pay}>Mark as paid</button>`}
    <//>
    <div class="card">
      <dl>
        <dt>State</dt><dd><${State} invoice=${invoice} /></dd>
        <dt>Customer</dt><dd>${invoice.customer_name}</dd>
        ${invoice.sent_at && html`<dt>Sent</dt><dd>${host.format.date(invoice.sent_at)}</dd>`}
        ${invoice.due_on && html`<dt>Due</dt><dd>${host.format.date(invoice.due_on)}</dd>`}
        ${invoice.paid_at && html`<dt>Paid</dt><dd>${host.format.date(invoice.paid_at)}</dd>`}
      </dl>
    </div>
    <${Lines} host=${host} invoice=${invoice} />`;
}

function Lines({ host, invoice }) {
  const money = (text) => host.format.money(text, invoice.currency);
  return html`<div class="card flush">
    <table>
      <thead>
        <tr>
          <th scope="col">Description</th>
          <th scope="col" class="num">Quantity</th>
          <th scope="col" class="num">Price</th>
          <th scope="col" class="num">Amount</th>
        </tr>
      </thead>
      <tbody>
        ${invoice.lines.map(
          (line, index) => html`<tr key=${index}>
            <td>${line.description}</td>
            <td class="num">${trimmed(line.quantity)}</td>
            <td class="num">${money(line.unit_price)}</td>
            <td class="num">${money(line.amount)}</td>
          </tr>`,
        )}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row" colspan="3">Total</th>
          <td class="num"><strong>${money(invoice.total)}</strong></td>
        </tr>
      </tfoot>
    </table>
  </div>`;
}
