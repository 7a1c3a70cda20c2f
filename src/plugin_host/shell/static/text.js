// @ts-check
// The texts of the shell itself: English stands in the code, other languages in locales/<language>.json.
import { translate } from "./format.js";

/** English texts and what stands for them in the person's language. @type {Record<string, string>} */
let texts = {};

/** Say what the texts are in the language that was chosen. @param {Record<string, string>} known */
export const setTexts = (known) => {
  texts = known;
};

/**
 * A text of the shell with `{name}` filled in; in English where there is no translation.
 * @param {string} text @param {Record<string, unknown>} [args]
 */
export const t = (text, args) => translate(texts, text, args);
