// The people: who there is, what they may do, adding somebody, giving and taking roles.
import { html, render, useEffect, useState } from "plugin-host/view";

/** The message of a field, from a problem's errors. */
const fault = (problem, field) => problem?.errors?.find((e) => e.pointer === `/${field}`)?.detail;

function Field({ label, name, problem, ...rest }) {
  const wrong = fault(problem, name);
  return html`<label>${label}
    <input name=${name} aria-invalid=${wrong ? "true" : null} aria-describedby=${wrong ? `${name}-err` : null} ...${rest} />
    ${wrong && html`<small class="err" id=${`${name}-err`}>${wrong}</small>`}
  </label>`;
}

function Roles({ all, chosen, setChosen }) {
  const toggle = (name) => setChosen(chosen.includes(name) ? chosen.filter((r) => r !== name) : [...chosen, name]);
  return html`<fieldset><legend>Roles</legend>
    ${all.map((role) => html`<label class="check" key=${role.name}>
      <input type="checkbox" checked=${chosen.includes(role.name)} onChange=${() => toggle(role.name)} />
      <span>${role.title} <span class="muted">${role.name}</span></span></label>`)}
  </fieldset>`;
}

function NewUser({ host, roles, done }) {
  const [chosen, setChosen] = useState([]);
  const [problem, setProblem] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    const form = Object.fromEntries(new FormData(event.target));
    const body = { username: form.username, password: form.password, roles: chosen };
    if (form.display) body.display = form.display;
    if (form.email) body.email = form.email;
    try {
      const user = await host.api("/users", { method: "POST", body });
      host.notify(`${user.display} was added`);
      done(user);
    } catch (e) { setProblem(e); }
  };
  const general = problem && !problem.errors?.length;
  return html`<form class="card" onSubmit=${submit}><h2>New person</h2>
    ${general && html`<p class="alert" role="alert">${problem.detail || problem.message}</p>`}
    <${Field} label="User name" name="username" problem=${problem} required maxlength="64" autocomplete="off" autofocus />
    <${Field} label="Name that people read" name="display" problem=${problem} autocomplete="off" />
    <${Field} label="Mail" name="email" type="email" problem=${problem} autocomplete="off" />
    <${Field} label="Password (12 characters or more)" name="password" type="password" problem=${problem} required minlength="12" autocomplete="new-password" />
    <${Roles} all=${roles} chosen=${chosen} setChosen=${setChosen} />
    <div class="row"><button class="primary">Add</button><button type="button" class="quiet" onClick=${() => done(null)}>Cancel</button></div>
  </form>`;
}

function EditUser({ host, user, roles, done }) {
  const [chosen, setChosen] = useState(user.roles);
  const [problem, setProblem] = useState(null);
  const attempt = async (act, text) => {
    try { await act(); host.notify(text); done(true); } catch (e) { setProblem(e); }
  };
  const save = (event) => {
    event.preventDefault();
    attempt(() => host.api(`/users/${user.id}/roles`, { method: "PUT", body: { roles: chosen } }), `Roles of ${user.display} were saved`);
  };
  const next = user.status === "active" ? "disabled" : "active";
  const status = async () => {
    if (next === "disabled" && !(await host.confirm(`Disable ${user.display}? They are signed out at once.`))) return;
    attempt(() => host.api(`/users/${user.id}`, { method: "PATCH", body: { status: next } }), `${user.display} is ${next}`);
  };
  const remove = async () => {
    if (!(await host.confirm(`Delete ${user.display}? This cannot be undone.`))) return;
    attempt(() => host.api(`/users/${user.id}`, { method: "DELETE" }), `${user.display} was deleted`);
  };
  return html`<form class="card" onSubmit=${save}><h2>${user.display} <span class="muted">${user.username}</span></h2>
    ${problem && html`<p class="alert" role="alert">${problem.detail || problem.message}</p>`}
    <${Roles} all=${roles} chosen=${chosen} setChosen=${setChosen} />
    <div class="row"><button class="primary">Save roles</button>
      <button type="button" onClick=${status}>${next === "disabled" ? "Disable" : "Enable"}</button>
      <button type="button" class="danger" onClick=${remove}>Delete</button>
      <span class="spacer"></span><button type="button" class="quiet" onClick=${() => done(false)}>Close</button></div>
  </form>`;
}

function Users({ host }) {
  const [users, setUsers] = useState(null);
  const [next, setNext] = useState(null);
  const [roles, setRoles] = useState([]);
  const [open, setOpen] = useState(null);
  const [q, setQ] = useState("");
  const [error, setError] = useState("");
  const load = async (cursor) => {
    const query = new URLSearchParams({ ...(q && { q }), ...(cursor && { cursor }) });
    try {
      const page = await host.api(`/users?${query}`);
      setUsers((old) => (cursor ? [...old, ...page.items] : page.items));
      setNext(page.next);
      setError("");
    } catch (e) { setError(e.detail || e.message); }
  };
  useEffect(() => { const wait = setTimeout(() => load(null), q ? 200 : 0); return () => clearTimeout(wait); }, [q]);
  useEffect(() => { host.api("/roles").then((page) => setRoles(page.items), (e) => setError(e.detail || e.message)); }, []);
  const done = (changed) => { setOpen(null); if (changed) load(null); };
  return html`<div class="toolbar"><h1>Users</h1><span class="spacer"></span>
      <input type="search" aria-label="Search users" placeholder="Search" value=${q} onInput=${(e) => setQ(e.target.value)} />
      <button class="primary" onClick=${() => setOpen("new")}>New person</button></div>
    ${error && html`<p class="alert" role="alert">${error}</p>`}
    ${open === "new" && html`<${NewUser} host=${host} roles=${roles} done=${done} />`}
    ${open && open !== "new" && html`<${EditUser} key=${open.id} host=${host} user=${open} roles=${roles} done=${done} />`}
    <div class="card flush" role="region" aria-label="Users" tabindex="0"><table>
      <thead><tr><th scope="col">Name</th><th scope="col">User name</th><th scope="col">Roles</th><th scope="col">Status</th></tr></thead>
      <tbody>${(users ?? []).map((user) => html`<tr key=${user.id}>
        <th scope="row"><button class="link" onClick=${() => setOpen(user)}>${user.display}</button></th>
        <td>${user.username}</td><td>${user.roles.join(", ")}</td>
        <td><span class="badge ${user.status === "active" ? "ok" : ""}">${user.status}</span></td></tr>`)}
      ${users && users.length === 0 && html`<tr><td colspan="4" class="empty">Nobody matches.</td></tr>`}</tbody>
    </table></div>
    ${next && html`<p><button onClick=${() => load(next)}>Show more</button></p>`}`;
}

export async function mount(element, host) {
  render(html`<${Users} host=${host} />`, element);
  return () => render(null, element);
}
