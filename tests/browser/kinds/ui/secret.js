export async function mount(element) {
  element.textContent = "only for those who may";
}
