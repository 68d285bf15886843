#!/bin/sh
# Installs cfn: one executable, nothing else on the host. No file but that one is changed.
#
#   install.sh                 fetch the archive for this machine from $CFN_INSTALL_URL, check its SHA-256, install it
#   install.sh --from-source   build the checkout that this script stands in (needs npm; Bun comes through it)
#   install.sh --uninstall     remove the executable
#
#   CFN_INSTALL_URL      folder that holds cfn-<os>-<arch>[-baseline][-musl].tar.gz and <archive>.sha256
#   CFN_INSTALL_DIR      where the executable goes; default ~/.local/bin
#   CFN_INSTALL_CPUINFO  read instead of /proc/cpuinfo to see whether the CPU has AVX2
#
# Exit status: 0 done, 1 anything else. After a failure the executable that was there before is untouched.
set -eu

say() { printf '%s\n' "$*" >&2; }
fail() { say "install.sh: $*"; exit 1; }

fetch() { # URL FILE
  if command -v curl >/dev/null 2>&1; then
    curl -fsSL --connect-timeout 20 --speed-limit 1 --speed-time 60 -o "$2" "$1"
  elif command -v wget >/dev/null 2>&1; then
    wget -q -T 60 -t 2 -O "$2" "$1"
  else
    fail "neither curl nor wget is here; install one of them"
  fi
}

sha256() { # FILE
  if command -v sha256sum >/dev/null 2>&1; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d ' ' -f 1
}

archive_name() {
  [ "$(uname -s)" = Linux ] || fail "cfn runs on Linux only (it needs /dev/shm and flock); this is $(uname -s)"
  case $(uname -m) in
    x86_64 | amd64)
      arch=x64
      grep -qw avx2 "${CFN_INSTALL_CPUINFO:-/proc/cpuinfo}" 2>/dev/null || arch=x64-baseline
      ;;
    aarch64 | arm64) arch=arm64 ;;
    *) fail "no archive for the processor $(uname -m); there are x86_64 and aarch64" ;;
  esac
  libc=
  if command -v ldd >/dev/null 2>&1; then
    case $(ldd --version 2>&1 || :) in *musl*) libc=-musl ;; esac
  else
    for loader in /lib/ld-musl-*; do [ ! -e "$loader" ] || libc=-musl; done
  fi
  echo "cfn-linux-$arch$libc.tar.gz"
}

download() { # FILE: leaves the verified executable there
  [ -n "${CFN_INSTALL_URL:-}" ] ||
    fail "no address to fetch from: set CFN_INSTALL_URL to the folder of a release, or run --from-source in a checkout"
  archive=$(archive_name)
  url=${CFN_INSTALL_URL%/}/$archive
  say "fetching $url"
  fetch "$url.sha256" "$1.sha256" || fail "cannot fetch $url.sha256; check CFN_INSTALL_URL and the network"
  fetch "$url" "$1.tar.gz" || fail "cannot fetch $url, or the download broke off; run it again"
  wanted=$(cut -d ' ' -f 1 <"$1.sha256")
  found=$(sha256 "$1.tar.gz")
  [ "$wanted" = "$found" ] ||
    fail "wrong SHA-256 of $archive: its .sha256 file says $wanted, what arrived has $found; not installed"
  tar -xzf "$1.tar.gz" -C "${1%/*}" cfn || fail "cannot unpack $archive"
}

build() { # FILE
  case $0 in */*) checkout=${0%/*} ;; *) checkout=. ;; esac
  [ -f "$checkout/scripts/build.ts" ] ||
    fail "--from-source builds the checkout that install.sh stands in, and there is none at $checkout"
  checkout=$(cd "$checkout" && pwd)
  say "building $checkout"
  sh "$checkout/scripts/dependencies.sh" || fail "cannot install the packages that the build needs"
  "$checkout/node_modules/.bin/bun" "$checkout/scripts/build.ts" "$1" || fail "the build failed"
}

install_cfn() { # download|build
  made="" work=""
  trap 'rm -rf "$work"; [ -z "$made" ] || rmdir "$made" 2>/dev/null || :' EXIT
  trap 'exit 1' HUP INT TERM
  if [ ! -d "$dir" ]; then
    mkdir -p "$dir" 2>/dev/null || fail "cannot create $dir; set CFN_INSTALL_DIR to a folder that you may write"
    made=$dir
  fi
  [ ! -d "$dir/cfn" ] || fail "$dir/cfn is a folder; set CFN_INSTALL_DIR to another place"
  # In the target folder, so that the last step is a rename within one file system.
  work=$(mktemp -d "$dir/.cfn-install.XXXXXX" 2>/dev/null) ||
    fail "cannot write in $dir; set CFN_INSTALL_DIR to a folder that you may write"
  "$1" "$work/cfn"
  chmod 755 "$work/cfn"
  version=$("$work/cfn" --version) ||
    fail "the new cfn does not run here, so it is not installed (on Alpine: apk add libstdc++; or is $dir mounted noexec?)"
  mv -f "$work/cfn" "$dir/cfn"
  say "installed cfn $version as $dir/cfn"
  case :$PATH: in
    *":$dir:"*) ;;
    *) say "$dir is not on your PATH. Add this line to your shell's start file:"; say "  export PATH=\"$dir:\$PATH\"" ;;
  esac
}

uninstall() {
  if [ ! -e "$dir/cfn" ]; then
    say "nothing to remove: there is no $dir/cfn"
  else
    rm -f "$dir/cfn" || fail "cannot remove $dir/cfn"
    say "removed $dir/cfn"
  fi
}

main() {
  [ $# -le 1 ] || fail "one option at most: --from-source or --uninstall"
  [ -n "${CFN_INSTALL_DIR:-}${HOME:-}" ] || fail "HOME is not set; set CFN_INSTALL_DIR to where cfn should go"
  dir=${CFN_INSTALL_DIR:-${HOME:-}/.local/bin}
  case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
  case ${1:-} in
    "") install_cfn download ;;
    --from-source) install_cfn build ;;
    --uninstall) uninstall ;;
    *) fail "unknown option $1; there are --from-source and --uninstall" ;;
  esac
}

# The only command at the top level is the last line, in braces: a copy of this script that was cut short runs nothing.
{ main "$@"; }
