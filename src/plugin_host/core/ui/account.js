// One's own account: password, second factor, where one is signed in, tokens for scripts, other ways to sign in.
import { html, render, useEffect, useState } from "plugin-host/view";

function useList(host, path) {
  const [state, setState] = useState({ items: null, error: null });
  const load = () => host.api(path).then((page) => setState({ items: page.items, error: null }), (error) => setState({ items: [], error }));
  useEffect(() => {
    load();
  }, []);
  return { ...state, load };
}

/** Do something and say how it went. */
async function attempt(host, act, text) {
  try {
    const answer = await act();
    if (text) host.notify(text, { kind: "success" });
    return answer ?? true;
  } catch (error) {
    host.notify(error.detail || error.message, { kind: "error" });
    return null;
  }
}

const Failure = ({ error }) => error && html`<p class="alert" role="alert">${error.message}</p>`;

/** What is shown this once. */
const Once = ({ title, children, done }) => html`<div class="alert ok" role="status"><p><strong>${title}</strong> It is shown this once: keep it now.</p>${children}<p><button type="button" onClick=${done}>I have kept it</button></p></div>`;

function Password({ host }) {
  const [problem, setProblem] = useState(null);
  const send = async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    const said = Object.fromEntries(new FormData(form));
    try {
      await host.api("/auth/password", { method: "POST", body: { password: said.password, new_password: said.new_password } });
      form.reset();
      setProblem(null);
      host.notify("Your password was changed; you were signed out everywhere else", { kind: "success" });
    } catch (error) {
      setProblem(error);
    }
  };
  const fault = problem?.errors?.find((each) => each.pointer === "/new_password")?.detail;
  return html`<section><h2>Password</h2><form class="card" onSubmit=${send}>
    ${problem && !fault && html`<p class="alert" role="alert">${problem.message}</p>`}
    <label>Password until now <input type="password" name="password" required autocomplete="current-password" /></label>
    <label>New password <input type="password" name="new_password" required minlength="12" autocomplete="new-password" aria-invalid=${fault ? "true" : null} aria-describedby="new-told" />
      <small id="new-told" class=${fault ? "err" : "muted"}>${fault ?? "12 characters or more."}</small></label>
    <button class="primary">Change password</button></form></section>`;
}

