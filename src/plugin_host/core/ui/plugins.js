// The plugins: what runs, what does not, why, and the way out.
import { html, render, useEffect, useState } from "plugin-host/view";

const KIND = { active: "ok", disabled: "", orphaned: "", consent: "" };
const TRIED = new Set(["quarantined", "refused", "blocked", "pending"]);

/** @param {{ code: string, text: string, culprits: string[], way_out: string }} reason */
const Reason = ({ reason }) => html`<div class="alert" role="note">
  <strong>${reason.code}</strong>
  <p>${reason.text}</p>
  ${reason.way_out && html`<p><strong>Way out:</strong> ${reason.way_out}</p>`}
</div>`;

/** Do something to a plugin; the page is loaded anew, since the menu and the screens change with it. */
function Action({ host, plugin, verb, label, spoken, question, danger }) {
  const [busy, setBusy] = useState(false);
  const act = async () => {
    if (question && !(await host.confirm(question, { ok: label, danger }))) return;
    setBusy(true);
    try {
      await host.api(`/plugins/${plugin.id}/${verb}`, { method: "POST" });
      location.reload();
    } catch (error) {
      setBusy(false);
      host.notify(error.detail || error.message, { kind: "error" });
    }
  };
  return html`<button type="button" disabled=${busy} aria-label=${`${spoken ?? label} ${plugin.name}`} onClick=${act}>${label}</button>`;
}

/** What may be done now: switch on or off, try again, agree to what is asked for. */
function Actions({ host, plugin, planned }) {
  if (plugin.id === "core" || plugin.state === "orphaned" || !host.can("core.plugins.manage")) return null;
  const off = plugin.state === "disabled";
  const stops = planned?.dependents?.length ? ` ${planned.dependents.join(", ")} will stop as well.` : "";
  const asked = `${plugin.name} asks for: ${plugin.awaiting.join(", ") || "nothing in particular"}. Agree?`;
  return html`
    ${(plugin.awaiting.length > 0 || plugin.state === "consent") &&
      html`<${Action} host=${host} plugin=${plugin} verb="consent" label="Agree" spoken="Agree to" question=${asked} />`}
    ${TRIED.has(plugin.state) && html`<${Action} host=${host} plugin=${plugin} verb="retry" label="Try again" />`}
    ${off
      ? html`<${Action} host=${host} plugin=${plugin} verb="enable" label="Switch on" />`
      : html`<${Action} host=${host} plugin=${plugin} verb="disable" label="Switch off" danger=${true}
          question=${`Switch ${plugin.name} off? Whoever uses it now is interrupted; its data stays.${stops}`} />`}`;
}

const Line = ({ title, words }) => words?.length > 0 && html`<dt>${title}</dt><dd>${words.join(", ")}</dd>`;

/** What a plugin took in this process: words, or nothing where it did nothing yet. */
function took(account) {
  if (!account?.requests) return [];
  const each = (account.request_time / account.requests).toFixed(1);
  return [
    `${account.requests} requests, ${each} ms each`,
    ...(account.errors ? [`${account.errors} errors (last: ${account.last_error})`] : []),
    ...(account.timeouts ? [`${account.timeouts} called off`] : []),
    ...(account.overloads ? [`${account.overloads} refused as too many`] : []),
    ...(account.lag.count ? [`blocked the event loop ${account.lag.count} times (${account.lag.place ?? "unknown place"})`] : []),
  ];
}

function Plugin({ host, plugin, planned }) {
  const requires = Object.entries(plugin.requires ?? {}).map(([id, range]) => `${id} ${range}`);
  const order = planned?.order ? [`${planned.order}.`, ...planned.why] : [];
  return html`<section class="card" aria-labelledby=${`plugin-${plugin.id}`}>
    <div class="row">
      <h2 id=${`plugin-${plugin.id}`}>${plugin.name}</h2>
      <span class="badge ${KIND[plugin.state] ?? "danger"}">${plugin.state}</span>
      ${plugin.restart_needed && html`<span class="badge danger">restart needed</span>`}
      ${plugin.slow.length > 0 && html`<span class="badge danger">slow: ${plugin.slow.join(", ")}</span>`}
      <span class="spacer"></span>
      <span class="muted">${plugin.id} ${plugin.version ?? ""}</span>
      <${Actions} host=${host} plugin=${plugin} planned=${planned} />
    </div>
    ${plugin.reason && html`<${Reason} reason=${plugin.reason} />`}
    ${plugin.restart_needed && planned?.version && planned.version !== plugin.version &&
      html`<p class="muted">Version ${planned.version} is installed; it runs after a restart of the host.</p>`}
    <dl>
      <${Line} title="Waits for consent" words=${plugin.awaiting} />
      <dt>From</dt><dd>${plugin.place}</dd>
      <${Line} title="Starts" words=${order} />
      <${Line} title="Requires" words=${requires} />
      <${Line} title="Required by" words=${planned?.dependents} />
      <${Line} title="Permissions" words=${plugin.permissions} />
      <${Line} title="Uses of others" words=${planned?.asks} />
      <${Line} title="Public" words=${planned?.public?.map((route) => `${route.method} ${route.path} (${route.reason})`)} />
      <${Line} title="Migrations that wait" words=${planned?.pending} />
      ${plugin.routes && html`<dt>Routes</dt><dd>${plugin.routes.length}</dd>`}
      <${Line} title="Tables" words=${plugin.tables} />
      <${Line} title="Keeps" words=${plugin.size && [`${plugin.size.tables} tables`, `${plugin.size.rows} rows`]} />
      <${Line} title="Took" words=${took(plugin.account)} />
    </dl>
  </section>`;
}

function Plugins({ host }) {
  const [plugins, setPlugins] = useState(null);
  const [planned, setPlanned] = useState({});
  const [error, setError] = useState("");
  useEffect(() => {
    Promise.all([host.api("/plugins"), host.api("/plan")]).then(
      ([page, plan]) => {
        setPlanned(Object.fromEntries(plan.items.map((entry) => [entry.id, entry])));
        setPlugins(page.items);
      },
      (e) => setError(e.detail || e.message),
    );
  }, []);
  const parked = (plugins ?? []).filter((plugin) => plugin.state !== "active").length;
  return html`<div class="toolbar"><h1>Plugins</h1>
      ${plugins && html`<span class="muted">${plugins.length - parked} active${parked ? `, ${parked} parked` : ""}</span>`}
    </div>
    ${error && html`<p class="alert" role="alert">${error}</p>`}
    ${!plugins && !error && html`<p class="muted" aria-busy="true">Loading…</p>`}
    <div class="stack">${(plugins ?? []).map((plugin) => html`<${Plugin} key=${plugin.id} host=${host} plugin=${plugin} planned=${planned[plugin.id]} />`)}</div>`;
}

export async function mount(element, host) {
  render(html`<${Plugins} host=${host} />`, element);
  return () => render(null, element);
}
