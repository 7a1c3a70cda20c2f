// Roles: who brings them, what they grant, and the matrix of roles and permissions.
import { html, render, useEffect, useState } from "plugin-host/view";

/** Load every page of a list. */
async function all(host, path) {
  const items = [];
  let cursor = null;
  do {
    const page = await host.api(`${path}?limit=200${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    items.push(...page.items);
    cursor = page.next;
  } while (cursor);
  return items;
}

const granted = (role, permission) => role.grants.find((grant) => grant.permission === permission);

/** How a role has a permission: in full, on some rows, through another permission, or not. */
function mark(role, permission, permissions) {
  const own = granted(role, permission.name);
  if (own) return own.where ? "where" : "all";
  const through = permissions.find((other) => other.implies.includes(permission.name) && granted(role, other.name));
  return through ? "implied" : "";
}
const MARKS = { all: ["✓", "yes"], where: ["◐", "on some rows"], implied: ["↳", "comes with another"], "": ["", "no"] };

function Matrix({ host, roles, permissions, open }) {
  const plugins = [...new Set(permissions.map((each) => each.plugin))];
  return html`${plugins.map((plugin) => {
    const own = permissions.filter((each) => each.plugin === plugin);
    const shown = roles.filter((role) => role.plugin === plugin || role.plugin === null || own.some((each) => mark(role, each, permissions)));
    if (shown.length === 0) return null;
    return html`<section key=${plugin}><h2>${plugin}</h2>
      <div class="card flush" role="region" aria-label=${`Permissions of ${plugin}`} tabindex="0"><table>
        <thead><tr><th scope="col">Permission</th>${shown.map((role) => html`<th scope="col" key=${role.name}><button type="button" class="quiet" onClick=${() => open(role.name)}>${role.title}</button></th>`)}</tr></thead>
        <tbody>${own.map((permission) => html`<tr key=${permission.name}>
          <th scope="row">${permission.title}<br /><small class="muted">${permission.name}</small></th>
          ${shown.map((role) => {
            const [sign, text] = MARKS[mark(role, permission, permissions)];
            return html`<td key=${role.name}><span aria-hidden="true">${sign}</span><span class="visually-hidden">${text}</span></td>`;
          })}
        </tr>`)}</tbody>
      </table></div></section>`;
  })}
  <p class="muted small">✓ in full · ◐ on rows that meet a condition · ↳ comes with another permission</p>`;
}

function Editor({ host, role, permissions, roles, done }) {
  const [title, setTitle] = useState(role?.title ?? "");
  const [name, setName] = useState(role?.name ?? "");
  const [description, setDescription] = useState(role?.description ?? "");
  const [grants, setGrants] = useState(role?.grants ?? []);
  const [includes, setIncludes] = useState(role?.includes ?? []);
  const [problem, setProblem] = useState(null);
  const fault = (field) => problem?.errors?.find((each) => each.pointer === `/${field}` || each.pointer?.startsWith(`/${field}/`))?.detail;
  const toggle = (permission, on) => setGrants(on ? [...grants, { permission }] : grants.filter((each) => each.permission !== permission));
  const send = async (event) => {
    event.preventDefault();
    const body = { title, description, grants: grants.map(({ permission, where }) => (where ? { permission, where } : { permission })), includes };
    try {
      if (role) await host.api(`/roles/${encodeURIComponent(role.name)}`, { method: "PATCH", body });
      else await host.api("/roles", { method: "POST", body: { name, ...body } });
      host.notify(role ? "The role was saved" : "The role was added", { kind: "success" });
      done(true);
    } catch (error) {
      setProblem(error);
    }
  };
  const remove = async () => {
    if (!(await host.confirm(`Delete ${role.title}? Whoever has it loses what it grants.`, { ok: "Delete", danger: true }))) return;
    try {
      await host.api(`/roles/${encodeURIComponent(role.name)}`, { method: "DELETE" });
      done(true);
    } catch (error) {
      setProblem(error);
    }
  };
  const fixed = role && role.plugin !== null;
  return html`<form class="card" onSubmit=${send}><h2>${role ? role.title : "New role"}</h2>
    ${problem && !problem.errors?.length && html`<p class="alert" role="alert">${problem.message}</p>`}
    ${fixed && html`<p class="alert info">The plugin ${role.plugin} brings this role; it cannot be changed here.</p>`}
    ${!role && html`<label>Name <input required value=${name} onInput=${(e) => setName(e.currentTarget.value)} aria-invalid=${fault("name") ? "true" : null} />${fault("name") && html`<small class="err">${fault("name")}</small>`}</label>`}
    <label>Title <input value=${title} disabled=${fixed} onInput=${(e) => setTitle(e.currentTarget.value)} /></label>
    <label>Description <input value=${description} disabled=${fixed} onInput=${(e) => setDescription(e.currentTarget.value)} /></label>
    <fieldset disabled=${fixed}><legend>Permissions</legend>${fault("grants") && html`<p class="err">${fault("grants")}</p>`}
      ${permissions.map((each) => {
        const own = granted({ grants }, each.name);
        return html`<label class="check" key=${each.name}><input type="checkbox" checked=${Boolean(own)} onChange=${(e) => toggle(each.name, e.currentTarget.checked)} />
          <span>${each.title} <span class="muted">${each.name}</span>${own?.where && html` <code>${JSON.stringify(own.where)}</code>`}</span></label>`;
      })}</fieldset>
    <fieldset disabled=${fixed}><legend>Includes the roles</legend>
      ${roles.filter((each) => each.name !== role?.name).map((each) => html`<label class="check" key=${each.name}><input type="checkbox" checked=${includes.includes(each.name)}
        onChange=${(e) => setIncludes(e.currentTarget.checked ? [...includes, each.name] : includes.filter((one) => one !== each.name))} /><span>${each.title} <span class="muted">${each.name}</span></span></label>`)}</fieldset>
    <div class="row">${!fixed && html`<button class="primary">${role ? "Save" : "Add role"}</button>`}
      ${role && !fixed && html`<button type="button" class="danger" onClick=${remove}>Delete</button>`}
      <button type="button" class="quiet" onClick=${() => done(false)}>Close</button></div>
  </form>`;
}

function Roles({ host }) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const [open, setOpen] = useState(host.route.path);
  const load = () => Promise.all([all(host, "/roles"), all(host, "/permissions")]).then(([roles, permissions]) => setFound({ roles, permissions }), setError);
  useEffect(() => {
    load();
    return host.onRoute((route) => setOpen(route.path));
  }, []);
  if (error) return html`<h1>Roles</h1><p class="alert" role="alert">${error.message}</p>`;
  if (!found) return html`<h1>Roles</h1><p class="muted" role="status">Loading…</p>`;
  const show = (name) => host.navigate(name ? `roles/${encodeURIComponent(name)}` : "roles");
  const done = (changed) => {
    show("");
    if (changed) load();
  };
  const role = found.roles.find((each) => each.name === decodeURIComponent(open));
  return html`<div class="toolbar"><h1>Roles</h1><span class="spacer"></span><button class="primary" type="button" onClick=${() => show("new")}>New role</button></div>
    ${open === "new" && html`<${Editor} host=${host} role=${null} ...${found} done=${done} />`}
    ${role && html`<${Editor} key=${role.name} host=${host} role=${role} ...${found} done=${done} />`}
    <${Matrix} host=${host} ...${found} open=${show} />`;
}

export async function mount(element, host) {
  render(html`<${Roles} host=${host} />`, element);
  return () => render(null, element);
}
