#!/usr/bin/env bash
# Compiles every .comp to spv/ with the pinned glslc (Debian 13's, see tests/install.sh), and writes the manifest of sources.
# A line "// variant: NAME -DX ..." in a shader makes spv/<shader>.NAME.spv with these defines.
#   build-spv.sh          rebuilds what is committed
#   build-spv.sh --check  compares with what is committed, byte for byte
set -euo pipefail
cd "$(dirname "$0")"
root="${XDG_CACHE_HOME:-$HOME/.cache}/tessera/trixie"
[ -e "$root/.complete" ] || ../../tests/install.sh trixie
glslc() { "$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/glslc" "$@"; }
out=spv
[ "${1:-}" = --check ] && out=$(mktemp -d)
mkdir -p "$out"
rm -f "$out"/*.spv
export LC_ALL=C
for source in */*.comp; do
    name=$(basename "$source" .comp)
    grep -oP '^// variant: \K.*' "$source" | while read -r variant defines; do
        glslc -O --target-env=vulkan1.2 -I Layout -I Panel -I GateUp -I Attention -I Candidates $defines -o "$out/$name.$variant.spv" "$source"
    done
done
# The quick tests compare these hashes, so that a stale module is noticed without glslc.
{ for f in */*.comp */*.glsl; do sha256sum "$f"; done; (cd "$out" && sha256sum *.spv); } > "$out/manifest.txt"
if [ "$out" != spv ]; then
    diff -r spv "$out" || { echo "spv/ is stale: run src/Shaders/build-spv.sh" >&2; exit 1; }
    echo "spv/ equals what glslc makes"
fi
