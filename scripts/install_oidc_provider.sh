#!/usr/bin/env bash
# Install the OpenID Connect provider that tests/integration/test_real_provider.py runs against: npm's `oidc-provider`,
# in the versions of its lock file, into a cache folder. Nothing is done where they are there already.
set -euo pipefail
lock="$(cd "$(dirname "$0")/.." && pwd)/tests/integration/oidc_provider"
folder="${XDG_CACHE_HOME:-$HOME/.cache}/plugin-host/oidc-provider"
mkdir -p "$folder"
if [ -d "$folder/node_modules/oidc-provider" ] && cmp -s "$lock/package-lock.json" "$folder/package-lock.json"; then
  exit 0
fi
cp "$lock/package.json" "$lock/package-lock.json" "$folder/"
(cd "$folder" && npm ci --no-audit --no-fund)
