#!/usr/bin/env bash
# Runs a .NET program where PoCL 6 is: in the Debian 13 root that install.sh makes, with the repository and .NET seen at their own places.
set -euo pipefail
root="${XDG_CACHE_HOME:-$HOME/.cache}/tessera/trixie"
repository="$(cd "$(dirname "$0")/.." && pwd)"
dotnet="$(dirname "$(readlink -f "$(command -v dotnet)")")"
[ -e "$root/.complete" ] || { echo "opencl.sh: run tests/install.sh trixie first" >&2; exit 1; }
export root repository dotnet
# A mount namespace of its own: the binds are gone with the program.
exec unshare --mount --propagation private bash -c '
    set -e
    for folder in "$repository" "$dotnet" /proc /sys /dev; do
        mkdir -p "$root$folder"
        mount --rbind "$folder" "$root$folder"
    done
    mkdir -p "$root/tmp"
    exec chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/bin:/bin DOTNET_ROOT="$dotnet" NO_COLOR=1 LANG=C.UTF-8 \
        TESSERA_ALL="${TESSERA_ALL:-}" TESSERA_DEVICES=opencl:0 POCL_CACHE_DIR=/tmp/pocl sh -c "cd \"\$0\" && exec \"\$@\"" "$repository" "$@"
' bash "$@"
