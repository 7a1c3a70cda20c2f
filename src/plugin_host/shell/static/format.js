// @ts-check
// Dates, numbers and amounts as people write them where they are, and texts of a plugin in their language.
import { config } from "./config.js";

const languages = navigator.languages.length ? [...navigator.languages] : ["en"];
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** @param {string | number | Date} value @param {Intl.DateTimeFormatOptions} options */
function moment(value, options) {
  const date = new Date(value);
  if (value === null || value === undefined || Number.isNaN(date.getTime())) return "";
  // A day without a time is that day everywhere: it must not move with the time zone.
  const zone = typeof value === "string" && DAY.test(value) ? { timeZone: "UTC" } : {};
  return new Intl.DateTimeFormat(languages, { ...options, ...zone }).format(date);
}

/** @param {number | string | bigint} value @param {Intl.NumberFormatOptions} [options] */
function number(value, options) {
  if (value === null || value === undefined || value === "") return "";
  // A decimal text is formatted as it is: it never becomes a floating-point number.
  return new Intl.NumberFormat(languages, options).format(/** @type {any} */ (value));
}

/** @type {import("./plugin-host").Format} */
export const format = {
  date: (value) => moment(value, { dateStyle: "medium" }),
  dateTime: (value) => moment(value, { dateStyle: "medium", timeStyle: "short" }),
  number,
  money: (amount, currency) => number(amount, { style: "currency", currency }),
};
Object.freeze(format);

/**
 * Load the texts of a plugin in the first language of the person that it has, else in English.
 * @param {Record<string, string> | undefined} locales address of the texts by language
 * @param {AbortSignal} signal
 * @returns {Promise<Record<string, string>>}
 */
export async function loadTexts(locales, signal) {
  const wanted = languages.flatMap((language) => [language, language.split("-")[0]]);
  const found = [...wanted, "en"].find((language) => locales?.[language]);
  if (!locales || !found) return {};
  const answer = await fetch(config.base + locales[found], { signal });
  return answer.ok ? answer.json() : {};
}
