// The certified provider `oidc-provider` on loopback, for tests: node provider.mjs FOLDER
// FOLDER has node_modules. Prints "listening <issuer>". POST /test/rotate gives new keys in front of the old ones,
// POST /test/rotate?drop new keys only. One client for each algorithm; anybody may sign in under any name.
import http from "node:http";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(join(process.argv[2], "package.json")));
const { Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const ALGORITHMS = {
  RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: () => generateKeyPairSync("ed25519"),
};
const BACK = "http://127.0.0.1:8000/api/core/auth/oidc";
let number = 0;

function makeKeys() {
  number += 1;
  return Object.entries(ALGORITHMS).map(([alg, make]) => {
    const jwk = make().privateKey.export({ format: "jwk" });
    return { ...jwk, alg, use: "sig", kid: `${alg}-${number}` };
  });
}

function makeProvider(issuer, keys) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: [cookieKey] },
    clients: Object.keys(ALGORITHMS).map((alg) => ({
      client_id: `host-${alg}`,
      client_secret: "a secret of tests",
      redirect_uris: [`${BACK}/${alg.toLowerCase()}/callback`],
      id_token_signed_response_alg: alg,
    })),
    enabledJWA: { idTokenSigningAlgValues: Object.keys(ALGORITHMS) },
    pkce: { required: () => true },
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "preferred_username", "groups"] },
    features: { devInteractions: { enabled: true } },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, name: id, email: `${id}@example.test`, groups: ["staff"] }),
    }),
  });
  return provider.callback();
}

const cookieKey = randomBytes(16).toString("hex");
let keys = makeKeys();
let answer;
const server = http.createServer((request, response) => {
  if (request.method === "POST" && request.url.startsWith("/test/rotate")) {
    keys = request.url.endsWith("?drop") ? makeKeys() : [...makeKeys(), ...keys];
    answer = makeProvider(issuer, keys);
    response.end();
    return;
  }
  answer(request, response);
});
let issuer;
server.listen(0, "127.0.0.1", () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  answer = makeProvider(issuer, keys);
  console.log(`listening ${issuer}`);
});
