// The plugins: what runs, what does not, why, and the way out.
import { html, render, useEffect, useState } from "plugin-host/view";

const KIND = { active: "ok", disabled: "", orphaned: "" };

/** @param {{ code: string, text: string, culprits: string[], way_out: string }} reason */
const Reason = ({ reason }) => html`<div class="alert" role="note">
  <strong>${reason.code}</strong>
  <p>${reason.text}</p>
  ${reason.way_out && html`<p><strong>Way out:</strong> ${reason.way_out}</p>`}
</div>`;

/** Switch a plugin on or off; the page is loaded anew, since the menu and the screens change with it. */
function Switch({ host, plugin }) {
  const [busy, setBusy] = useState(false);
  const off = plugin.state === "disabled";
  if (plugin.id === "core" || plugin.state === "orphaned" || !host.can("core.plugins.manage")) return null;
  const act = async () => {
    const question = `Switch ${plugin.name} off? Whoever uses it now is interrupted; its data stays.`;
    if (!off && !(await host.confirm(question, { ok: "Switch off", danger: true }))) return;
    setBusy(true);
    try {
      await host.api(`/plugins/${plugin.id}/${off ? "enable" : "disable"}`, { method: "POST" });
      location.reload();
    } catch (error) {
      setBusy(false);
      host.notify(error.detail || error.message, { kind: "error" });
    }
  };
  const label = `${off ? "Switch on" : "Switch off"} ${plugin.name}`;
  return html`<button type="button" disabled=${busy} aria-label=${label} onClick=${act}>${off ? "Switch on" : "Switch off"}</button>`;
}

function Plugin({ host, plugin }) {
  const requires = Object.entries(plugin.requires ?? {}).map(([id, range]) => `${id} ${range}`);
  return html`<section class="card" aria-labelledby=${`plugin-${plugin.id}`}>
    <div class="row">
      <h2 id=${`plugin-${plugin.id}`}>${plugin.name}</h2>
      <span class="badge ${KIND[plugin.state] ?? "danger"}">${plugin.state}</span>
      <span class="spacer"></span>
      <span class="muted">${plugin.id} ${plugin.version ?? ""}</span>
      <${Switch} host=${host} plugin=${plugin} />
    </div>
    ${plugin.reason && html`<${Reason} reason=${plugin.reason} />`}
    <dl>
      <dt>From</dt><dd>${plugin.place}</dd>
      ${requires.length > 0 && html`<dt>Requires</dt><dd>${requires.join(", ")}</dd>`}
      ${plugin.permissions.length > 0 && html`<dt>Permissions</dt><dd>${plugin.permissions.join(", ")}</dd>`}
      ${plugin.routes && html`<dt>Routes</dt><dd>${plugin.routes.length}</dd>`}
      ${plugin.tables?.length > 0 && html`<dt>Tables</dt><dd>${plugin.tables.join(", ")}</dd>`}
    </dl>
  </section>`;
}

function Plugins({ host }) {
  const [plugins, setPlugins] = useState(null);
  const [error, setError] = useState("");
  useEffect(() => {
    host.api("/plugins").then((page) => setPlugins(page.items), (e) => setError(e.detail || e.message));
  }, []);
  const parked = (plugins ?? []).filter((plugin) => plugin.state !== "active").length;
  return html`<div class="toolbar"><h1>Plugins</h1>
      ${plugins && html`<span class="muted">${plugins.length - parked} active${parked ? `, ${parked} parked` : ""}</span>`}
    </div>
    ${error && html`<p class="alert" role="alert">${error}</p>`}
    ${!plugins && !error && html`<p class="muted" aria-busy="true">Loading…</p>`}
    <div class="stack">${(plugins ?? []).map((plugin) => html`<${Plugin} key=${plugin.id} host=${host} plugin=${plugin} />`)}</div>`;
}

export async function mount(element, host) {
  render(html`<${Plugins} host=${host} />`, element);
  return () => render(null, element);
}
