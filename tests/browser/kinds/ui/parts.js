export function stage(element, host, { value }) {
  element.textContent = value.toUpperCase();
}
