// @ts-check
// The place in the page where a plugin's screen is shown, or the card that says why it is not.
import { html, untracked, useEffect, useRef, useSignal } from "./vendor/view.js";
import { ErrorCard } from "./error-card.js";
import { show } from "./loader.js";
import { match, place } from "./router.js";
import { appName, shell } from "./state.js";
import { t } from "./text.js";

/** @typedef {import("./plugin-host").Screen} Screen */

/** @param {{ screen: Screen, onSettled: () => void }} props `onSettled`: there is something to move the focus to */
export function PluginView({ screen, onSettled }) {
  const stage = useRef(/** @type {HTMLElement | null} */ (null));
  const state = useSignal(/** @type {"loading" | "shown" | "failed"} */ ("loading"));
  const error = useSignal(/** @type {unknown} */ (null));
  const heading = useSignal(false);
  const turn = useSignal(0);
  const about = shell.value?.plugins[screen.plugin];

  useEffect(() => {
    state.value = "loading";
    heading.value = false;
    const view = show(screen, /** @type {HTMLElement} */ (stage.current), {
      shell: /** @type {NonNullable<typeof shell.value>} */ (shell.peek()),
      onHeading: (has) => {
        heading.value = has;
      },
      onShown: () => {
        state.value = "shown";
        onSettled();
      },
      onError: (problem) => {
        error.value = problem;
        state.value = "failed";
        onSettled();
      },
    });
    let { path } = place.peek();
    const follow = () => {
      const moved = place.peek().path !== path;
      path = place.peek().path;
      document.title = `${screen.title} · ${appName.peek()}`; // until the view says it better
      const listening = view.routed();
      if (listening && moved) onSettled();
      // A view that does not follow its route is drawn anew.
      if (!listening && state.peek() === "shown") turn.value += 1;
    };
    let first = true;
    const stopFollowing = place.subscribe(() => {
      const there = match(shell.peek()?.screens ?? [], place.peek().path);
      if (!first && there?.id === screen.id && there.plugin === screen.plugin) untracked(follow);
      first = false;
    });
    return () => {
      stopFollowing();
      view.stop();
    };
  }, [turn.value]);

  const retry = () => {
    turn.value += 1;
  };
  const busy = state.value === "loading";
  return html`<div class="ph-view" data-plugin=${screen.plugin} data-screen=${screen.id} aria-busy=${busy ? "true" : null}>
    ${!heading.value && state.value !== "failed" && html`<h1 class="visually-hidden">${screen.title}</h1>`}
    <div ref=${stage}></div>
    ${busy && html`<${Skeleton} title=${screen.title} />`}
    ${state.value === "failed" &&
    html`<${ErrorCard} title=${screen.title} plugin=${about?.name ?? screen.plugin} error=${error.value} retry=${retry} />`}
  </div>`;
}

/** @param {{ title: string }} props */
const Skeleton = ({ title }) =>
  html`<div class="ph-skeleton" role="status"><span class="visually-hidden">${t("Loading {title}…", { title })}</span><i></i><i></i><i></i><i></i></div>`;
