// A small screen as an author would write it: a list, one person, a form with a guard.
import { html, render, useEffect, useRef, useState } from "plugin-host/view";
import { label } from "./parts.js";

function List({ host }) {
  const [people, setPeople] = useState([]);
  useEffect(() => {
    host.api("/people").then((page) => setPeople(page.items));
  }, []);
  return html`<div class="toolbar"><h1>People</h1><span class="spacer"></span>
      <input type="search" placeholder="Search" aria-label="Search people" />
      ${host.can("contacts.create") && html`<button class="primary" onClick=${() => host.navigate("people/new")}>New person</button>`}
    </div>
    <div class="card flush" role="region" aria-label="People" tabindex="0"><table>
      <thead><tr><th scope="col"><button class="quiet">Name</button></th><th scope="col">Company</th><th scope="col">State</th><th scope="col" class="num">Balance</th></tr></thead>
      <tbody>${people.map(
        (person) => html`<tr key=${person.id}>
          <th scope="row"><a href=${host.url(`people/${person.id}`)}>${person.name}</a></th><td>${person.company}</td>
          <td><span class="badge ${person.kind}">${label(person.state)}</span></td><td class="num">${host.format.money(person.balance, "EUR")}</td></tr>`,
      )}</tbody></table></div>
    <div class="row"><span class="muted">${people.length} people</span><span class="spacer"></span>
      <button disabled>Previous</button><button>Next</button></div>`;
}

function One({ host, id }) {
  useEffect(() => host.title(`Person ${id}`), [id]);
  return html`<h1>Person ${id}</h1><section class="card"><dl><dt>E-mail</dt><dd>ada@example.org</dd><dt>Joined</dt><dd>${host.format.date("2026-03-01")}</dd></dl></section>
    <div class="row"><a href=${host.url("people")}>All people</a>
      <button onClick=${() => host.notify("Saved", { kind: "success" })}>Notify</button>
      <button class="danger" onClick=${async () => (await host.confirm("Delete this person?", { ok: "Delete", danger: true })) && host.notify("Deleted")}>Delete</button></div>`;
}

function Form({ host }) {
  const dirty = useRef(false);
  useEffect(() => host.leaveGuard(() => dirty.current), []);
  return html`<h1>New person</h1><form class="card" onInput=${() => (dirty.current = true)} onSubmit=${(event) => event.preventDefault()}>
    <label>Name<input name="name" required /></label>
    <div class="field"><label for="mail">E-mail</label><input id="mail" type="email" aria-invalid="true" aria-describedby="mail-told" /><small class="err" id="mail-told">Somebody has this address already.</small></div>
    <label>Company<select><option>None</option><option>Analytical Ltd</option></select></label>
    <label>Notes<textarea></textarea></label>
    <fieldset><legend>Roles</legend><label><input type="checkbox" checked /> Editor</label><label><input type="checkbox" /> Viewer</label></fieldset>
    <p class="alert info">Mail is sent to the person.</p>
    <div class="row"><button class="primary">Save</button><button type="button" class="quiet">Cancel</button></div></form>`;
}

function Screen({ host }) {
  const [route, setRoute] = useState(host.route);
  useEffect(() => host.onRoute(setRoute), []);
  if (route.path === "") return html`<${List} host=${host} />`;
  return route.path === "new" ? html`<${Form} host=${host} />` : html`<${One} host=${host} id=${route.path} />`;
}

export async function mount(element, host) {
  globalThis.lastHost = host; // the tests ask it
  render(html`<${Screen} host=${host} />`, element);
  return () => render(null, element);
}
