// @ts-check
// The texts of the shell itself: English stands in the code, other languages in locales/<language>.json.
import { config } from "./config.js";

/** English texts and what stands for them in the person's language. @type {Record<string, string>} */
let texts = {};

/** Load the texts in the first language of the person that there is; English needs none. @returns {Promise<void>} */
export async function loadLanguage() {
  const there = new Set(["en", ...config.languages]);
  const wanted = navigator.languages.map((language) => language.split("-")[0]).find((language) => there.has(language)) ?? "en";
  document.documentElement.lang = wanted;
  if (wanted === "en") return;
  const answer = await fetch(new URL(`./locales/${wanted}.json`, import.meta.url));
  if (answer.ok) texts = await answer.json();
}

/** @param {Record<string, string>} texts @param {string} key @param {Record<string, unknown>} [args] */
export function translate(texts, key, args = {}) {
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in args ? String(args[name]) : whole));
}

/**
 * A text of the shell with `{name}` filled in; in English where there is no translation.
 * @param {string} text @param {Record<string, unknown>} [args]
 */
export const t = (text, args) => translate(texts, text, args);
