// Events and jobs: what waits, what failed for good, what runs and when.
import { html, render, useEffect, useState } from "plugin-host/view";

const TABS = { waiting: "Waiting", dead: "Dead letters", jobs: "Jobs" };
const age = (seconds) => (seconds === null ? "" : seconds < 90 ? `${Math.round(seconds)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`);

function useList(host, path) {
  const [state, setState] = useState({ items: null, next: null, error: null });
  const load = (cursor = null) =>
    host.api(cursor ? `${path}?cursor=${encodeURIComponent(cursor)}` : path).then(
      (page) => setState((old) => ({ items: cursor ? [...old.items, ...page.items] : page.items, next: page.next, error: null })),
      (error) => setState({ items: [], next: null, error }),
    );
  useEffect(() => {
    load();
  }, [path]);
  return { ...state, load: () => load(), more: () => load(state.next) };
}

async function act(host, path, body, text) {
  try {
    const answer = await host.api(path, { method: "POST", body });
    host.notify(text(answer), { kind: "success" });
    return true;
  } catch (error) {
    host.notify(error.detail || error.message, { kind: "error" });
    return false;
  }
}

const Failure = ({ error }) => error && html`<p class="alert" role="alert">${error.message}</p>`;

function Waiting({ host }) {
  const { items, error, load } = useList(host, "/events/backlog");
  const resume = async (each) => (await act(host, `/events/subscribers/${encodeURIComponent(each.subscriber)}/resume`, undefined, () => `${each.subscriber} goes on`)) && load();
  return html`<${Failure} error=${error} /><div class="card flush" role="region" aria-label="Waiting" tabindex="0"><table>
    <thead><tr><th scope="col">Handler</th><th scope="col">Event</th><th scope="col" class="num">Waiting</th><th scope="col" class="num">Running</th><th scope="col" class="num">Dead</th><th scope="col">Oldest</th><th scope="col"><span class="visually-hidden">Resume</span></th></tr></thead>
    <tbody>${(items ?? []).map((each) => html`<tr key=${each.subscriber}><th scope="row">${each.subscriber}${each.quarantine && html` <span class="badge danger" title=${each.quarantine}>kept off</span>`}</th><td>${each.event}</td>
      <td class="num">${each.waiting}</td><td class="num">${each.running}</td><td class="num">${each.dead}</td><td>${age(each.oldest)}</td><td>${each.quarantine && html`<button type="button" onClick=${() => resume(each)}>Go on</button>`}</td></tr>`)}
    ${items?.length === 0 && html`<tr><td colspan="7" class="empty">Nobody listens to anything.</td></tr>`}</tbody></table></div>`;
}

function Dead({ host }) {
  const { items, next, error, load, more } = useList(host, "/events/dead");
  const one = async (letter, verb, text) => (await act(host, `/events/dead/${letter.id}/${verb}`, undefined, () => text)) && load();
  const all = async (verb, question, label) => {
    if (!(await host.confirm(question, { ok: label, danger: verb === "discard" }))) return;
    if (await act(host, `/events/dead/${verb}`, {}, ({ count }) => `${count ?? "All"} done`)) load();
  };
  return html`<${Failure} error=${error} />
    ${items?.length > 0 && html`<div class="row"><button type="button" onClick=${() => all("retry", "Deliver all of them once more?", "Deliver again")}>Deliver all again</button>
      <button type="button" class="danger" onClick=${() => all("discard", "Give all of them up for good?", "Discard")}>Discard all</button></div>`}
    ${(items ?? []).map((letter) => html`<section class="card" key=${letter.id} aria-label=${`${letter.name} to ${letter.subscriber}`}>
      <div class="row"><strong>${letter.name}</strong> <span class="muted">to ${letter.subscriber}, ${letter.attempts} attempts${letter.failed_at ? `, ${host.format.dateTime(letter.failed_at)}` : ""}</span><span class="spacer"></span>
        <button type="button" onClick=${() => one(letter, "retry", "It is delivered again")}>Deliver again</button><button type="button" class="danger" onClick=${() => one(letter, "discard", "It was discarded")}>Discard</button></div>
      ${letter.error && html`<p class="err">${letter.error}</p>`}
      <details><summary>Payload</summary><pre>${JSON.stringify(letter.payload, null, 2)}</pre></details></section>`)}
    ${items?.length === 0 && !error && html`<p class="alert ok">Nothing was given up.</p>`}
    ${next && html`<p><button type="button" onClick=${more}>Show more</button></p>`}`;
}

function Jobs({ host }) {
  const { items, error, load } = useList(host, "/jobs");
  const run = async (job) => (await act(host, `/jobs/${encodeURIComponent(job.name)}/run`, {}, () => `${job.name} was put into the queue`)) && load();
  return html`<${Failure} error=${error} /><div class="card flush" role="region" aria-label="Jobs" tabindex="0"><table>
    <thead><tr><th scope="col">Job</th><th scope="col">Schedule</th><th scope="col">Next</th><th scope="col">Last</th><th scope="col" class="num">Waiting</th><th scope="col"><span class="visually-hidden">Run</span></th></tr></thead>
    <tbody>${(items ?? []).map((job) => html`<tr key=${job.name}><th scope="row">${job.name}</th><td>${job.schedule ?? "—"}${job.timezone ? html` <small class="muted">${job.timezone}</small>` : ""}</td>
      <td>${job.next_at ? host.format.dateTime(job.next_at) : ""}</td><td>${job.last && html`<span class=${`badge ${job.last.outcome === "done" ? "ok" : "warn"}`}>${job.last.outcome}</span> ${host.format.dateTime(job.last.ended_at)}`}</td>
      <td class="num">${job.waiting}</td><td><button type="button" onClick=${() => run(job)}>Run now</button></td></tr>`)}
    ${items?.length === 0 && html`<tr><td colspan="6" class="empty">No plugin brings a job.</td></tr>`}</tbody></table></div>`;
}

function Events({ host }) {
  const [tab, setTab] = useState(host.route.path || "waiting");
  useEffect(() => host.onRoute((route) => setTab(route.path || "waiting")), []);
  const View = { waiting: Waiting, dead: Dead, jobs: Jobs }[tab] ?? Waiting;
  return html`<h1>Events and jobs</h1>
    <nav class="row" aria-label="Events and jobs">${Object.entries(TABS).map(([name, title]) => html`<a key=${name} class=${`button ${name === tab ? "primary" : ""}`} aria-current=${name === tab ? "page" : null} href=${host.url(name === "waiting" ? "events" : `events/${name}`)}>${title}</a>`)}</nav>
    <${View} host=${host} />`;
}

export async function mount(element, host) {
  render(html`<${Events} host=${host} />`, element);
  return () => render(null, element);
}
