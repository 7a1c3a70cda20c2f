// @ts-check
// Signing in, and making the first administrator.
import { html, useEffect, useId, useRef, useSignal } from "./vendor/view.js";
import { HostError, request } from "./api.js";
import { config } from "./config.js";
import { Icon } from "./icons.js";
import { appName, notice, setUp, shell, signIn } from "./state.js";

const MIN_PASSWORD = 12;

/** What to tell somebody whom the server refused. @param {unknown} error */
function explain(error) {
  if (!(error instanceof HostError)) return "Something went wrong. Please try again.";
  const wait = error.retryAfter ? ` Try again in ${error.retryAfter} seconds.` : " Please try again in a moment.";
  if (error.status === 429) return `Too many attempts.${wait}`;
  if (error.status === 503 && error.code === "busy") return `The server is busy.${wait}`;
  // One sentence for all wrong credentials, whatever the server says: it must not tell which part was wrong.
  if (error.status === 401) return "The user name or the password is not right.";
  return error.message;
}

const Logo = () =>
  html`<svg class="ph-logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <rect width="32" height="32" rx="8" /><rect x="7" y="7" width="8" height="8" rx="2" />
    <rect x="7" y="17" width="8" height="8" rx="2" /><rect x="17" y="17" width="8" height="8" rx="2" />
    <rect x="18" y="7" width="7" height="7" rx="2" transform="rotate(45 21.5 10.5)" />
  </svg>`;

export const Brand = () =>
  html`<span class="ph-brand">
    ${config.logo ? html`<img src=${config.logo} alt="" />` : html`<${Logo} />`}<span>${appName.value}</span>
  </span>`;

