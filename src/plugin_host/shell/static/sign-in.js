// @ts-check
// Signing in, and making the first administrator.
import { html, useEffect, useId, useRef, useSignal } from "./vendor/view.js";
import { HostError, request } from "./api.js";
import { Brand } from "./brand.js";
import { config } from "./config.js";
import { Icon } from "./icons.js";
import { go, place } from "./router.js";
import { appName, notice, setUp, shell, signIn } from "./state.js";
import { t } from "./text.js";

const MIN_PASSWORD = 12;

/** What to tell somebody whom the server refused. @param {unknown} error */
function explain(error) {
  if (!(error instanceof HostError)) return t("Something went wrong. Please try again.");
  const wait = error.retryAfter ? ` ${t("Try again in {seconds} seconds.", { seconds: error.retryAfter })}` : ` ${t("Please try again in a moment.")}`;
  if (error.status === 429) return t("Too many attempts.") + wait;
  if (error.status === 503 && error.code === "busy") return t("The server is busy.") + wait;
  // One sentence for all wrong credentials, whatever the server says: it must not tell which part was wrong.
  if (error.code === "invalid_otp") return t("This code is not right, or it has been used.");
  if (error.status === 401) return t("The user name or the password is not right.");
  return error.message;
}

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
          <button type="button" class="quiet icon" aria-label=${t("Show {label}", { label: label.toLowerCase() })} aria-pressed=${String(shown.value)}
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

/** The page that a link of a mail leads to; its token stands behind `#`, where no server sees it. */
const LINKS = { "/login/reset": "reset", "/login/invitation": "invitation", "/login/forgot": "forgot" };

export function SignIn() {
  const elsewhere = shell.value?.sign_in_url;
  if (elsewhere) return html`<${SignInElsewhere} href=${elsewhere} />`;
  const view = LINKS[/** @type {keyof typeof LINKS} */ (place.value.path)];
  if (view === "forgot") return html`<${Forgot} />`;
  if (view) return html`<${Chosen} view=${view} token=${location.hash.slice(1)} />`;
  return html`<${SignInForm} />`;
}

/** The application around this host signs people in. @param {{ href: string }} props */
const SignInElsewhere = ({ href }) =>
  html`<${CardPage} title=${t("Sign in")}>
    <h1>${t("Sign in")}</h1>
    <p class="muted">${notice.value || t("You need to sign in to open this page.")}</p>
    <a class="button primary wide" rel="external" href=${href}>${t("Go to the sign-in page")}</a>
  <//>`;

/** What to tell somebody who comes back from a provider without being signed in; the server says the word. */
const REFUSALS = /** @type {Record<string, () => string>} */ ({
  access_denied: () => t("You did not agree at the provider. Try again, or sign in with a password."),
  identity_unknown: () => t("Nobody here is linked to that account. Sign in with a password first, then link it."),
  identity_linked: () => t("That account is linked to somebody here already."),
  provider_unavailable: () => t("The provider cannot be used right now. Try again later, or sign in with a password."),
});

function refusal() {
  const word = new URLSearchParams(location.search).get("sign_in");
  return word === null ? "" : (REFUSALS[word]?.() ?? t("Signing in with the provider did not work. Please try again."));
}

/** Other ways to sign in, as the server names them. */
function Providers() {
  const providers = shell.value?.providers ?? [];
  if (providers.length === 0) return null;
  const said = new URLSearchParams(location.search);
  const back = encodeURIComponent(said.get("next") ?? (said.has("sign_in") ? "/" : place.value.path + location.search));
  return html`<p class="ph-or"><span>${t("or")}</span></p>
    ${providers.map(
      ({ name, title }) => html`<a class="button wide" key=${name} rel="external" href=${`${config.base}/api/core/auth/oidc/${encodeURIComponent(name)}/start?return_to=${back}`}>
        ${t("Sign in with {name}", { name: title || name })}</a>`,
    )}`;
}

function SignInForm() {
  /** The name and password that were right, while the second factor is asked for. */
  const proved = useSignal(/** @type {{ username: string, password: string } | null} */ (null));
  const { form, busy, message, submit } = useForm(async ({ username, password, otp }) => {
    const known = proved.value ?? { username, password };
    try {
      await signIn(known.username, known.password, otp?.replace(/\s/g, ""));
    } catch (error) {
      if (!(error instanceof HostError && error.code === "otp_required")) throw error;
      proved.value = known;
    }
  });
  const told = message.value || (proved.value ? "" : refusal());
  return html`<${CardPage} title=${t("Sign in")}>
    <form ref=${form} onSubmit=${submit}>
      <h1>${t("Sign in")}</h1>
      ${notice.value && !told && html`<p class="alert info" role="status">${notice.value}</p>`}
      ${told && html`<p class="alert" role="alert">${told}</p>`}
      ${proved.value
        ? html`<p class="muted">${t("Enter the code of your authenticator, or a recovery code.")}</p>
            <${Field} key="otp" label=${t("Code")} name="otp" required autofocus autocomplete="one-time-code" spellcheck="false" />`
        : html`<${Field} label=${t("User name")} name="username" required autofocus autocomplete="username" autocapitalize="none" spellcheck="false" />
            <${Field} label=${t("Password")} name="password" required secret autocomplete="current-password" />`}
      <button class="primary wide" disabled=${busy.value}>${busy.value ? t("Signing in…") : t("Sign in")}</button>
      ${!proved.value && html`<p class="center"><a href=${`${config.base}/login/forgot`}>${t("Forgotten your password?")}</a></p>`}
    </form>
    ${!proved.value && html`<${Providers} />`}
  <//>`;
}

