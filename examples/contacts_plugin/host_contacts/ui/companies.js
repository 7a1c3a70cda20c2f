// The companies: a list with the number of people in each, and the form. One ES module, no build step.
import { html, render, useState } from "plugin-host/view";
import { Empty, Failure, Field, Heading, Loading, SortHeader } from "./parts.js";
import { useForm, useOne, usePages, useRoute, useSettled, withQuery } from "./parts.js";

export async function mount(element, host) {
  render(html`<${Screen} host=${host} />`, element);
  return () => render(null, element);
}

function Screen({ host }) {
  const [id] = useRoute(host).parts;
  if (id === undefined) return html`<${List} host=${host} />`;
  if (id === "new") return html`<${Form} host=${host} company=${null} />`;
  return html`<${One} key=${id} host=${host} id=${id} />`;
}

function List({ host }) {
  const [text, setText] = useState("");
  const [sort, setSort] = useState("name");
  const q = useSettled(text.trim());
  const companies = usePages(host, withQuery("/companies", { q, sort }));
  const mayChange = host.can("contacts.create");
  return html`<${Heading} host=${host} title="Companies">
      ${mayChange && html`<button class="primary" onClick=${() => host.navigate("/companies/new")}>Add company</button>`}
    <//>
    <div class="toolbar" role="search">
      <label>Search <input type="search" value=${text} onInput=${(event) => setText(event.currentTarget.value)} /></label>
    </div>
    ${companies.error && html`<${Failure} error=${companies.error} retry=${companies.reload} />`}
    ${companies.items === null && companies.busy && html`<${Loading} />`}
    ${companies.items?.length === 0 &&
    html`<${Empty} title=${q ? "No company matches" : "No companies yet"}>
      ${q && html`<button type="button" onClick=${() => setText("")}>Show all</button>`}
    <//>`}
    ${companies.items?.length > 0 &&
    html`<div class="card flush" aria-busy=${companies.busy}>
        <table>
          <thead>
            <tr>
              <${SortHeader} field="name" sort=${sort} onSort=${setSort}>Name<//>
              <th scope="col">Website</th>
              <th scope="col" class="num">People</th>
            </tr>
          </thead>
          <tbody>
            ${companies.items.map((company) => html`<${Row} key=${company.id} ...${{ host, company, mayChange }} />`)}
          </tbody>
        </table>
      </div>
      ${companies.next &&
      html`<p><button type="button" disabled=${companies.busy} onClick=${companies.more}>Load more</button></p>`}`}`;
}

function Row({ host, company, mayChange }) {
  return html`<tr>
    <th scope="row">
      ${mayChange ? html`<a href=${host.url(`/companies/${company.id}`)}>${company.name}</a>` : company.name}
    </th>
    <td>${company.website && html`<a href=${company.website} target="_blank" rel="noreferrer">${company.website}</a>`}</td>
    <td class="num">
      <a href=${host.url(withQuery("/people", { company_id: company.id }))} aria-label="${company.people} people of ${company.name}">
        ${company.people}
      </a>
    </td>
  </tr>`;
}

function One({ host, id }) {
  const company = useOne(host, `/companies/${id}`);
  if (company.error) {
    return html`<${Heading} host=${host} title="Company" /><${Failure} error=${company.error} retry=${company.reload} />`;
  }
  return company.data === null ? html`<${Loading} />` : html`<${Form} host=${host} company=${company.data} />`;
}

function Form({ host, company }) {
  const form = useForm(host, { name: company?.name ?? "", website: company?.website ?? "" });
  const submit = async (event) => {
    event.preventDefault();
    const saved = await form.send((body) =>
      company
        ? host.api(`/companies/${company.id}`, { method: "PATCH", body })
        : host.api("/companies", { method: "POST", body }),
    );
    if (saved === null) return;
    host.notify(company ? "Saved" : `${saved.name} was added`, { kind: "success" });
    host.navigate("/companies");
  };
  return html`<${Heading} host=${host} title=${company ? `Edit ${company.name}` : "Add company"} />
    <form class="card" ref=${form.form} onSubmit=${submit}>
      ${form.failure && html`<${Failure} error=${form.failure} />`}
      <${Field} label="Name" required maxlength="200" autocomplete="off" ...${form.bind("name")} />
      <${Field} label="Website" type="url" maxlength="200" placeholder="https://" ...${form.bind("website")} />
      <div class="row">
        <button type="submit" class="primary" disabled=${form.busy}>${company ? "Save" : "Add company"}</button>
        <button type="button" class="quiet" onClick=${() => host.navigate("/companies")}>Cancel</button>
      </div>
    </form>`;
}
