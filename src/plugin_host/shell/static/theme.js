// @ts-check
// Light, dark, or as the system says.
import { computed, effect, signal } from "./vendor/view.js";

const KEY = "plugin-host.theme";
const CHOICES = ["light", "dark", "system"];
const system = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(system.matches);

// Storage may be switched off, or full: then the choice lasts as long as the page.
const recall = () => {
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
};

/** @param {string} text */
const valid = (text) => /** @type {"light" | "dark" | "system"} */ (CHOICES.includes(text) ? text : "system");

/** What the person chose. */
export const choice = signal(valid(recall()));
/** What it comes to: "light" or "dark". @type {{ readonly value: "light" | "dark" }} */
export const scheme = computed(() => (choice.value === "system" ? (systemDark.value ? "dark" : "light") : choice.value));

/** @param {string} text */
export function choose(text) {
  choice.value = valid(text);
  try {
    localStorage.setItem(KEY, choice.value);
  } catch {
    // as above
  }
}

export function startTheme() {
  effect(() => {
    document.documentElement.dataset.theme = choice.value;
  });
  system.addEventListener("change", (event) => {
    systemDark.value = event.matches;
  });
  addEventListener("storage", (event) => {
    if (event.key === KEY) choice.value = valid(event.newValue ?? "");
  });
}
