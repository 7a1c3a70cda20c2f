export function mount() {
  throw new Error("boom at mount");
}
