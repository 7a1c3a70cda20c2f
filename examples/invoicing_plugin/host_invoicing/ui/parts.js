// Small parts of the screen. Nothing here knows of invoices.
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
export function SortHeader({ field, sort, onSort, children, ...rest }) {
  const down = sort === `-${field}`;
  const order = sort === field ? "ascending" : down ? "descending" : "none";
  const mark = { ascending: " ↑", descending: " ↓", none: "" }[order];
  return html`<th scope="col" aria-sort=${order} ...${rest}>
    <button type="button" class="quiet" onClick=${() => onSort(order === "ascending" ? `-${field}` : field)}>
      ${children}<span aria-hidden="true">${mark}</span>
    </button>
  </th>`;
}
