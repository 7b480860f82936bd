#!/usr/bin/env bash
# Compiles every shader for AMD GPUs that are not there, with Mesa's driver: bench/paper.sh [FAMILY ...] writes results/paper/FAMILY.txt, or with --check FAMILY prints it.
set -euo pipefail
cd "$(dirname "$0")/.."
program=artifacts/bin/Bench/release/Tessera.Bench
[ -e $program ] || dotnet build bench -c Release -v q --nologo
compile() { env -u TESSERA_VALIDATION RADV_FORCE_FAMILY="$1" VK_ICD_FILENAMES=/usr/share/vulkan/icd.d/radeon_icd.json VK_DRIVER_FILES=/usr/share/vulkan/icd.d/radeon_icd.json $program paper; }
if [ "${1:-}" = --check ]; then compile "$2"; exit; fi
mkdir -p bench/results/paper
for family in ${@:-NAVI31 NAVI21 VEGA10}; do
    compile "$family" > "bench/results/paper/$family.txt"
    echo "$family: $(head -1 "bench/results/paper/$family.txt")"
done
