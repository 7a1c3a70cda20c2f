// What the page's policy must stop: the answers are shown.
const attempt = async (act) => {
  try {
    await act();
    return "allowed";
  } catch (error) {
    return "blocked";
  }
};

export async function mount(element) {
  const answers = {
    eval: await attempt(() => new Function("return 1")()),
    html: await attempt(() => (element.innerHTML = "<b>text</b>")),
    data: await attempt(() => import("data:text/javascript,export default 1")),
  };
  element.textContent = JSON.stringify(answers);
}
