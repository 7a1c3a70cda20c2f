// Types for authors of plugin views. In a module:
//
//   /** @param {HTMLElement} element @param {import("./plugin-host").Host} host */
//   export async function mount(element, host) { … return () => { … }; }

/** What a module exports: draws into `element`, and returns what takes it down again. */
export type Mount = (element: HTMLElement, host: Host) => Promise<(() => void) | void> | (() => void) | void;

/** What the shell hands to a view: frozen, one for each mounted view. Everything it begins ends with the view. */
export interface Host {
  /** The version of this contract. */
  readonly contract: number;
  readonly plugin: { readonly id: string; readonly version: string };
  /** What the place says that a slot's part stands in: of a tab `{ id, object }`. */
  readonly context?: unknown;
  /** Who is signed in; null on a public screen that a stranger sees. */
  readonly user: User | null;
  /** Whether the person holds a permission, on some object at least. A hint: the server decides. */
  can(permission: string): boolean;
  /** Whether the person holds a permission on one object: asks the server. */
  can(permission: string, id: string): Promise<boolean>;
  /**
   * Call the plugin's own API: `path` is relative to `/api/<plugin id>/`. Gives the JSON of the answer (its text or
   * a Blob if it is something else, null if it is empty), or throws a `HostError`.
   */
  api(path: string, init?: ApiInit): Promise<any>;
  /** Where the view stands. Read it again after a change. */
  readonly route: Route;
  /** The address of one of the plugin's pages for a link: `path` is relative to `/<plugin id>`. */
  url(path?: string): string;
  /** Go to one of the plugin's pages, relative to `/<plugin id>`; false if the person chose to stay. */
  navigate(to: string, options?: { replace?: boolean }): Promise<boolean>;
  /** Be told of a new route of this screen. Without a listener the view is mounted anew. Returns what ends it. */
  onRoute(fn: (route: Route) => void): () => void;
  /** `fn` answers true, or a sentence to ask with, while leaving would lose something. Returns what ends it. */
  leaveGuard(fn: () => boolean | string | null | undefined): () => void;
  /** Show a short message. Errors stay until they are closed. */
  notify(text: string, options?: NoticeOptions): void;
  /** Ask a question that is answered by yes or no. */
  confirm(text: string, options?: { ok?: string; cancel?: string; danger?: boolean }): Promise<boolean>;
  /**
   * Open a dialog with the styles of the view. `mount` draws it and calls `close(value)`; the answer is that value,
   * or undefined if the person dismissed it.
   */
  dialog<T>(
    mount: (element: HTMLElement, close: (value?: T) => void) => Promise<(() => void) | void> | (() => void) | void,
    options?: { title?: string },
  ): Promise<T | undefined>;
  readonly theme: "light" | "dark";
  /** Be told when the theme changes. Returns what ends it. */
  onTheme(fn: (theme: "light" | "dark") => void): () => void;
  /** A text of the plugin's locales/<language>.json with `{name}` filled in; the key itself if there is none. */
  t(key: string, args?: Record<string, unknown>): string;
  readonly format: Format;
  /** Set the title of the page; the application's name is put behind it. */
  title(text: string): void;
  /** The nonce for `<style>` elements made by libraries. */
  readonly styleNonce: string;
  /** Aborts when the view is unmounted. */
  readonly signal: AbortSignal;
}

export interface User {
  readonly id: string;
  readonly username: string;
  readonly display: string;
}

export interface Route {
  /** The path below the screen's own path, as it is in the address: "" or "7/edit". */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
}

/** As for fetch, but `body` is a JSON value (a FormData or Blob is sent as it is). */
export interface ApiInit extends Omit<RequestInit, "body"> {
  body?: unknown;
}

/** What `host.api` throws. `status` is 0 if the server was not reached. */
export interface HostError extends Error {
  readonly status: number;
  /** The last part of the problem's type, as "not_found". */
  readonly code: string;
  readonly detail: string;
  readonly errors: { pointer: string; detail: string }[];
}

