// @ts-check
// The entry: one call to the server, then whatever belongs to the address and to the person.
import { html, render, useEffect, useLayoutEffect } from "./vendor/view.js";
import { config } from "./config.js";
import { Notices } from "./layers.js";
import { Layout } from "./layout.js";
import { lazy } from "./lazy.js";
import { focused, go, inside, firstScreen, match, place, startRouter } from "./router.js";
import { appName, failure, refresh, shell, status, user } from "./state.js";
import { startTheme } from "./theme.js";
import { startTrust } from "./trust.js";
import { loadLanguage, t } from "./text.js";

const Home = lazy(() => import("./home.js").then((module) => module.Home));
const NotFound = lazy(() => import("./error-card.js").then((module) => module.NotFound));
const Unreachable = lazy(() => import("./error-card.js").then((module) => module.Unreachable));
const PluginView = lazy(() => import("./plugin-view.js").then((module) => module.PluginView));
const SignIn = lazy(() => import("./sign-in.js").then((module) => module.SignIn));
const SetUp = lazy(() => import("./sign-in.js").then((module) => module.SetUp));

/** Move the focus to a new view, unless the view has taken it, or nobody navigated. */
function enter() {
  const { quiet, from } = place.peek();
  const now = focused();
  const taken = now !== from && now !== document.body;
  if (!quiet && !taken) document.getElementById("view")?.focus({ preventScroll: true });
}

/** Go to another address while drawing. @param {{ to: string }} props */
function Redirect({ to }) {
  useEffect(() => {
    go(to, { replace: true });
  }, [to]);
  return null;
}

/** Where somebody wanted to go before signing in: only ever an address of this page. */
const wanted = () => inside(config.base + (new URLSearchParams(place.value.search).get("next") ?? "/")) ?? "/";

function Content() {
  const { path } = place.value;
  const screen = match(shell.value?.screens ?? [], path);
  const title = screen?.title ?? (path === "/" ? t("Home") : t("No such page"));
  const key = screen ? `${screen.plugin}/${screen.id}` : path;
  useLayoutEffect(() => {
    document.title = `${title} · ${appName.value}`;
    if (!screen) enter();
  }, [key]);
  const first = screen ? null : firstScreen(shell.value?.screens ?? [], path);
  if (first) return html`<${Redirect} to=${first} />`;
  if (screen) return html`<${PluginView} key=${key} screen=${screen} onSettled=${enter} />`;
  return path === "/" ? html`<${Home} />` : html`<${NotFound} />`;
}

function App() {
  if (status.value === "loading") return null;
  const retry = () => {
    status.value = "loading";
    refresh();
  };
  if (status.value === "failed") return html`<${Unreachable} error=${failure.value} retry=${retry} />`;
  const { path } = place.value;
  if (shell.value?.setup_required && user.value === null) {
    return path === "/setup" ? html`<${SetUp} />` : html`<${Redirect} to="/setup" />`;
  }
  if (path === "/setup") return html`<${Redirect} to="/" />`;
  if (path === "/login" && user.value !== null) return html`<${Redirect} to=${wanted()} />`;
  // Anybody may see a public screen; at any other address the sign-in stands, and the address is kept.
  if (user.value === null && match(shell.value?.screens ?? [], path) === null) return html`<${SignIn} />`;
  return html`<${Layout}><${Content} /><//>`;
}

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
startTrust();
startTheme();
startRouter();
const draw = () => render(html`<${App} /><${Notices} />`, app);
// Nothing is drawn before its language is there; English has nothing to wait for.
const spoken = loadLanguage()
  .catch(() => {})
  .then(draw);
addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "k" || user.value === null) return;
  event.preventDefault();
  import("./palette.js").then(({ openPalette }) => openPalette()).catch(() => {});
});
// What is not needed for the first picture comes after it.
spoken.then(() => import("./live.js")).then(({ startLive }) => startLive(), () => {});
Promise.all([refresh(), spoken]).finally(() => app.removeAttribute("aria-busy"));
