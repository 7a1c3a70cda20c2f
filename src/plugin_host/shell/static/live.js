// @ts-check
// What moved while the page is open: the menu follows, and views may listen. Only a page that is seen listens, since a
// browser has few connections for each server.
import { config } from "./config.js";
import { notify } from "./layers.js";
import { refresh, user } from "./state.js";
import { t } from "./text.js";

const CALM = 300; // milliseconds: several changes at once are asked about once

/** @type {EventSource | null} */
let stream = null;
let build = "";
let timer = 0;

const moved = () => {
  clearTimeout(timer);
  timer = window.setTimeout(refresh, CALM);
};

/** @param {MessageEvent} event */
function hello(event) {
  const said = JSON.parse(event.data);
  if (build && said.build !== build) {
    notify(t("There is a new version of this page."), { kind: "info", action: { label: t("Reload"), run: () => location.reload() } });
  }
  if (build) moved(); // it was away for a while
  build = said.build;
}

function listen() {
  const wanted = user.value !== null && document.visibilityState === "visible";
  if (!wanted) {
    stream?.close();
    stream = null;
    return;
  }
  if (stream && stream.readyState !== EventSource.CLOSED) return;
  stream = new EventSource(`${config.base}/api/core/changes`);
  stream.addEventListener("hello", hello);
  for (const kind of ["plugins", "policy", "many"]) stream.addEventListener(kind, moved);
  for (const kind of ["event", "many"]) {
    stream.addEventListener(kind, (event) => dispatchEvent(new CustomEvent("plugin-host:change", { detail: JSON.parse(event.data) })));
  }
}

/** Begin to listen, now and whenever the page is seen by somebody who is signed in. */
export function startLive() {
  user.subscribe(listen);
  document.addEventListener("visibilitychange", listen);
  addEventListener("offline", () => notify(t("You are offline: what you see may be old."), { kind: "error" }));
  addEventListener("online", () => {
    notify(t("You are online again."), { kind: "success" });
    moved();
  });
}