function Factor({ host }) {
  const [factor, setFactor] = useState(null);
  const [seed, setSeed] = useState(null);
  const [codes, setCodes] = useState(null);
  const [error, setError] = useState(null);
  const load = () => host.api("/auth/mfa").then(setFactor, setError);
  useEffect(() => {
    load();
  }, []);
  const begin = async () => setSeed(await attempt(host, () => host.api("/auth/mfa/totp", { method: "POST" })));
  const confirm = async (event) => {
    event.preventDefault();
    const { otp } = Object.fromEntries(new FormData(event.currentTarget));
    const answer = await attempt(host, () => host.api("/auth/mfa/totp/confirm", { method: "POST", body: { otp } }), "Your second factor is on");
    if (answer === null) return;
    setCodes(answer.recovery_codes);
    setSeed(null);
    load();
  };
  const again = async () => {
    const answer = await attempt(host, () => host.api("/auth/mfa/recovery-codes", { method: "POST" }));
    if (answer !== null) setCodes(answer.recovery_codes);
    load();
  };
  const off = async () => {
    if (!(await host.confirm("Switch the second factor off? A password alone will be enough again.", { ok: "Switch off", danger: true }))) return;
    await attempt(host, () => host.api("/auth/mfa/totp", { method: "DELETE" }), "Your second factor is off");
    load();
  };
  if (error?.status === 404) return null; // an application that embeds the host signs people in
  if (error) return html`<section><h2>Second factor</h2><${Failure} error=${error} /></section>`;
  return html`<section><h2>Second factor</h2><div class="card">
    ${codes && html`<${Once} title="Recovery codes." done=${() => setCodes(null)}><pre>${codes.join("\n")}</pre><//>`}
    ${factor && !factor.enabled && !seed && html`<p>${factor.required ? "You must have a second factor here." : "An authenticator on your phone makes your password alone useless to others."}</p><button type="button" class="primary" onClick=${begin}>Set up an authenticator</button>`}
    ${seed && html`<form onSubmit=${confirm}><p>Give your authenticator this secret, or open <a href=${seed.uri}>this address</a> on the phone:</p><pre>${seed.secret}</pre>
      <label>Code that it shows <input name="otp" required inputmode="numeric" autocomplete="one-time-code" maxlength="8" /></label><div class="row"><button class="primary">Confirm</button><button type="button" class="quiet" onClick=${() => setSeed(null)}>Cancel</button></div></form>`}
    ${factor?.enabled && html`<p><span class="badge ok">on</span> ${factor.recovery_codes} recovery codes are left.</p><div class="row"><button type="button" onClick=${again}>New recovery codes</button>${!factor.required && html`<button type="button" class="danger" onClick=${off}>Switch off</button>`}</div>`}
  </div></section>`;
}

function Sessions({ host }) {
  const { items, error, load } = useList(host, "/auth/sessions");
  const end = async (session) => {
    if (await attempt(host, () => host.api(`/auth/sessions/${session.id}`, { method: "DELETE" }), "Signed out there")) load();
  };
  return html`<section><h2>Where you are signed in</h2><${Failure} error=${error} />
    <div class="card flush" role="region" aria-label="Where you are signed in" tabindex="0"><table>
      <thead><tr><th scope="col">Where</th><th scope="col">Last seen</th><th scope="col">Since</th><th scope="col"><span class="visually-hidden">Sign out</span></th></tr></thead>
      <tbody>${(items ?? []).map((each) => html`<tr key=${each.id}><th scope="row">${each.agent ?? each.kind} ${each.current && html`<span class="badge ok">here</span>`}<br /><small class="muted">${each.address ?? ""}</small></th>
        <td>${host.format.dateTime(each.last_seen_at)}</td><td>${host.format.dateTime(each.created_at)}</td>
        <td>${!each.current && html`<button type="button" onClick=${() => end(each)}>Sign out</button>`}</td></tr>`)}</tbody>
    </table></div></section>`;
}

function Tokens({ host }) {
  const { items, error, load } = useList(host, "/auth/tokens");
  const [made, setMade] = useState(null);
  const create = async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    const said = Object.fromEntries(new FormData(form));
    const scopes = said.scopes.split(/[\s,]+/).filter(Boolean);
    const body = { name: said.name, days: Number(said.days), scopes: scopes.length ? scopes : null };
    const answer = await attempt(host, () => host.api("/auth/tokens", { method: "POST", body }));
    if (answer === null) return;
    form.reset();
    setMade(answer);
    load();
  };
  const revoke = async (token) => {
    if (!(await host.confirm(`Revoke ${token.name}? Whatever uses it stops at once.`, { ok: "Revoke", danger: true }))) return;
    if (await attempt(host, () => host.api(`/auth/tokens/${token.id}`, { method: "DELETE" }), "The token was revoked")) load();
  };
  return html`<section><h2>Tokens for scripts</h2><${Failure} error=${error} />
    ${made && html`<${Once} title=${`The token “${made.name}”.`} done=${() => setMade(null)}><pre>${made.token}</pre><//>`}
    <div class="card flush" role="region" aria-label="Tokens" tabindex="0"><table>
      <thead><tr><th scope="col">Name</th><th scope="col">Begins, ends</th><th scope="col">May</th><th scope="col">Last used</th><th scope="col">Good until</th><th scope="col"><span class="visually-hidden">Revoke</span></th></tr></thead>
      <tbody>${(items ?? []).map((each) => html`<tr key=${each.id}><th scope="row">${each.name}</th><td><code>${each.prefix}…${each.last4}</code></td><td>${each.scopes?.join(", ") ?? "all that you may"}</td>
        <td>${each.last_used_at ? host.format.dateTime(each.last_used_at) : "never"}</td><td>${host.format.date(each.expires_at)} ${each.expired && html`<span class="badge warn">expired</span>`}</td>
        <td><button type="button" class="danger" onClick=${() => revoke(each)}>Revoke</button></td></tr>`)}
      ${items?.length === 0 && html`<tr><td colspan="6" class="empty">No tokens.</td></tr>`}</tbody>
    </table></div>
    <form class="card" onSubmit=${create}><h3>New token</h3>
      <label>Name <input name="name" required maxlength="200" placeholder="nightly report" /></label>
      <label>Good for days <input name="days" type="number" min="1" max="366" value="90" required /></label>
      <label>Only these permissions <input name="scopes" placeholder="all that you may" autocomplete="off" /><small class="muted">Separated by blanks; never more than your own.</small></label>
      <button>Make token</button></form></section>`;
}

function Identities({ host }) {
  const { items, load } = useList(host, "/auth/identities");
  const [providers, setProviders] = useState([]);
  useEffect(() => {
    host.api("/auth/providers").then((page) => setProviders(page.items), () => {});
  }, []);
  if (providers.length === 0 && !items?.length) return null;
  const remove = async (each) => {
    if (await attempt(host, () => host.api(`/auth/identities/${each.id}`, { method: "DELETE" }), "It was taken away")) load();
  };
  return html`<section><h2>Other ways to sign in</h2><div class="card"><ul>${(items ?? []).map(
    (each) => html`<li key=${each.id}>${each.provider} <button type="button" class="link" onClick=${() => remove(each)}>Take away</button></li>`,
  )}</ul></div></section>`;
}

function Account({ host }) {
  return html`<h1>${host.user.display}</h1><p class="muted">${host.user.username}</p>
    <${Password} host=${host} /><${Factor} host=${host} /><${Sessions} host=${host} /><${Tokens} host=${host} /><${Identities} host=${host} />`;
}

export async function mount(element, host) {
  render(html`<${Account} host=${host} />`, element);
  return () => render(null, element);
}