/** @param {{ label: string, name: string, error?: string, hint?: string, secret?: boolean, [attribute: string]: any }} props */
function Field({ label, name, error, hint, secret = false, ...rest }) {
  const id = useId();
  const shown = useSignal(false);
  const told = error ?? hint;
  const attributes = { id, name, "aria-invalid": error ? "true" : null, "aria-describedby": told ? `${id}-told` : null, ...rest };
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${secret
      ? html`<span class="ph-secret"><input type=${shown.value ? "text" : "password"} ...${attributes} />
          <button type="button" class="quiet icon" aria-label="Show ${label.toLowerCase()}" aria-pressed=${String(shown.value)}
            onClick=${() => (shown.value = !shown.value)}><${Icon} name="eye" /></button></span>`
      : html`<input ...${attributes} />`}
    ${told && html`<small id=${`${id}-told`} class=${error ? "err" : "muted"}>${told}</small>`}
  </div>`;
}

/**
 * A form that calls the server: while it waits the button says so; what was wrong stands at its field.
 * @param {(values: Record<string, string>) => Promise<void>} send
 */
function useForm(send) {
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const busy = useSignal(false);
  const message = useSignal("");
  const errors = useSignal(/** @type {Record<string, string>} */ ({}));
  useEffect(() => {
    const first = form.current?.querySelector("[aria-invalid]");
    if (first instanceof HTMLElement) first.focus();
  }, [errors.value]);
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    const data = new FormData(/** @type {HTMLFormElement} */ (form.current));
    const values = Object.fromEntries([...data].map(([name, value]) => [name, String(value)]));
    busy.value = true;
    message.value = "";
    try {
      await send(values);
    } catch (error) {
      const found = error instanceof HostError ? error.errors : [];
      const fields = Object.fromEntries(found.map(({ pointer, detail }) => [pointer.replace(/^\//, ""), detail]));
      const placed = Object.keys(fields).some((name) => name in values);
      errors.value = placed ? fields : {};
      message.value = placed ? "" : explain(error);
    } finally {
      busy.value = false;
    }
  };
  return { form, busy, message, errors, submit };
}

/** @param {{ title: string, children: any }} props */
function CardPage({ title, children }) {
  useEffect(() => {
    document.title = `${title} · ${appName.value}`;
  }, [title, appName.value]);
  return html`<main class="ph-card-page"><${Brand} /><div class="card">${children}</div></main>`;
}

export function SignIn() {
  const elsewhere = shell.value?.sign_in_url;
  return elsewhere ? html`<${SignInElsewhere} href=${elsewhere} />` : html`<${SignInForm} />`;
}

/** The application around this host signs people in. @param {{ href: string }} props */
const SignInElsewhere = ({ href }) =>
  html`<${CardPage} title="Sign in">
    <h1>Sign in</h1>
    <p class="muted">${notice.value || "You need to sign in to open this page."}</p>
    <a class="button primary wide" rel="external" href=${href}>Go to the sign-in page</a>
  <//>`;

/** What to tell somebody who comes back from a provider without being signed in; the server says the word. */
const REFUSALS = /** @type {Record<string, string>} */ ({
  access_denied: "You did not agree at the provider. Try again, or sign in with a password.",
  identity_unknown: "Nobody here is linked to that account. Sign in with a password first, then link it.",
  identity_linked: "That account is linked to somebody here already.",
  provider_unavailable: "The provider cannot be used right now. Try again later, or sign in with a password.",
});

function refusal() {
  const word = new URLSearchParams(location.search).get("sign_in");
  return word === null ? "" : (REFUSALS[word] ?? "Signing in with the provider did not work. Please try again.");
}

/** A button for each provider that people may sign in with. */
function Providers() {
  const found = useSignal(/** @type {{ name: string, title: string, start: string }[]} */ ([]));
  useEffect(() => {
    // Without an answer there is still the password.
    request("/api/core/auth/providers").then(({ items }) => (found.value = items), () => {});
  }, []);
  const back = location.pathname.slice(config.base.length) + location.search;
  const to = location.search.includes("sign_in=") ? "/" : back || "/";
  return found.value.map(
    ({ name, title, start }) =>
      html`<a key=${name} class="button wide" rel="external" href=${`${start}?return_to=${encodeURIComponent(to)}`}>Sign in with ${title}</a>`,
  );
}

function SignInForm() {
  const { form, busy, message, submit } = useForm(({ username, password }) => signIn(username, password));
  const refused = notice.value ? "" : refusal();
  return html`<${CardPage} title="Sign in">
    <form ref=${form} onSubmit=${submit}>
      <h1>Sign in</h1>
      ${notice.value && !message.value && html`<p class="alert info" role="status">${notice.value}</p>`}
      ${(message.value || refused) && html`<p class="alert" role="alert">${message.value || refused}</p>`}
      <${Field} label="User name" name="username" required autofocus autocomplete="username" autocapitalize="none" spellcheck="false" />
      <${Field} label="Password" name="password" required secret autocomplete="current-password" />
      <button class="primary wide" disabled=${busy.value}>${busy.value ? "Signing in…" : "Sign in"}</button>
      <${Providers} />
    </form>
  <//>`;
}

export function SetUp() {
  const { form, busy, message, errors, submit } = useForm(async ({ code, username, password, repeat }) => {
    const wrong = password !== repeat && { pointer: "/repeat", detail: "This is not the same password." };
    if (wrong) throw new HostError(422, { errors: [wrong] });
    await setUp({ code: code.trim().toUpperCase(), username: username.trim(), password });
  });
  const at = errors.value;
  return html`<${CardPage} title="Set up">
    <form ref=${form} onSubmit=${submit}>
      <h1>Welcome</h1>
      <p class="muted">Make the first administrator of ${appName.value}. The set-up code was printed where the server was started.</p>
      ${message.value && html`<p class="alert" role="alert">${message.value}</p>`}
      <${Field} label="Set-up code" name="code" required autofocus autocomplete="off" spellcheck="false" class="ph-code"
        placeholder="XXXX-XXXX" error=${at.code} />
      <${Field} label="User name" name="username" required maxlength="64" autocomplete="username" autocapitalize="none"
        spellcheck="false" error=${at.username} />
      <${Field} label="Password" name="password" required secret minlength=${MIN_PASSWORD} autocomplete="new-password"
        hint="${MIN_PASSWORD} characters or more. A few words in a row are easy to remember." error=${at.password} />
      <${Field} label="Password again" name="repeat" required secret autocomplete="new-password" error=${at.repeat} />
      <button class="primary wide" disabled=${busy.value}>${busy.value ? "Setting up…" : "Create administrator"}</button>
    </form>
  <//>`;
}