export interface NoticeOptions {
  kind?: "info" | "success" | "error";
  action?: { label: string; run: () => void };
}

/** In the person's language. What is missing or not understood becomes "". */
export interface Format {
  date(value: string | number | Date): string;
  dateTime(value: string | number | Date): string;
  number(value: number | string | bigint, options?: Intl.NumberFormatOptions): string;
  money(amount: number | string | bigint, currency: string): string;
}

/** A screen as the server names it. `path` begins with the plugin's id; `entry` and `styles` are addresses. */
export interface Screen {
  plugin: string;
  id: string;
  path: string;
  kind: string;
  title: string;
  entry: string;
  styles: string[];
  /** Of a federated remote. */
  name?: string;
  expose?: string;
  format?: "module" | "global";
  share?: string | null;
  /** Of a frame. */
  capabilities?: string[];
}

/** What a plugin puts into a place that is left open. */
export interface Slot {
  plugin: string;
  slot: string;
  kind: string;
  title: string;
  entry: string;
  styles: string[];
  capabilities?: string[];
}

/** An operation as the server describes it: `path` stands below `/api/<plugin>`. */
export interface Call {
  operation: string;
  title: string;
  plugin: string;
  method: string;
  path: string;
  permission: string;
  /** Whether the permission is asked of one object. */
  object: boolean;
  /** The JSON Schema of the body. */
  takes: any;
  /** Whether the body is sent as a form, with files. */
  form: boolean;
}

export interface Action extends Call {
  on: "row" | "bulk" | "page";
  confirm: string | null;
  danger: boolean;
}

/** A column, or a field of a form. */
export interface Field {
  name: string;
  title: string;
  /** Its JSON Schema. */
  schema: any;
  help?: string;
  widget?: string;
  group?: string;
  currency?: string;
  hidden?: boolean;
}

/** A field that holds the id of something else. */
export interface Ref {
  list: Call;
  read: Call | null;
  label: string;
  /** The field that is kept, as "id". */
  key: string;
  to: string | null;
}

export interface Operations {
  list?: Call;
  read?: Call;
  create?: Call;
  update?: Call;
  delete?: Call;
}

/** A screen that the shell draws: operations and schemas are there for what this person may do. */
export interface DeclaredScreen extends Screen {
  operations: Operations;
  schemas: { item?: any; read?: any; create?: any; update?: any };
  columns: Field[];
  form: Field[];
  search: boolean;
  sort: string[];
  filters: Field[];
  actions: Action[];
  refs: Record<string, Ref>;
  tabs: { id: string; title: string; operations: Operations; columns: Field[]; form: Field[]; sort: string[]; schemas: any }[];
  parts: Record<string, string>;
  empty: string | null;
  /** Why it cannot be drawn, if it cannot. */
  problem: string | null;
  /** The screen's own path below the plugin's pages. */
  here: string;
  /** Ids that stand in its operations' paths already. */
  ids: string[];
  /** Whether it stands within another one. */
  nested: boolean;
  slots: Slot[];
}

export interface MenuItem {
  id: string;
  title: string;
  icon?: string | null;
  to?: string | null;
  group?: string | null;
  children?: MenuItem[];
}

/** The answer of `GET /api/core/shell`. */
export interface ShellAnswer {
  user: User | null;
  permissions: string[];
  menu: { items: MenuItem[] } | MenuItem[];
  screens: Screen[];
  slots: Slot[];
  theme: { name?: string; logo?: string | null; accent?: string | null };
  contract: number;
  plugins: Record<string, { name: string; version: string; locales?: Record<string, string> }>;
  setup_required: boolean;
  /** Other ways to sign in, told to those who are not. */
  providers?: { name: string; title: string }[];
  /** Where people sign in and out, if an embedding application does that. */
  sign_in_url?: string | null;
  sign_out_url?: string | null;
}
