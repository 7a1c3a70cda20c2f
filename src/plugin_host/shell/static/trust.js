// @ts-check
// Scripts that bundlers write into the page (of federated remotes in the older format) may come from plugins' own
// files only. It is made before any code of a plugin runs: there is one policy of this name, and nobody can replace it.
import { config } from "./config.js";

const files = `${location.origin}${config.base}/ui/`;

export function startTrust() {
  /** @type {any} */ (window).trustedTypes?.createPolicy("default", {
    createScriptURL: (/** @type {string} */ address) => (new URL(address, location.href).href.startsWith(files) ? address : null),
  });
}
