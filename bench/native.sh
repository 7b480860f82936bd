#!/usr/bin/env bash
# The embedding sample as native code beside the ordinary build: bench/native.sh [MODEL [QUESTION]] > bench/results/host/native.txt
# Size, whole process and tok/s on the host, medians of nine runs in turn; then the text of both on the host and on software Vulkan. Not on a busy machine.
set -euo pipefail
cd "$(dirname "$0")/.."
model="${1:-models/numbers-dense.tessera}" question="${2:-Write 4217 in French.}"
tests/publish.sh native >&2
dotnet build samples/Embedding -c Release -v q --nologo >&2
native=artifacts/published/native/Tessera.Embedding ordinary=artifacts/bin/Embedding/release/Tessera.Embedding
run() { "$1" "$model" "$question" "$2"; }
now() { date +%s%N; }
median() { sort -g | sed -n 5p; }
declare -A ms rate
for build in $ordinary $native; do run $build host >/dev/null; done
for _ in 1 2 3 4 5 6 7 8 9; do
    for build in $ordinary $native; do
        begin=$(now) line=$(run $build host | tail -1) end=$(now)
        ms[$build]+="$(((end - begin) / 1000000)) "
        rate[$build]+="$(echo "$line" | sed -E 's/.*, ([0-9]+) tok.*/\1/') "
    done
done
echo "# bench/native.sh: $(basename "$model"), \"$question\", host, medians of nine runs in turn; $(date +%F)"
for build in $ordinary $native; do
    case $build in
        $native) name=native files=$native ;;
        *) name=ordinary files="$(dirname $ordinary)/*.dll" ;; # and .NET, about 75 MB
    esac
    printf '%-9s %5.1f MB, %4d ms from start to end, %4d tok/s\n' $name "$(cat $files | wc -c | awk '{ print $1 / 1e6 }')" \
        "$(tr ' ' '\n' <<<"${ms[$build]}" | grep . | median)" "$(tr ' ' '\n' <<<"${rate[$build]}" | grep . | median)"
done
lavapipe=$(dotnet run -c Release --project bench -- devices 2>/dev/null | sed -nE 's/^(vulkan:[0-9]+) .*llvmpipe.*/\1/p' | head -1)
for device in host $lavapipe; do
    same=$([ "$(run $ordinary $device | head -n -1)" = "$(run $native $device | head -n -1)" ] && echo "the same text" || echo "OTHER TEXT")
    echo "$device: $same"
done
