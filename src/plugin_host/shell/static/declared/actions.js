// @ts-check
// What can be done with one object, with several, or with the page: asked first, done, told.
import { html, render } from "../vendor/view.js";
import { t } from "../text.js";
import { places, run } from "./calls.js";
import { save } from "./csv.js";
import { fieldsOf, Form } from "./form.js";

/** @typedef {import("../plugin-host").Action} Action */
/** @typedef {import("../plugin-host").DeclaredScreen} DeclaredScreen */
/** @typedef {import("../plugin-host").Host} Host */

/** How many calls of one bulk action are under way at once. */
const AT_ONCE = 4;

/**
 * Do what a button says, with these objects.
 * @param {Action} action @param {readonly string[]} ids @param {{ host: Host, screen: DeclaredScreen }} where
 * @returns {Promise<boolean>} whether something was done
 */
export async function perform(action, ids, { host, screen }) {
  if (action.confirm && !(await host.confirm(action.confirm, { ok: action.title, danger: action.danger }))) return false;
  const once = places(action) === 0;
  let body = once && action.on === "bulk" ? { ids } : undefined;
  const fields = fieldsOf([], action.takes).filter(({ name }) => !(once && action.on === "bulk" && name === "ids"));
  if (fields.length > 0) {
    const asked = await host.dialog(
      (element, close) => {
        const send = async (/** @type {any} */ values) => close(values);
        const form = html`<${Form} title=${action.title} level="h2" fields=${fields} schema=${action.takes} refs=${screen.refs} host=${host}
          submit=${action.title} send=${send} cancel=${() => close()} />`;
        render(form, element);
        return () => render(null, element);
      },
      { title: action.title },
    );
    if (asked === undefined) return false;
    body = { ...body, .../** @type {any} */ (asked) };
  }
  const failures = [];
  const targets = once ? [[]] : ids.map((id) => [id]);
  for (let from = 0; from < targets.length; from += AT_ONCE) {
    const some = targets.slice(from, from + AT_ONCE);
    const answers = await Promise.allSettled(some.map((each) => run(action, { ids: each, body, signal: host.signal })));
    for (const answer of answers) {
      if (answer.status === "rejected") failures.push(answer.reason);
      else if (answer.value instanceof Blob) save(answer.value, action.operation);
    }
  }
  const done = targets.length - failures.length;
  if (failures.length) {
    const text = failures[0]?.message ?? String(failures[0]);
    host.notify(targets.length > 1 ? t("{failed} of {all} could not be done: {text}", { failed: failures.length, all: targets.length, text }) : text, { kind: "error" });
  }
  if (done > 0) host.notify(targets.length > 1 ? t("{title}: {done} done", { title: action.title, done }) : t("{title}: done", { title: action.title }), { kind: "success" });
  return done > 0;
}
