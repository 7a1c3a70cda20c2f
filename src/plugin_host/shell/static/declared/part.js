// @ts-check
// A single part of a declared screen that a module of the plugin draws instead.
import { html, useEffect, useRef, useState } from "../vendor/view.js";
import { config } from "../config.js";
import { t } from "../text.js";

/** @typedef {import("../plugin-host").Host} Host */

/**
 * Show what the module draws. `address` is that of the module with `#` and the name of what it exports:
 * `(element, host, context) => unmount | { update(context), unmount() } | undefined`.
 * @param {{ address: string, host: Host, context: Record<string, any>, inline?: boolean }} props
 */
export function Part({ address, host, context, inline = false }) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const mounted = useRef(/** @type {any} */ (null));
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let alive = true;
    const [file, name] = address.split("#");
    import(config.base + file)
      .then((module) => {
        if (typeof module[name] !== "function") throw new Error(t("{file} does not export a function “{name}”.", { file, name }));
        return alive ? module[name](place.current, host, context) : null;
      })
      .then(
        (made) => {
          mounted.current = made;
          if (!alive) stop(made);
        },
        (error) => {
          console.error(`[plugin-host] ${host.plugin.id}: ${address}:`, error);
          if (alive) setProblem(error instanceof Error ? error.message : String(error));
        },
      );
    return () => {
      alive = false;
      stop(mounted.current);
      mounted.current = null;
    };
  }, [address, mounted.current?.update ? 0 : JSON.stringify(context.item ?? null)]);
  useEffect(() => {
    try {
      mounted.current?.update?.(context);
    } catch (error) {
      console.error(`[plugin-host] ${host.plugin.id}: ${address}:`, error);
    }
  });
  if (problem) return inline ? html`<span class="err" title=${problem}>!</span>` : html`<p class="alert" role="alert">${problem}</p>`;
  return inline ? html`<span ref=${place}></span>` : html`<div ref=${place}></div>`;
}

/** @param {any} made */
function stop(made) {
  try {
    if (typeof made === "function") made();
    else made?.unmount?.();
  } catch (error) {
    console.error("[plugin-host] at unmount:", error);
  }
}
