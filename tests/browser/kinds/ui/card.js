export async function mount(element, host) {
  const { items } = await host.api("/tasks");
  element.textContent = `${items.length} tasks`;
}
