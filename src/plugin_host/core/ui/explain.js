// Why may somebody do something, or why not: the answer of the permission engine in words.
import { html, render, useEffect, useState } from "plugin-host/view";

const REASONS = {
  allowed: "Yes.",
  no_grant: "No: nobody gave it.",
  explicit_deny: "No: a rule denies it.",
  condition_false: "No: the condition is not met.",
  unknown_permission: "There is no such permission.",
  plugin_inactive: "No: the plugin is not active.",
};

const words = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function Answer({ answer }) {
  return html`<section class="card" aria-label="Answer">
    <p class=${`alert ${answer.allowed ? "ok" : ""}`} role="status"><strong>${REASONS[answer.reason] ?? answer.reason}</strong></p>
    <dl>
      ${answer.path.length > 0 && html`<dt>Through</dt><dd>${answer.path.join(" → ")}</dd>`}
      ${answer.rules.length > 0 && html`<dt>Rules</dt><dd><ul>${answer.rules.map((rule, n) => html`<li key=${n}><code>${words(rule)}</code></li>`)}</ul></dd>`}
      ${answer.conditions.length > 0 && html`<dt>Conditions</dt><dd><ul>${answer.conditions.map((each, n) => html`<li key=${n}><code>${words(each)}</code></li>`)}</ul></dd>`}
      ${answer.would_allow.length > 0 && html`<dt>Roles that would allow it</dt><dd>${answer.would_allow.join(", ")}</dd>`}
    </dl>
  </section>`;
}

function Explain({ host }) {
  const said = host.route.query;
  const [values, setValues] = useState({ actor: said.actor ?? "", permission: said.permission ?? "", object: said.object ?? "" });
  const [answer, setAnswer] = useState(null);
  const [error, setError] = useState(null);
  const [known, setKnown] = useState({ people: [], permissions: [] });
  const permission = known.permissions.find((each) => each.name === values.permission);
  useEffect(() => {
    const all = host.can("core.users.manage") ? host.api("/users?limit=200") : Promise.resolve({ items: [] });
    Promise.all([all, host.api("/permissions?limit=200")]).then(
      ([people, permissions]) => setKnown({ people: people.items, permissions: permissions.items }),
      setError,
    );
  }, []);
  const ask = async (event) => {
    event?.preventDefault();
    setAnswer(null);
    setError(null);
    const body = { actor: values.actor, permission: values.permission, ...(values.object && { object: values.object }) };
    host.navigate(`explain?${new URLSearchParams(body)}`, { replace: true });
    try {
      setAnswer(await host.api("/access/explain", { method: "POST", body }));
    } catch (problem) {
      setError(problem);
    }
  };
  useEffect(() => {
    if (values.actor && values.permission) ask();
  }, []);
  useEffect(() => host.onRoute(() => {}), []);
  const bind = (name) => ({ name, value: values[name], onInput: (event) => setValues({ ...values, [name]: event.currentTarget.value }) });
  return html`<h1>Why may they?</h1>
    <form class="card" onSubmit=${ask}>
      <label>Person <input list="people" required autocomplete="off" ...${bind("actor")} /></label>
      <datalist id="people">${known.people.map((each) => html`<option key=${each.id} value=${each.username}>${each.display}</option>`)}</datalist>
      <label>Permission <input list="permissions" required autocomplete="off" ...${bind("permission")} /></label>
      <datalist id="permissions">${known.permissions.map((each) => html`<option key=${each.name} value=${each.name}>${each.title}</option>`)}</datalist>
      ${(!permission || permission.scope === "object") && html`<label>Id of the object <input autocomplete="off" ...${bind("object")} /><small class="muted">Without one: on at least one object.</small></label>`}
      <button class="primary">Ask</button>
    </form>
    ${error && html`<p class="alert" role="alert">${error.message}</p>`}
    ${answer && html`<${Answer} answer=${answer} />`}`;
}

export async function mount(element, host) {
  render(html`<${Explain} host=${host} />`, element);
  return () => render(null, element);
}
