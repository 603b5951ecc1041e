#!/bin/sh
# Makes d3.min.js and D3_LICENSE again from the versions named in package.json. Needs Node 18 or later and npm.
# Nothing else of npm is used: neither the app nor its tests run this.
set -eu
cd "$(dirname "$0")"
npm install --no-save --no-package-lock --no-audit --no-fund --silent
node_modules/.bin/esbuild d3.entry.js --bundle --minify --format=iife --global-name=attributionD3 --target=es2020 \
  --legal-comments=none --outfile=d3.min.js \
  --banner:js="/* d3-color 3.1.0, d3-interpolate 3.0.1, d3-selection 3.0.0. Copyright 2010-2022 Mike Bostock. Licence: see D3_LICENSE. */"
for module in d3-color d3-interpolate d3-selection; do
  printf '%s\n\n' "$module"
  cat "node_modules/$module/LICENSE"
  printf '\n'
done > D3_LICENSE
rm -rf node_modules
