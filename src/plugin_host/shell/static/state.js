// @ts-check
// What the page knows: where it stands, who is asking, and what the server said they may see.
import { computed, signal } from "./vendor/view.js";
import { HostError, onProofNeeded, onUnauthorised, request } from "./api.js";
import { config } from "./config.js";
import { t } from "./text.js";

/** @typedef {import("./plugin-host").ShellAnswer} ShellAnswer */

export const status = signal(/** @type {"loading" | "ready" | "failed"} */ ("loading"));
/** What went wrong when the page could not start. */
export const failure = signal(/** @type {Error | null} */ (null));
/** The server's last answer to `/api/core/shell`. */
export const shell = signal(/** @type {ShellAnswer | null} */ (null));
/** Why somebody must sign in again; empty at a first sign-in. */
export const notice = signal("");

export const user = computed(() => shell.value?.user ?? null);
export const appName = computed(() => shell.value?.theme?.name || config.name);
export const menuItems = computed(() => {
  const menu = shell.value?.menu;
  return (Array.isArray(menu) ? menu : menu?.items) ?? [];
});

/** Whose data may still be in the memory of loaded modules. @type {string | null} */
let lastUser = null;

/** Ask the server for everything again. */
export async function refresh() {
  try {
    shell.value = await request("/api/core/shell");
    lastUser = user.value?.id ?? lastUser;
    status.value = "ready";
  } catch (error) {
    failure.value = /** @type {Error} */ (error);
    status.value = "failed";
  }
}

/** Sign in; throws what the server said against it. @param {string} username @param {string} password @param {string} [otp] */
export async function signIn(username, password, otp) {
  const body = { username, password, client: "browser", ...(otp && { otp }) };
  const answer = await request("/api/core/auth/login", { method: "POST", body });
  if (lastUser !== null && answer?.user?.id !== lastUser) {
    // Somebody else: start afresh, so that no module shows them what it kept of the one before.
    location.reload();
    return;
  }
  notice.value = "";
  await refresh();
}

/** Make the first administrator, then sign in. @param {{ code: string, username: string, password: string }} values */
export async function setUp(values) {
  await request("/api/core/setup", { method: "POST", body: values });
  await signIn(values.username, values.password);
}

/** Sign out and start afresh: a new document keeps nothing in memory of whoever was here. */
export async function signOut() {
  const elsewhere = shell.value?.sign_out_url;
  if (elsewhere) {
    location.assign(elsewhere);
    return;
  }
  try {
    await request("/api/core/auth/logout", { method: "POST" });
  } catch (error) {
    if (!(error instanceof HostError && error.status === 401)) throw error;
  }
  location.assign(`${config.base}/`);
}

onUnauthorised(() => {
  if (shell.value === null || user.value === null) return;
  notice.value = t("Your session has ended. Please sign in again.");
  shell.value = { ...shell.value, user: null, permissions: [], menu: { items: [] }, screens: [] };
});

// Dangerous things need a fresh proof of who it is: asked once, in a dialog, and the call is made again.
onProofNeeded(() => import("./proof.js").then(({ askForProof }) => askForProof()));
