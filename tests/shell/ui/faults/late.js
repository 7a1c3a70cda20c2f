export function mount() {
  setTimeout(() => {
    throw new Error("boom a little later");
  }, 50);
}
