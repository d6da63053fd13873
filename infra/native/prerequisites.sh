#!/usr/bin/env bash
# The programs that must be here: prerequisites.sh postgres | valkey | kafka | tests | build ...
# Missing ones are installed through apt when root on a Debian-like system, and named with the command otherwise.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../common.sh"

packages=()
programs=()
need() { # what people call it, then its Debian packages
  programs+=("$1")
  shift
  packages+=("$@")
}

here() {
  local program
  for program; do command -v "$program" >/dev/null || return 1; done
}

java_17() {
  local version
  version=$(java -version 2>&1 | grep -oE 'version "[0-9]+' | grep -oE '[0-9]+') && ((version >= 17))
}

newest_java() {
  local version
  for version in 21 17; do
    [[ $(apt-cache policy "openjdk-$version-jre-headless" 2>/dev/null) == *Candidate:\ [0-9]* ]] && break
  done
  echo "openjdk-$version-jre-headless"
}

for purpose; do
  case $purpose in
    postgres | valkey)
      python3 -c 'import ensurepip, venv' 2>/dev/null || need "Python 3 with venv" python3 python3-venv
      ;;
    kafka)
      here python3 || need "Python 3" python3
      java_17 || need "Java 17 or newer" java
      here mvn || need Maven maven
      ;;
    tests) # on somebody's own machine no pooler is installed: its tests are then passed by
      here openssl || need OpenSSL openssl
      here valkey-server || here redis-server || here redis-check-rdb || need Redis redis-tools
      ((EUID != 0)) || here pgbouncer || need PgBouncer pgbouncer
      ;;
    build) # librdkafka is compiled from its source, against OpenSSL and zlib
      here cc c++ make || need "a C compiler" build-essential
      here pkg-config || need pkg-config pkg-config
      pkg-config --exists openssl 2>/dev/null || need "OpenSSL's headers" libssl-dev
      pkg-config --exists zlib 2>/dev/null || need "zlib's headers" zlib1g-dev
      ;;
  esac
done
install() {
  local what
  readarray -t programs < <(printf '%s\n' "${programs[@]}" | sort -u)
  what=$(printf ', %s' "${programs[@]}")
  what=${what:2}
  here apt-get || fail "missing: $what. Install them with this system's package manager."
  if ((EUID == 0)); then
    say "installing through apt: $what"
    apt-get update -q >/dev/null || warn "apt-get update failed; going on with what apt knows"
  fi
  readarray -t packages < <(printf '%s\n' "${packages[@]/#%java/$(newest_java)}" | sort -u)
  ((EUID == 0)) || fail "missing: $what. Install them with:" "    sudo apt-get install -y ${packages[*]}"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}" >/dev/null
}

((${#packages[@]} == 0)) || install
[[ " $* " != *' build '* ]] || here cargo || fail "Rust is missing: https://rustup.rs"
