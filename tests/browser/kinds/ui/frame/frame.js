import { connect } from "../../../core/frame.js";

const host = await connect();
const found = document.getElementById("found");
const say = (text) => {
  const item = found.appendChild(document.createElement("li"));
  item.textContent = text;
};
const attempt = async (name, work) => {
  try {
    say(`${name}: ${JSON.stringify(await work())}`);
  } catch (error) {
    say(`${name}: refused`);
  }
};
say(`user: ${host.user.username}`);
say(`can: ${host.can("kinds.view")} ${host.can("core.admin")}`);
say(`path: ${host.route.path}`);
say(`styled: ${getComputedStyle(document.body).fontFamily !== ""}`);
await attempt("own", async () => (await host.api("/tasks")).items.length > 0);
for (const path of ["/../core/auth/me", "/%2e%2e/core/auth/me", "//core/auth/me", "/..\\core/auth/me", `${location.origin}/api/core/auth/me`, "/tasks/../../core/auth/me"]) {
  await attempt(`path ${path}`, () => host.api(path));
}
await attempt("confirm", () => host.confirm("Without the capability?"));
await attempt("fetch", async () => (await fetch("/api/core/auth/me", { credentials: "include" })).status);
await attempt("cookie", () => (document.cookie === "" ? Promise.reject(new Error()) : document.cookie));
await attempt("storage", () => localStorage.length);
await attempt("parent", () => parent.document.title);
await attempt("top", () => {
  top.location = "about:blank";
  return "moved";
});
await attempt("eval", () => new Function("return 1")());
document.getElementById("go").onclick = () => host.navigate("/tasks");
say("end");
