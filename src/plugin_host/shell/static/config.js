// @ts-check
// What the page was told in its head: the only place where the server speaks before the first call.

const meta = /** @type {HTMLMetaElement | null} */ (document.querySelector('meta[name="plugin-host"]'));

export const config = Object.freeze({
  /** The path that the host is mounted at: "" or as "/apps". */
  base: meta?.dataset.base ?? "",
  /** The nonce that style elements made by scripts need. */
  nonce: meta?.dataset.nonce ?? "",
  name: meta?.dataset.name ?? "Plugin Host",
  logo: meta?.dataset.logo ?? "",
  /** The languages that the shell speaks beside English. */
  languages: (meta?.dataset.languages ?? "").split(" ").filter(Boolean),
  contract: 1,
});

/** The address of the shell's style sheet, which every view gets. */
export const stylesheet = /** @type {HTMLLinkElement | null} */ (document.getElementById("ph-css"))?.href ?? "";
