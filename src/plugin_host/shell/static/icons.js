// @ts-check
// Icons of the shell and of menu items: 24 by 24, drawn with one line in the colour of the text.
import { html } from "./vendor/view.js";

/** A circle as a path. @param {number} x @param {number} y @param {number} r */
const ring = (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;

/** @type {Record<string, string>} */
const PATHS = {
  alert: "M12 4 2.5 20h19zM12 10v4.5M12 17.2v.3",
  archive: "M3 4h18v4.5H3zM5 8.5V20h14V8.5M10 12.5h4",
  bell: "M6 17V11a6 6 0 0 1 12 0v6l2 1.5H4zM10 21h4",
  book: "M5 4h6.5v16H5zM12.5 4H19v16h-6.5z",
  box: "M12 3 4 7v10l8 4 8-4V7zM4 7l8 4 8-4M12 11v10",
  briefcase: "M3 8h18v12H3zM9 8V4h6v4M3 13h18",
  building: "M5 21V4h9v17M14 9h5v12M3 21h18M8 8h3M8 12h3M8 16h3M16.5 13h.2M16.5 17h.2",
  calendar: "M4 6h16v14H4zM4 10.5h16M8 3.5v4M16 3.5v4",
  cart: `M3 4h2.5l2.5 11h10l2-8H6.5${ring(9, 19, 1.2)}${ring(17, 19, 1.2)}`,
  chart: "M4 4v16h16M8.5 16v-4M13 16V8M17.5 16v-6",
  check: "M4.5 12.5 10 18 20 7",
  chevron: "m6 9.5 6 6 6-6",
  clock: `${ring(12, 12, 8.5)}M12 7.5V12l3 2`,
  "credit-card": "M3 6h18v13H3zM3 10.5h18M6.5 15.5h4",
  database: "M5 6.5c0-3.3 14-3.3 14 0s-14 3.3-14 0v11c0 3.3 14 3.3 14 0v-11M5 12c0 3.3 14 3.3 14 0",
  download: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M4 20h16",
  edit: "M4 20l1-4.5L16.5 4 20 7.5 8.5 19zM14 6.5l3.5 3.5",
  eye: `M2.5 12c4-7.5 15-7.5 19 0-4 7.5-15 7.5-19 0z${ring(12, 12, 2.8)}`,
  "file-text": "M6 3h8l4.5 4.5V21H6zM14 3v4.5h4.5M9 12h6M9 16h6",
  flag: "M5 21V4M5 4.5h13l-2.5 4 2.5 4H5",
  folder: "M3 6h6l2.5 2.5H21V19H3z",
  globe: `${ring(12, 12, 8.5)}M3.5 12h17M12 3.5c-5 5-5 12 0 17c5-5 5-12 0-17`,
  heart: "M12 20C4 14.5 3 11.5 3 9a4.5 4.5 0 0 1 9-1 4.5 4.5 0 0 1 9 1c0 2.5-1 5.5-9 11z",
  home: "M3.5 11.5 12 4l8.5 7.5M6 9.8V20h12V9.8M10 20v-5.5h4V20",
  image: `M4 4h16v16H4zM4 17l5-5 4 4 3-3 4 4${ring(15.5, 8.5, 1.3)}`,
  inbox: "M3 13 6 5h12l3 8v6H3zM3 13h5.5l1.5 2.5h4l1.5-2.5H21",
  key: `${ring(8, 15.5, 4)}M11 12.5 20 3.5M16 7.5l3 3`,
  layers: "m12 3 9 4.5-9 4.5-9-4.5zM3 12l9 4.5 9-4.5M3 16.5 12 21l9-4.5",
  link: "M10 14a4 4 0 0 0 5.7.3l3-3a4 4 0 0 0-5.7-5.7l-1.2 1.2M14 10a4 4 0 0 0-5.7-.3l-3 3a4 4 0 0 0 5.7 5.7l1.2-1.2",
  list: "M8.5 6H20M8.5 12H20M8.5 18H20M4 6h.5M4 12h.5M4 18h.5",
  lock: "M5 11h14v10H5zM8 11V7.5a4 4 0 0 1 8 0V11",
  mail: "M3 5.5h18v13H3zM3.5 6.5 12 13l8.5-6.5",
  map: "M3 6l6-2 6 2 6-2v14l-6 2-6-2-6 2zM9 4v14M15 6v14",
  menu: "M4 6.5h16M4 12h16M4 17.5h16",
  message: "M4 5h16v11.5H11L6.5 20v-3.5H4z",
  monitor: "M3 5h18v11.5H3zM9 20.5h6M12 16.5v4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  package: "M12 3 4 7v10l8 4 8-4V7zM4 7l8 4 8-4M12 11v10M8 5l8 4",
  phone: "M5 3.5h4l1.5 5-2.5 2a12 12 0 0 0 5.5 5.5l2-2.5 5 1.5v4c-9 2-17.5-6.5-15.5-15.5z",
  plus: "M12 5v14M5 12h14",
  puzzle: "M4 8h4.5a2.3 2.3 0 1 1 4.5 0H17v4.2a2.3 2.3 0 1 1 0 4.5V21H4z",
  receipt: "M5.5 3v18l2.2-1.5L9.8 21l2.2-1.5 2.2 1.5 2.1-1.5 2.2 1.5V3zM9 8h6M9 12h6M9 15.5h3.5",
  refresh: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L20 9.5M20 4v5.5h-5.5",
  search: `${ring(10.5, 10.5, 6.5)}M15.5 15.5 21 21`,
  settings: `M4 7h7M17 7h3M4 17h3M13 17h7${ring(14, 7, 2.5)}${ring(10, 17, 2.5)}`,
  shield: "M12 3 4.5 6v6c0 4.5 3.5 7.5 7.5 9 4-1.5 7.5-4.5 7.5-9V6zM8.8 12l2.3 2.3 4.2-4.3",
  "sign-out": "M10 4H4.5v16H10M9.5 12H20.5M16.5 8l4 4-4 4",
  star: "m12 3.5 2.7 5.5 6 .9-4.4 4.2 1 6L12 17.2 6.7 20.1l1-6L3.3 9.9l6-.9z",
  sun: `${ring(12, 12, 4)}M12 2.5v2.5M12 19v2.5M2.5 12H5M19 12h2.5M5.3 5.3l1.8 1.8M16.9 16.9l1.8 1.8M5.3 18.7l1.8-1.8M16.9 7.1l1.8-1.8`,
  table: "M4 5h16v14H4zM4 10h16M4 14.5h16M10 10v9",
  tag: `M3.5 12.5V4h8.5l8.5 8.5-8.5 8.5z${ring(8, 8.5, 1.1)}`,
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13.5h10L18 7M10 11v5.5M14 11v5.5",
  truck: `M2.5 6h11v11H2.5zM13.5 10h4.5l3.5 3.5V17h-8${ring(7, 18, 2)}${ring(17, 18, 2)}`,
  upload: "M12 16V5M7.5 9 12 4.5 16.5 9M4 20h16",
  user: `${ring(12, 8, 4)}M4 20.5c1-5 4-6.5 8-6.5s7 1.5 8 6.5`,
  users: `${ring(9, 8, 3.7)}M2 20c.8-4.5 3.4-6 7-6s6.2 1.5 7 6M15.5 4.6a3.7 3.7 0 0 1 0 6.9M18 14.5c2 .6 3.4 2.3 4 5.5`,
  wrench: "M20 7.5 16.5 11 13 7.5 16.5 4a5.5 5.5 0 0 0-7 7L3.5 17l3.5 3.5 6-6a5.5 5.5 0 0 0 7-7z",
  x: "M6 6l12 12M18 6 6 18",
};
const DOT = ring(12, 12, 1.2);

/** An icon by name; one that is not known is a dot. It says nothing to a screen reader. @param {{ name?: string | null }} props */
export const Icon = ({ name }) =>
  html`<svg class="ph-icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d=${(name && Object.hasOwn(PATHS, name) && PATHS[name]) || DOT} />
  </svg>`;
