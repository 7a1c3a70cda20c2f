export async function mount() {
  throw new Error("no such card");
}
