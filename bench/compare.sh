#!/usr/bin/env bash
# A model of random weights, ours and llama.cpp's in turn, on an idle machine: writes results/<host or lavapipe>/SHAPE.jsonl, out of which README's table is taken.
#   bench/compare.sh PEERS GGUF SHAPE DEVICE PP TG LABEL [ROUNDS]
# PEERS: a folder with llama.py, which times llama.cpp through its C API. GGUF: the same shape in Q8_0. DEVICE: host or vulkan:N. LABEL: what README's rows begin with.
#   bench/compare.sh --all PEERS GGUFS [ROUNDS]
# The three that README shows; GGUFS: a folder with 06b-q8.gguf and moe-mini-q8.gguf.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --all ]; then
    bench/compare.sh "$2" "$3/06b-q8.gguf" qwen3-0.6b host 256 64 "Qwen3-0.6B shape, Q8" "${4:-3}"
    bench/compare.sh "$2" "$3/moe-mini-q8.gguf" moe-mini host 256 64 "six layers of Qwen3-30B-A3B (\`moe-mini\`), Q8" "${4:-3}"
    bench/compare.sh "$2" "$3/06b-q8.gguf" qwen3-0.6b vulkan:0 64 8 "Qwen3-0.6B shape, Q8, software Vulkan (lavapipe)" "${4:-3}"
    exit
fi
peers=$1 gguf=$2 shape=$3 device=$4 pp=$5 tg=$6 label=$7 rounds=${8:-3}
program=artifacts/bin/Bench/release/Tessera.Bench
[ -e $program ] || dotnet build bench -c Release -v q --nologo
case $device in host) folder=host kind=cpu ;; *) folder=lavapipe kind=vulkan ;; esac
out=bench/results/$folder/$shape.jsonl
{
    printf '{"date": "%s", "command": "bench/compare.sh PEERS %s %s %s %s %s", "rows": {"prefill_tps": "%s, prefill of %s, tok/s", "decode_tps": "%s, decode of %s, tok/s"}}\n' \
        "$(date +%F)" "$(basename "$gguf")" "$shape" "$device" "$pp" "$tg" "$label" "$pp" "$label" "$tg"
    for _ in $(seq "$rounds"); do
        GGML_VK_VISIBLE_DEVICES=0 python3 "$peers/llama.py" "$gguf" $kind --pp "$pp" --tg "$tg" --runs 3
        $program model --synthetic "$shape" --device "$device" --pp "$pp" --tg "$tg" --runs 3 --json
    done
} > "$out.new"
mv "$out.new" "$out"
echo "$out"
