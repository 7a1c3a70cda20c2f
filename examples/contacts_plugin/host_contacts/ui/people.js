// The people: a list, one person with notes, and the form. One ES module, no build step.
import { html, render, useState } from "plugin-host/view";
import { Empty, Failure, Field, Heading, Loading, SortHeader } from "./parts.js";
import { useForm, useOne, usePages, useRoute, useSettled, withQuery } from "./parts.js";

export async function mount(element, host) {
  render(html`<${Screen} host=${host} />`, element);
  return () => render(null, element);
}

function Screen({ host }) {
  const { parts, query } = useRoute(host);
  const [id, what] = parts;
  if (id === undefined) return html`<${List} key=${query.company_id} host=${host} company_id=${query.company_id} />`;
  if (id === "new") return html`<${Form} host=${host} person=${null} />`;
  return html`<${One} key=${id} host=${host} id=${id} editing=${what === "edit"} />`;
}

function List({ host, company_id }) {
  const [text, setText] = useState("");
  const [sort, setSort] = useState("name");
  const [company, setCompany] = useState(company_id ?? "");
  const q = useSettled(text.trim());
  const companies = useOne(host, "/companies?limit=200");
  const people = usePages(host, withQuery("/people", { q, sort, company_id: company }));
  const narrowed = q !== "" || company !== "";
  const everybody = () => {
    setText("");
    setCompany("");
  };
  return html`<${Heading} host=${host} title="People">
      ${host.can("contacts.create") &&
      html`<button class="primary" onClick=${() => host.navigate("/people/new")}>Add person</button>`}
    <//>
    <div class="toolbar" role="search">
      <label>Search <input type="search" value=${text} onInput=${(event) => setText(event.currentTarget.value)} /></label>
      <label>Company
        <select value=${company} onChange=${(event) => setCompany(event.currentTarget.value)}>
          <option value="">All companies</option>
          ${companies.data?.items.map((each) => html`<option key=${each.id} value=${each.id}>${each.name}</option>`)}
        </select>
      </label>
    </div>
    ${people.error && html`<${Failure} error=${people.error} retry=${people.reload} />`}
    ${people.items === null && people.busy && html`<${Loading} />`}
    ${people.items?.length === 0 && html`<${Nobody} host=${host} narrowed=${narrowed} onClear=${everybody} />`}
    ${people.items?.length > 0 && html`<${Table} host=${host} people=${people} sort=${sort} onSort=${setSort} />`}`;
}

function Table({ host, people, sort, onSort }) {
  return html`<div class="card flush" aria-busy=${people.busy}>
      <table>
        <thead>
          <tr>
            <${SortHeader} field="name" sort=${sort} onSort=${onSort}>Name<//>
            <${SortHeader} field="email" sort=${sort} onSort=${onSort}>E-mail<//>
            <th scope="col">Phone</th>
            <th scope="col">Company</th>
            <th scope="col">Owner</th>
          </tr>
        </thead>
        <tbody>
          ${people.items.map(
            (person) => html`<tr key=${person.id}>
              <th scope="row"><a href=${host.url(`/people/${person.id}`)}>${person.name}</a></th>
              <td>${person.email}</td>
              <td class="whole">${person.phone}</td>
              <td>${person.company_name}</td>
              <td>${person.owner}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${people.next && html`<p><button type="button" disabled=${people.busy} onClick=${people.more}>Load more</button></p>`}`;
}

function Nobody({ host, narrowed, onClear }) {
  if (narrowed) {
    return html`<${Empty} title="Nobody matches"><button type="button" onClick=${onClear}>Show everybody</button><//>`;
  }
  return html`<${Empty} title="No people yet">
    <p class="muted">${host.can("contacts.create") ? "Add the first one." : "Nobody has been added whom you may see."}</p>
  <//>`;
}

function One({ host, id, editing }) {
  const person = useOne(host, `/people/${id}`);
  if (person.error) {
    return html`<${Heading} host=${host} title="Person" /><${Failure} error=${person.error} retry=${person.reload} />`;
  }
  if (person.data === null) return html`<${Loading} />`;
  if (editing) return html`<${Form} host=${host} person=${person.data} onSaved=${person.set} />`;
  return html`<${Detail} host=${host} person=${person.data} />`;
}

