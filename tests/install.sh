#!/usr/bin/env bash
# Installs what the tests need where it is missing, on Debian 12, as root:
#   install.sh vulkan   software Vulkan (Mesa 25 from backports), its loader and validation layers
#   install.sh native   what native code is linked with: gcc and the C library's headers
#   install.sh trixie   a Debian 13 root in a cache folder, for PoCL 6 (OpenCL) and glslc 2025 (SPIR-V), which Debian 12 lacks
#   install.sh ptxas    NVIDIA's assembler in the cache folder, out of Debian's non-free part: it assembles CUDA's kernels without a GPU
#   install.sh arm      qemu's user mode, and in a cache folder the libraries that .NET for Arm needs, of Debian 12
set -euo pipefail
cache="${XDG_CACHE_HOME:-$HOME/.cache}/tessera"
root="$cache/trixie"
arm="$cache/arm64"
log="$cache/install.log"
mkdir -p "$cache"

fail() { echo "install.sh: $*" >&2; exit 1; }
need_root() { [ "$(id -u)" = 0 ] || fail "needs root: run 'sudo $0 $1' once"; }
# The mirror that this machine already uses for Debian itself; apt tells it only once it has been updated.
mirror() {
    local uri
    uri=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' | awk '$2=="bookworm" && $3=="main" {print $1; exit}')
    [ -n "$uri" ] || fail "apt names no mirror for Debian 12; run 'apt-get update' and look at what it says"
    echo "$uri"
}
apt() { DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -yq "$@" >>"$log" 2>&1 || fail "apt-get $* failed; see $log"; }

vulkan() {
    dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2>/dev/null | grep -q '^2[5-9]' && [ -e /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json ] && return
    need_root vulkan
    . /etc/os-release
    if [ "${VERSION_CODENAME:-}" = bookworm ]; then
        apt update
        uri=$(mirror)
        echo "deb $uri bookworm-backports main" > /etc/apt/sources.list.d/tessera-backports.list
        apt update
        apt install --no-install-recommends -t bookworm-backports mesa-vulkan-drivers
    else
        apt update
        apt install --no-install-recommends mesa-vulkan-drivers
    fi
    apt install --no-install-recommends libvulkan1 vulkan-validationlayers
}

native() {
    { command -v clang || command -v gcc; } >/dev/null && [ -e /usr/include/stdlib.h ] && return
    need_root native
    apt update
    apt install --no-install-recommends gcc libc6-dev
}

trixie() {
    [ -e "$root/.complete" ] && return
    need_root trixie
    apt update
    command -v debootstrap >/dev/null || apt install --no-install-recommends debootstrap
    uri=$(mirror)
    rm -rf "$root"
    debootstrap --variant=minbase --include=glslc,pocl-opencl-icd,ocl-icd-libopencl1,libicu76,libssl3t64,libstdc++6,gcc,libc6-dev \
        trixie "$root" "$uri" >>"$log" 2>&1 || fail "debootstrap of Debian 13 failed; see $log"
    ln -sf libOpenCL.so.1 "$root/usr/lib/x86_64-linux-gnu/libOpenCL.so"
    rm -rf "$root"/var/cache/apt/archives/*.deb
    touch "$root/.complete"
}

arm() {
    command -v qemu-aarch64-static >/dev/null && [ -e "$arm/.complete" ] && return
    need_root arm
    apt update
    # Debian 12's own qemu 7.2 is passed over where backports have been named (by install.sh vulkan).
    if apt-get indextargets --format '$(RELEASE)' | grep -q '^bookworm-backports$'; then apt install --no-install-recommends -t bookworm-backports qemu-user-static
    else apt install --no-install-recommends qemu-user-static; fi
    # Lists of their own, so that the system goes on having one architecture.
    rm -rf "$arm"
    mkdir -p "$arm/lists/partial" "$arm/cache/archives/partial" "$arm/debs"
    local of_arm=(-o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State::Lists="$arm/lists" -o Dir::State::status=/dev/null
        -o Dir::Cache="$arm/cache")
    apt "${of_arm[@]}" update
    (cd "$arm/debs" && apt "${of_arm[@]}" download libc6 libgcc-s1 libstdc++6 libssl3 libicu72)
    for deb in "$arm"/debs/*.deb; do dpkg-deb -x "$deb" "$arm/root" || fail "$deb could not be unpacked"; done
    rm -rf "$arm/lists" "$arm/cache" "$arm/debs"
    touch "$arm/.complete"
}

ptxas() {
    [ -x "$cache/ptxas" ] && return
    need_root ptxas
    apt update
    uri=$(mirror)
    # Lists of its own, so that the system goes on without non-free.
    local own
    own=$(mktemp -d)
    mkdir -p "$own/lists/partial" "$own/cache/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri bookworm non-free" > "$own/sources.list"
    local of_own=(-o Dir::Etc::SourceList="$own/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$own/lists" -o Dir::Cache="$own/cache")
    apt "${of_own[@]}" update
    (cd "$own" && apt "${of_own[@]}" download nvidia-cuda-toolkit)
    dpkg-deb --fsys-tarfile "$own"/nvidia-cuda-toolkit_*.deb | tar -x -C "$own" ./usr/bin/ptxas || fail "nvidia-cuda-toolkit could not be unpacked"
    mv "$own/usr/bin/ptxas" "$cache/ptxas"
    rm -rf "$own"
}

case "${1:-}" in
    vulkan|native|trixie|ptxas|arm) "$1" ;;
    *) fail "usage: install.sh vulkan|native|trixie|ptxas|arm" ;;
esac
