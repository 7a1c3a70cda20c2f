// A container of a federated module, as bundlers write them: `init` with a share scope, `get` gives a factory.
let scope = null;
export const init = (given) => {
  if (scope !== null) throw new Error("initialised twice");
  scope = given;
};
export const get = async (name) => {
  if (name !== "./Screen") throw new Error(`no ${name}`);
  return () => ({
    mount(element, host) {
      element.innerHTML === "" && element.append(Object.assign(document.createElement("h1"), { textContent: `Remote of ${host.plugin.id}` }));
      const line = element.appendChild(document.createElement("p"));
      line.className = "coloured";
      line.textContent = `shared: ${Object.keys(scope).length}`;
      return () => line.remove();
    },
  });
};
