export function mount(element) {
  element.append("Hello, whoever you are.");
}
