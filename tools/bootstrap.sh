#!/usr/bin/env bash
# Installs what weir is built and tested with on Debian 12 or newer, or Ubuntu 22.04 or newer.
#
#   tools/bootstrap.sh             compilers and libraries
#   tools/bootstrap.sh --servers   also Java and Maven, for the Kafka broker of the tests
#   tools/bootstrap.sh --clang     also clang, clang-tidy, clang-format and lld, version 22 or the newest there is
#
# Needs root or sudo only when something is missing; returns at once when nothing is.
# Never installs libboost-dev: it replaces the newer libboost1.81-dev.
set -euo pipefail

packages=(
  build-essential ca-certificates cmake ninja-build ccache pkg-config git python3 lld openssl
  librdkafka-dev librocksdb-dev libssl-dev libsasl2-dev liblz4-dev libzstd-dev libsnappy-dev libxxhash-dev zlib1g-dev
  libyaml-cpp-dev nlohmann-json3-dev libfmt-dev libspdlog-dev libcli11-dev libjemalloc-dev
  libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev libprotobuf-dev protobuf-compiler
  zstd sqlite3
)

with_servers=0
with_clang=0
for word in "$@"; do
  case "$word" in
    --servers) with_servers=1 ;;
    --clang) with_clang=1 ;;
    *) echo "bootstrap: unknown option '$word' (known: --servers, --clang)" >&2; exit 2 ;;
  esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "bootstrap: not a Debian or Ubuntu system; install by hand what ${BASH_SOURCE[0]} lists" >&2
  exit 0
fi

if [ "$with_servers" = 1 ]; then
  # A machine may bring its own Java and Maven: those are as good.
  command -v java >/dev/null || packages+=(openjdk-17-jre-headless)
  command -v mvn >/dev/null || packages+=(maven)
fi

# Prints the words that are not installed packages.
missing_of() {
  local installed
  installed=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null |
              sed -n 's/^ii *//p' || true)
  comm -23 <(printf '%s\n' "$@" | sort -u) <(printf '%s\n' "$installed" | sort -u)
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "bootstrap: need root or sudo for: $*" >&2
    exit 1
  fi
}

updated=0
update_lists() {
  if [ "$updated" = 0 ]; then
    as_root apt-get update -q
    updated=1
  fi
}
apt_install() {
  update_lists
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

mapfile -t missing < <(missing_of "${packages[@]}")
if [ "${#missing[@]}" -gt 0 ]; then update_lists; fi
for i in "${!missing[@]}"; do
  # Newer releases carry a newer Java only.
  if [ "${missing[i]}" = openjdk-17-jre-headless ] && ! apt-cache show openjdk-17-jre-headless >/dev/null 2>&1; then
    missing[i]=default-jre-headless
  fi
done
if [ "${#missing[@]}" -gt 0 ]; then
  echo "bootstrap: installing ${missing[*]}"
  apt_install "${missing[@]}"
fi

if [ "$with_clang" = 1 ]; then
  clang_packages() { echo "clang-$1 clang-tidy-$1 clang-format-$1 lld-$1"; }
  # libclang-rt carries the sanitizers' run time; before clang 16 it was part of the compiler's packages.
  rt_package() { echo "libclang-rt-$1-dev"; }
  have=$({ compgen -c clang++- || true; } | sed -n 's/^clang++-\([0-9][0-9]*\)$/\1/p' | sort -nu | tail -n 1)
  if [ "${have:-0}" -lt 22 ]; then
    update_lists
    newest=$(apt-cache pkgnames clang- | sed -n 's/^clang-\([0-9][0-9]*\)$/\1/p' | sort -n | tail -n 1)
    wanted=22
    apt-cache show "clang-$wanted" >/dev/null 2>&1 || wanted=$newest
    if [ -n "$wanted" ] && [ "$wanted" -gt "${have:-0}" ]; then have=$wanted; fi
  fi
  if [ -z "${have:-}" ]; then
    echo "bootstrap: no clang to be found" >&2
    exit 1
  fi
  read -ra names <<<"$(clang_packages "$have")"
  if apt-cache show "$(rt_package "$have")" >/dev/null 2>&1; then names+=("$(rt_package "$have")"); fi
  mapfile -t missing < <(missing_of "${names[@]}")
  if [ "${#missing[@]}" -gt 0 ]; then
    echo "bootstrap: installing ${missing[*]}"
    apt_install "${missing[@]}"
  fi
fi