function Detail({ host, person }) {
  const remove = async () => {
    if (!(await host.confirm(`Delete ${person.name}? All notes go with them.`, { ok: "Delete", danger: true }))) return;
    try {
      await host.api(`/people/${person.id}`, { method: "DELETE" });
      host.notify(`${person.name} was deleted`, { kind: "success" });
      host.navigate("/people");
    } catch (error) {
      host.notify(error.detail || error.message, { kind: "error" });
    }
  };
  return html`<p><a href=${host.url("/people")}>All people</a></p>
    <${Heading} host=${host} title=${person.name}>
      ${person.editable &&
      html`<button type="button" onClick=${() => host.navigate(`/people/${person.id}/edit`)}>Edit</button>
        <button type="button" class="danger" onClick=${remove}>Delete</button>`}
    <//>
    <div class="card">
      <dl>
        <dt>E-mail</dt><dd>${person.email ? html`<a href="mailto:${person.email}">${person.email}</a>` : "–"}</dd>
        <dt>Phone</dt><dd>${person.phone ? html`<a href="tel:${person.phone}">${person.phone}</a>` : "–"}</dd>
        <dt>Company</dt><dd>${person.company_name ?? "–"}</dd>
        <dt>Owner</dt><dd>${person.owner ?? "nobody"}</dd>
        <dt>Added</dt><dd>${host.format.date(person.created_at)}</dd>
      </dl>
    </div>
    <${Notes} host=${host} person=${person} />`;
}

function Notes({ host, person }) {
  const path = `/people/${person.id}/notes`;
  const notes = useOne(host, path);
  const write = async (values) => {
    const note = await host.api(path, { method: "POST", body: values });
    notes.set({ items: [note, ...notes.data.items] });
  };
  return html`<section aria-labelledby="notes">
    <h2 id="notes">Notes</h2>
    ${notes.error && html`<${Failure} error=${notes.error} retry=${notes.reload} />`}
    ${!notes.error && notes.data === null && html`<${Loading} />`}
    ${notes.data && person.editable && html`<${NoteForm} host=${host} write=${write} />`}
    ${notes.data?.items.length === 0 && html`<p class="muted">No notes yet.</p>`}
    ${notes.data?.items.map(
      (note) => html`<article class="card note" key=${note.id}>
        <p>${note.text}</p>
        <small class="muted">${note.author ?? "somebody"}, ${host.format.date(note.created_at)}</small>
      </article>`,
    )}
  </section>`;
}

function NoteForm({ host, write }) {
  const note = useForm(host, { text: "" });
  const submit = async (event) => {
    event.preventDefault();
    await note.send(async (values) => {
      await write(values);
      note.reset();
    });
  };
  return html`<form class="card" ref=${note.form} onSubmit=${submit}>
    ${note.failure && html`<${Failure} error=${note.failure} />`}
    <${Field} as="textarea" label="New note" rows="3" required ...${note.bind("text")} />
    <button type="submit" disabled=${note.busy}>Add note</button>
  </form>`;
}

function Form({ host, person, onSaved }) {
  const form = useForm(host, {
    name: person?.name ?? "",
    email: person?.email ?? "",
    phone: person?.phone ?? "",
    company_id: person?.company_id ?? "",
  });
  const back = person ? `/people/${person.id}` : "/people";
  const submit = async (event) => {
    event.preventDefault();
    const saved = await form.send((values) => {
      const body = { ...values, company_id: values.company_id || null };
      return person
        ? host.api(`/people/${person.id}`, { method: "PATCH", body })
        : host.api("/people", { method: "POST", body });
    });
    if (saved === null) return;
    onSaved?.(saved);
    host.notify(person ? "Saved" : `${saved.name} was added`, { kind: "success" });
    host.navigate(`/people/${saved.id}`);
  };
  return html`<${Heading} host=${host} title=${person ? `Edit ${person.name}` : "Add person"} />
    <form class="card" ref=${form.form} onSubmit=${submit}>
      ${form.failure && html`<${Failure} error=${form.failure} />`}
      <${Field} label="Name" required maxlength="200" autocomplete="off" ...${form.bind("name")} />
      <${Field} label="E-mail" type="email" maxlength="254" autocomplete="off" ...${form.bind("email")} />
      <${Field} label="Phone" type="tel" maxlength="40" autocomplete="off" ...${form.bind("phone")} />
      <${CompanyField} host=${host} person=${person} ...${form.bind("company_id")} />
      <div class="row">
        <button type="submit" class="primary" disabled=${form.busy}>${person ? "Save" : "Add person"}</button>
        <button type="button" class="quiet" onClick=${() => host.navigate(back)}>Cancel</button>
      </div>
    </form>`;
}

function CompanyField({ host, person, ...field }) {
  const companies = useOne(host, "/companies?limit=200");
  const items = companies.data?.items ?? [];
  // The person's own company may lie beyond the first two hundred.
  const own = person?.company_id && !items.some((each) => each.id === person.company_id);
  return html`<${Field} as="select" label="Company" ...${field}>
    <option value="">None</option>
    ${own && html`<option value=${person.company_id}>${person.company_name}</option>`}
    ${items.map((each) => html`<option key=${each.id} value=${each.id}>${each.name}</option>`)}
  <//>`;
}
