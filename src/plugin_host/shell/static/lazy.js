// @ts-check
// What few first visits need is loaded when it is needed, with the styles of all that stands inside views.
import { html, useEffect, useState } from "./vendor/view.js";
import { t } from "./text.js";

/** Where the styles of content are. */
export const contentSheet = new URL("./content.css", import.meta.url).href;

/** @type {Promise<unknown> | null} */
let content = null;

/** Load the styles of content into the page, once. A sheet that fails leaves it plain, which is better than nothing. */
export function dressPage() {
  content ??= new Promise((done) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.onload = link.onerror = () => done(undefined);
    link.href = contentSheet;
    document.head.append(link);
  });
  return content;
}

/**
 * Make a component of one that is loaded when it is first drawn.
 * @param {() => Promise<(props: any) => any>} load
 * @returns {(props: any) => any}
 */
export function lazy(load) {
  /** @type {((props: any) => any) | null} */
  let Loaded = null;
  return (props) => {
    const [state, setState] = useState(/** @type {"" | "there" | "failed"} */ (Loaded ? "there" : ""));
    useEffect(() => {
      if (Loaded) return;
      Promise.all([load(), dressPage()]).then(
        ([component]) => {
          Loaded = component;
          setState("there");
        },
        () => setState("failed"),
      );
    }, []);
    if (state === "failed") return html`<p role="alert">${t("This part of the page could not be loaded. Please reload it.")}</p>`;
    return Loaded ? html`<${Loaded} ...${props} />` : null;
  };
}