/** Ask for a link to choose a new password. */
function Forgot() {
  const sent = useSignal(false);
  const { form, busy, message, submit } = useForm(async ({ username }) => {
    await request("/api/core/auth/password/forgot", { method: "POST", body: { username } });
    sent.value = true;
  });
  return html`<${CardPage} title=${t("Forgotten your password?")}>
    <form ref=${form} onSubmit=${submit}>
      <h1>${t("Forgotten your password?")}</h1>
      ${message.value && html`<p class="alert" role="alert">${message.value}</p>`}
      ${sent.value
        ? html`<p class="alert ok" role="status">${t("If there is such an account, and a mail address with it, a link is on its way. Otherwise ask your administrator.")}</p>`
        : html`<p class="muted">${t("You get a link to choose a new one.")}</p>
            <${Field} label=${t("User name or mail address")} name="username" required autofocus autocomplete="username" autocapitalize="none" spellcheck="false" />
            <button class="primary wide" disabled=${busy.value}>${t("Send the link")}</button>`}
      <p class="center"><a href=${`${config.base}/login`}>${t("Back to the sign-in")}</a></p>
    </form>
  <//>`;
}

/** Choose a password by a link: a new one, or the first. @param {{ view: string, token: string }} props */
function Chosen({ view, token }) {
  const invited = view === "invitation";
  const title = invited ? t("Welcome") : t("Choose a new password");
  const { form, busy, message, errors, submit } = useForm(async ({ password, repeat, display }) => {
    const wrong = password !== repeat && { pointer: "/repeat", detail: t("This is not the same password.") };
    if (wrong) throw new HostError(422, { errors: [wrong] });
    const body = { token, password, ...(display && { display }) };
    const answer = await request(`/api/core/auth/${invited ? "invitation" : "password/reset"}`, { method: "POST", body });
    history.replaceState(history.state, "", location.pathname); // the link works once
    notice.value = t("Your password is set. Please sign in.");
    const username = answer?.user?.username;
    if (username) await signIn(username, password);
    await go(username ? "/" : "/login", { replace: true });
  });
  const at = errors.value;
  return html`<${CardPage} title=${title}>
    <form ref=${form} onSubmit=${submit}>
      <h1>${title}</h1>
      ${message.value && html`<p class="alert" role="alert">${message.value}</p>`}
      ${at.token && html`<p class="alert" role="alert">${at.token}</p>`}
      ${invited && html`<${Field} label=${t("Name that people read")} name="display" autocomplete="name" error=${at.display} />`}
      <${Field} label=${t("Password")} name="password" required secret minlength=${MIN_PASSWORD} autocomplete="new-password" error=${at.password}
        hint=${t("{count} characters or more. A few words in a row are easy to remember.", { count: MIN_PASSWORD })} />
      <${Field} label=${t("Password again")} name="repeat" required secret autocomplete="new-password" error=${at.repeat} />
      <button class="primary wide" disabled=${busy.value}>${t("Continue")}</button>
    </form>
  <//>`;
}

export function SetUp() {
  const { form, busy, message, errors, submit } = useForm(async ({ code, username, password, repeat }) => {
    const wrong = password !== repeat && { pointer: "/repeat", detail: t("This is not the same password.") };
    if (wrong) throw new HostError(422, { errors: [wrong] });
    await setUp({ code: code.trim().toUpperCase(), username: username.trim(), password });
  });
  const at = errors.value;
  return html`<${CardPage} title=${t("Set up")}>
    <form ref=${form} onSubmit=${submit}>
      <h1>${t("Welcome")}</h1>
      <p class="muted">${t("Make the first administrator of {name}. The set-up code was printed where the server was started.", { name: appName.value })}</p>
      ${message.value && html`<p class="alert" role="alert">${message.value}</p>`}
      <${Field} label=${t("Set-up code")} name="code" required autofocus autocomplete="off" spellcheck="false" class="ph-code"
        placeholder="XXXX-XXXX" error=${at.code} />
      <${Field} label=${t("User name")} name="username" required maxlength="64" autocomplete="username" autocapitalize="none"
        spellcheck="false" error=${at.username} />
      <${Field} label=${t("Password")} name="password" required secret minlength=${MIN_PASSWORD} autocomplete="new-password"
        hint=${t("{count} characters or more. A few words in a row are easy to remember.", { count: MIN_PASSWORD })} error=${at.password} />
      <${Field} label=${t("Password again")} name="repeat" required secret autocomplete="new-password" error=${at.repeat} />
      <button class="primary wide" disabled=${busy.value}>${busy.value ? t("Setting up…") : t("Create administrator")}</button>
    </form>
  <//>`;
}
