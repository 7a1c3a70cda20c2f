// @ts-check
// Icons: 24 by 24, drawn with one line in the colour of the text. Those of the frame are here; the others come with
// the first that is asked for, and have their place until then.
import { html, signal } from "./vendor/view.js";

/** A circle as a path. @param {number} x @param {number} y @param {number} r */
export const ring = (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;

/** @type {Record<string, string>} */
const OWN = {
  alert: "M12 4 2.5 20h19zM12 10v4.5M12 17.2v.3",
  check: "M4.5 12.5 10 18 20 7",
  chevron: "m6 9.5 6 6 6-6",
  home: "M3.5 11.5 12 4l8.5 7.5M6 9.8V20h12V9.8M10 20v-5.5h4V20",
  menu: "M4 6.5h16M4 12h16M4 17.5h16",
  message: "M4 5h16v11.5H11L6.5 20v-3.5H4z",
  search: `${ring(10.5, 10.5, 6.5)}M15.5 15.5 21 21`,
  user: `${ring(12, 8, 4)}M4 20.5c1-5 4-6.5 8-6.5s7 1.5 8 6.5`,
  x: "M6 6l12 12M18 6 6 18",
};
const DOT = ring(12, 12, 1.2);

/** All others, once they are there. */
const others = signal(/** @type {Record<string, string> | null} */ (null));
let asked = false;

/** @param {string} name */
function pathOf(name) {
  if (Object.hasOwn(OWN, name)) return OWN[name];
  if (others.value) return Object.hasOwn(others.value, name) ? others.value[name] : DOT;
  if (!asked) {
    asked = true;
    import("./more-icons.js").then(({ PATHS }) => (others.value = PATHS)).catch(() => (others.value = {}));
  }
  return "";
}

/** An icon by name; one that is not known is a dot. It says nothing to a screen reader. @param {{ name?: string | null }} props */
export const Icon = ({ name }) =>
  html`<svg class="ph-icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${name ? pathOf(name) : DOT} /></svg>`;
