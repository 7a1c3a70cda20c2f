// Migrations: where the tables of each plugin stand, what waits, and what is kept of plugins that are gone.
import { html, render, useEffect, useState } from "plugin-host/view";

function Migrations({ host }) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const load = () => host.api("/migrations").then((answer) => (setFound(answer), setError(null)), setError);
  useEffect(() => {
    load();
  }, []);
  if (error) return html`<h1>Migrations</h1><p class="alert" role="alert">${error.message} <button class="link" onClick=${load}>Try again</button></p>`;
  if (!found) return html`<h1>Migrations</h1><p class="muted" role="status">Loading…</p>`;
  const faults = Object.entries(found.faults);
  return html`<h1>Migrations</h1>
    ${found.pending.length === 0 && faults.length === 0 && html`<p class="alert ok">All tables are up to date.</p>`}
    ${faults.map(
      ([plugin, reason]) => html`<div class="alert" role="note" key=${plugin}><strong>${plugin}: ${reason.code}</strong><p>${reason.text}</p><p>${reason.way_out}</p></div>`,
    )}
    ${found.pending.length > 0 &&
    html`<section><h2>Waiting</h2><div class="card flush" role="region" aria-label="Waiting" tabindex="0"><table>
      <thead><tr><th scope="col">Revision</th><th scope="col">Plugin</th><th scope="col">Phase</th><th scope="col">Waits for</th></tr></thead>
      <tbody>${found.pending.map((each) => html`<tr key=${each.revision}><th scope="row"><code>${each.revision}</code></th><td>${each.plugin}</td><td>${each.phase ?? "—"}</td><td>${each.held ?? "the next start, or plugin-host migrate"}</td></tr>`)}</tbody>
    </table></div></section>`}
    <section><h2>Where tables stand</h2><div class="card flush" role="region" aria-label="Where tables stand" tabindex="0"><table>
      <thead><tr><th scope="col">Plugin</th><th scope="col">Revision</th><th scope="col">State</th><th scope="col">Database</th><th scope="col">Tables</th></tr></thead>
      <tbody>${found.ledger.map((each) => html`<tr key=${each.plugin}><th scope="row">${each.plugin}</th><td><code>${each.revision}</code></td>
        <td><span class=${`badge ${each.state === "ok" ? "ok" : "danger"}`}>${each.state}</span>${found.orphans.includes(each.plugin) ? html` <span class="badge warn">package is gone</span>` : ""}</td>
        <td>${each.database}</td><td>${each.tables.length}</td></tr>`)}</tbody>
    </table></div></section>`;
}

export async function mount(element, host) {
  render(html`<${Migrations} host=${host} />`, element);
  return () => render(null, element);
}
