// Small parts that both screens use. Nothing here knows of people or companies.
import { html, useEffect, useRef, useState } from "plugin-host/view";

const SEARCH_DELAY = 250; // milliseconds without a key before a search is sent

/** Follow the address: the parts of the path below the screen's own, such as ["7", "edit"], and the query. */
export function useRoute(host) {
  const [route, setRoute] = useState(host.route);
  useEffect(() => host.onRoute(setRoute), []);
  return { parts: route.path.split("/").filter(Boolean), query: route.query };
}

/** Load one thing, and again whenever `path` changes; an answer that comes too late is dropped. */
export function useOne(host, path) {
  const [state, setState] = useState({ data: null, error: null });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let wanted = true;
    host.api(path).then(
      (data) => wanted && setState({ data, error: null }),
      (error) => wanted && setState({ data: null, error }),
    );
    return () => {
      wanted = false;
    };
  }, [path, turn]);
  return { ...state, reload: () => setTurn(turn + 1), set: (data) => setState({ data, error: null }) };
}

/** Load a list page by page: `more` gets the page after those that are there. */
export function usePages(host, path) {
  const [state, setState] = useState({ items: null, next: null, error: null, busy: true });
  const latest = useRef(0);
  const load = async (cursor) => {
    const turn = (latest.current += 1);
    const wanted = (change) => turn === latest.current && setState(change);
    wanted((old) => ({ ...old, error: null, busy: true }));
    try {
      const page = await host.api(cursor ? withQuery(path, { cursor }) : path);
      wanted((old) => ({
        items: cursor ? [...old.items, ...page.items] : page.items,
        next: page.next,
        error: null,
        busy: false,
      }));
    } catch (error) {
      wanted((old) => ({ ...old, error, busy: false }));
    }
  };
  useEffect(() => {
    load(null);
    return () => {
      latest.current += 1;
    };
  }, [path]);
  return { ...state, more: () => load(state.next), reload: () => load(null) };
}

/** Give a text back once nobody has typed for a moment. */
export function useSettled(text) {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), SEARCH_DELAY);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}

/** Put query parameters behind a path; empty ones are left out. */
export function withQuery(path, params) {
  const text = new URLSearchParams(Object.entries(params).filter(([, value]) => value)).toString();
  return text ? `${path}${path.includes("?") ? "&" : "?"}${text}` : path;
}

/** The heading of a view, with its buttons; it is the title of the page as well. */
export function Heading({ host, title, children }) {
  useEffect(() => host.title(title), [title]);
  return html`<div class="row">
    <h1>${title}</h1>
    <span class="spacer"></span>
    ${children}
  </div>`;
}

export const Loading = () => html`<p class="muted" role="status">Loading…</p>`;

export function Failure({ error, retry }) {
  const text = error.status === 404 ? "This is not there (any more), or you may not see it." : error.detail || error.message;
  return html`<div class="alert" role="alert">
    <p>${text}</p>
    ${retry && html`<button type="button" onClick=${retry}>Try again</button>`}
  </div>`;
}

export const Empty = ({ title, children }) => html`<div class="card empty"><h2>${title}</h2>${children}</div>`;

/** A heading of a column that sorts by it: ascending, then descending. */
export function SortHeader({ field, sort, onSort, children }) {
  const down = sort === `-${field}`;
  const order = sort === field ? "ascending" : down ? "descending" : "none";
  const mark = { ascending: " ↑", descending: " ↓", none: "" }[order];
  return html`<th scope="col" aria-sort=${order}>
    <button type="button" class="quiet" onClick=${() => onSort(order === "ascending" ? `-${field}` : field)}>
      ${children}<span aria-hidden="true">${mark}</span>
    </button>
  </th>`;
}

/** A field with its label and, below it, what is wrong with it. `as` is input, textarea or select. */
export function Field({ as = "input", name, label, error, children, ...rest }) {
  const described = error ? { "aria-invalid": "true", "aria-describedby": `${name}-error` } : {};
  return html`<div class="field">
    <label for=${name}>${label}</label>
    <${as} id=${name} name=${name} ...${described} ...${rest}>${children}<//>
    ${error && html`<small class="err" id="${name}-error">${error}</small>`}
  </div>`;
}

/**
 * The state of a form: its values, what is wrong with them, and `send`, which calls the API and, if the answer
 * names fields, shows each error at its field and puts the focus on the first.
 */
export function useForm(host, initial) {
  const [values, setValues] = useState(initial);
  const [errors, setErrors] = useState({});
  const [failure, setFailure] = useState(null);
  const [busy, setBusy] = useState(false);
  const form = useRef(null);
  const dirty = useRef(false);
  useEffect(() => host.leaveGuard(() => dirty.current), []);
  useEffect(() => form.current?.querySelector("[aria-invalid]")?.focus(), [errors]);
  const set = (name, value) => {
    dirty.current = true;
    setValues((old) => ({ ...old, [name]: value }));
  };
  const bind = (name) => ({
    name,
    value: values[name],
    error: errors[name],
    onInput: (event) => set(name, event.currentTarget.value),
  });
  const send = async (call) => {
    setBusy(true);
    setFailure(null);
    try {
      const answer = await call(values);
      dirty.current = false;
      setErrors({});
      return answer;
    } catch (error) {
      const fields = Object.fromEntries((error.errors ?? []).map((each) => [each.pointer.slice(1), each.detail]));
      setErrors(fields);
      setFailure(Object.keys(fields).some((field) => field in values) ? null : error);
      return null;
    } finally {
      setBusy(false);
    }
  };
  const reset = () => {
    dirty.current = false;
    setValues(initial);
  };
  return { form, values, bind, send, reset, busy, failure };
}
