#!/usr/bin/env bash
# Publishes to artifacts/published/TARGET, apart from the ordinary build and from other targets, which may be published at the same time:
#   publish.sh native                              the embedding sample as native code for this machine (needs clang or gcc)
#   publish.sh win-x64|osx-arm64|linux-arm64|...   chat for another system, with .NET beside it
#   publish.sh arm-tests                           the tests of the ops for linux-arm64, with .NET beside them
set -euo pipefail
cd "$(dirname "$0")/.."
target="${1:?usage: publish.sh native|arm-tests|RID}"
case "$target" in
    native) project=samples/Embedding options=(--use-current-runtime -p:PublishAot=true) ;;
    arm-tests) project=tests/Shaders.Tests options=(-r linux-arm64 --self-contained) ;;
    *) project=tools/chat options=(-r "$target" --self-contained) ;;
esac
# No build server stays behind: it would keep the output open that a test reads to its end.
exec dotnet publish "$project" -c Release "${options[@]}" -p:ArtifactsPath="$PWD/artifacts/published/build/$target" -o "artifacts/published/$target" \
    --disable-build-servers -v q --nologo
