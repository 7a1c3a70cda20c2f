export async function mount(element, host) {
  element.textContent = `About ${host.context.object.title}`;
}
