// @ts-check
// A list as a file of comma-separated values, as far as this person may see it.
import { run } from "./calls.js";
import { plain } from "./cells.js";

/** @typedef {import("../plugin-host").Call} Call */
/** @typedef {import("../plugin-host").Field} Field */

const PAGE = 100;
export const MOST_ROWS = 20_000;

/** Spreadsheets run a cell that begins so; numbers keep their sign. @param {string} text */
const harmless = (text) => (/^[=+\-@\t\r]/.test(text) && !/^[+-]?\d[\d.,]*$/.test(text) ? `'${text}` : text);

/** @param {string} text */
const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** @param {readonly string[]} cells */
const line = (cells) => `${cells.map((cell) => quoted(harmless(cell))).join(",")}\r\n`;

/**
 * Load all pages and save them.
 * @param {Call} call
 * @param {{ query: Record<string, string>, ids: readonly string[], columns: readonly Field[], name: string, signal: AbortSignal, progress: (rows: number) => void }} what
 * @returns {Promise<{ rows: number, whole: boolean }>} how many rows there are in the file, and whether that is all
 */
export async function exportCsv(call, { query, ids, columns, name, signal, progress }) {
  // The mark at the front tells spreadsheets that this is UTF-8.
  const parts = ["\ufeff", line(columns.map(({ title }) => title))];
  let rows = 0;
  /** @type {string | null} */
  let cursor = null;
  do {
    const page = await run(call, { ids, query: { ...query, limit: PAGE, cursor }, signal });
    parts.push(...page.items.map((/** @type {any} */ item) => line(columns.map((field) => plain(field, item)))));
    rows += page.items.length;
    cursor = page.next;
    progress(rows);
  } while (cursor && rows < MOST_ROWS);
  save(new Blob(parts, { type: "text/csv" }), `${name}.csv`);
  return { rows, whole: cursor === null };
}

/** Hand a file to the person. @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
