// The types of "plugin-host/view", as far as views need them: Preact, htm and Preact Signals.

export interface VNode<P = any> {
  type: string | ComponentType<P>;
  props: P;
  key: unknown;
}
export type ComponentChild = VNode | string | number | bigint | boolean | null | undefined;
export type ComponentType<P = any> = (props: P) => ComponentChild | ComponentChild[];

export function h(type: string | ComponentType, props?: object | null, ...children: unknown[]): VNode;
/** JSX as a template: html`<p class=${name}>${text}</p>`. */
export function html(strings: TemplateStringsArray, ...values: unknown[]): any;
export function render(node: unknown, parent: Element | ShadowRoot | DocumentFragment): void;
export function cloneElement(node: VNode, props?: object, ...children: unknown[]): VNode;
export function createContext<T>(initial: T): { Provider: ComponentType; Consumer: ComponentType };
export function createRef<T>(): { current: T | null };
export function isValidElement(value: unknown): value is VNode;
export function toChildArray(children: unknown): VNode[];
export const Fragment: ComponentType;
export class Component<P = any, S = any> {
  constructor(props?: P);
  props: P;
  state: S;
  setState(change: Partial<S> | ((state: S, props: P) => Partial<S> | null), done?: () => void): void;
  forceUpdate(done?: () => void): void;
  render(props: P, state: S): unknown;
}

type Inputs = readonly unknown[];
type Effect = () => void | (() => void);
type Change<T> = T | ((old: T) => T);
export function useState<T>(initial: T | (() => T)): [T, (change: Change<T>) => void];
export function useReducer<S, A>(reduce: (state: S, action: A) => S, initial: S): [S, (action: A) => void];
export function useRef<T>(initial: T): { current: T };
export function useEffect(effect: Effect, inputs?: Inputs): void;
export function useLayoutEffect(effect: Effect, inputs?: Inputs): void;
export function useImperativeHandle<T>(ref: { current: T | null }, make: () => T, inputs?: Inputs): void;
export function useMemo<T>(make: () => T, inputs?: Inputs): T;
export function useCallback<F extends (...args: any[]) => unknown>(fn: F, inputs?: Inputs): F;
export function useContext<T>(context: { Provider: ComponentType }): T;
export function useErrorBoundary(told?: (error: unknown) => void): [unknown, () => void];
export function useId(): string;

export interface ReadonlySignal<T> {
  readonly value: T;
  peek(): T;
  subscribe(fn: (value: T) => void): () => void;
}
export class Signal<T> implements ReadonlySignal<T> {
  constructor(value: T);
  value: T;
  peek(): T;
  subscribe(fn: (value: T) => void): () => void;
}
export function signal<T>(value: T): Signal<T>;
export function computed<T>(compute: () => T): ReadonlySignal<T>;
export function effect(fn: Effect): () => void;
export function batch<T>(fn: () => T): T;
export function untracked<T>(fn: () => T): T;
export function useSignal<T>(value: T): Signal<T>;
export function useComputed<T>(compute: () => T): ReadonlySignal<T>;
export function useSignalEffect(fn: Effect): void;
