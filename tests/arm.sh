#!/usr/bin/env bash
# Runs a program of linux-arm64 under qemu's user mode, on a processor that has all that Arm has (dot products too), with the libraries of install.sh arm.
set -euo pipefail
arm="${XDG_CACHE_HOME:-$HOME/.cache}/tessera/arm64"
[ -e "$arm/.complete" ] || { echo "arm.sh: run tests/install.sh arm first" >&2; exit 1; }
exec qemu-aarch64-static -L "$arm/root" -cpu max "$@"
