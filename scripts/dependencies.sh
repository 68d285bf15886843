#!/bin/sh
# Installs the pinned development packages (Bun among them) where they are missing or another lockfile's.
# A copy of the lockfile is kept beside them, so that nothing is done when nothing changed.
set -eu
cd "$(dirname "$0")/.."
stamp=node_modules/.installed-lockfile
if cmp -s package-lock.json "$stamp" && [ -x node_modules/.bin/bun ]; then
  exit 0
fi
command -v npm >/dev/null 2>&1 || {
  echo "scripts/dependencies.sh: npm is missing; it fetches Bun and the packages (install Node.js 20 or later)" >&2
  exit 1
}
npm ci --no-audit --no-fund --loglevel=error >&2
cp package-lock.json "$stamp"
