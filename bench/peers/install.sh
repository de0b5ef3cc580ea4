#!/bin/sh
# Installs the programs that datamon is measured against, pinned, into .tools/bench (Debian packages into the system, as root only).
#   bench/peers/install.sh            all of them
#   bench/peers/install.sh NAME...    these: restic borg casync lfs-test-server rudolfs giftless dvc
# Safe to run again: what is there in that version is left alone. What cannot be had is named, left out, and fails nothing;
# a reason stands in .tools/bench/NAME.absent, and it is tried again when that file is removed.
set -eu

LFS_TEST_SERVER=v0.4.0
RUDOLFS=0.3.8
GIFTLESS=0.6.2
# The package names no requirements of its own. PyJWT before 2.10: later ones refuse the anonymous tokens it makes.
GIFTLESS_NEEDS='gunicorn==23.0.0 Flask==3.1.0 Flask-Classful==0.16.0 flask-marshmallow==1.2.1 marshmallow==3.23.2 webargs==8.6.0
  figcan==0.0.4 python-dotenv==1.0.1 PyJWT[crypto]==2.9.0 typing-extensions==4.12.2 python-dateutil==2.9.0.post0
  cachetools==5.5.0 PyYAML==6.0.2 requests==2.32.3'
DVC=3.67.1

here=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
mkdir -p "$here/.tools/bench"
# Python's environments know their own path, so it must be the real one.
tools=$(cd -P -- "$here/.tools/bench" && pwd)
log="$tools/install.log"

say() { printf 'peers: %s\n' "$*" >&2; }

have() { command -v "$1" >/dev/null 2>&1; }

# absent NAME WHY: says so now, and to the benchmark later.
absent() {
  say "$1: not to be had here: $2"
  printf '%s\n' "$2" >"$tools/$1.absent"
}

# pinned NAME VERSION: true where that version was installed before, or was found not to be had.
pinned() {
  if [ -f "$tools/$1.absent" ]; then
    say "$1: not to be had here: $(cat "$tools/$1.absent")"
    return 0
  fi
  [ "$(cat "$tools/$1.version" 2>/dev/null)" = "$2" ]
}

# attempt NAME VERSION COMMAND...: runs one step of an installation; its output goes to the log.
attempt() {
  name=$1 version=$2
  shift 2
  if ! "$@" >>"$log" 2>&1; then
    absent "$name" "$name $version could not be installed: $(tail -n 1 "$log" | cut -c 1-200)"
    return 1
  fi
}

done_with() { printf '%s' "$2" >"$tools/$1.version"; }

# The distribution decides the version; the benchmark prints it.
debian() {
  name=$1 program=$2 package=$3
  if have "$program"; then return 0; fi
  if [ -f "$tools/$name.absent" ]; then
    say "$name: not to be had here: $(cat "$tools/$name.absent")"
    return 0
  fi
  if [ "$(id -u)" != 0 ] || ! have apt-get; then
    absent "$name" "the Debian package $package is installed by root alone, on Debian"
    return 0
  fi
  say "$name: installing the Debian package $package"
  attempt "$name" '' apt-get update -q || return 0
  attempt "$name" '' env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$package" || return 0
}

# It is older than Go's modules: its own go.mod is written here, with what it needs pinned.
lfs_test_server() {
  pinned lfs-test-server "$LFS_TEST_SERVER" && return 0
  have go || { absent lfs-test-server 'it is a Go module, and there is no go'; return 0; }
  say "lfs-test-server: building the Go module $LFS_TEST_SERVER"
  attempt lfs-test-server "$LFS_TEST_SERVER" build_lfs_test_server || return 0
  done_with lfs-test-server "$LFS_TEST_SERVER"
}

build_lfs_test_server() {
  source="$tools/lfs-test-server"
  mkdir -p "$tools/go/bin" &&
    downloaded=$(cd "$tools" && go mod download -json "github.com/github/lfs-test-server@$LFS_TEST_SERVER") &&
    folder=$(printf '%s' "$downloaded" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p') &&
    { chmod -R u+w "$source" 2>/dev/null || true; } &&
    rm -rf "$source" &&
    cp -R "$folder" "$source" &&
    chmod -R u+w "$source" &&
    cat >"$source/go.mod" <<GOMOD &&
module github.com/github/lfs-test-server

go 1.21

require (
	github.com/GeertJohan/go.rice v1.0.3
	github.com/boltdb/bolt v1.3.1
	github.com/gorilla/context v1.1.2
	github.com/gorilla/mux v1.8.1
)
GOMOD
    (cd "$source" && GOTOOLCHAIN=local GOFLAGS=-mod=mod go build -o "$tools/go/bin/lfs-test-server" .) &&
    rm -rf "$source"
}

rudolfs() {
  pinned rudolfs "$RUDOLFS" && return 0
  have cargo || { absent rudolfs 'it is a Rust crate, and there is no cargo'; return 0; }
  say "rudolfs: building the crate $RUDOLFS (some minutes)"
  attempt rudolfs "$RUDOLFS" cargo install rudolfs --version "$RUDOLFS" --locked --root "$tools/rudolfs" || return 0
  done_with rudolfs "$RUDOLFS"
}

# python NAME VERSION REQUIREMENT...: into an environment of its own.
python() {
  name=$1 version=$2
  shift 2
  pinned "$name" "$version" && return 0
  have python3 || { absent "$name" 'it is a Python package, and there is no python3'; return 0; }
  say "$name: installing the Python package $version"
  rm -rf "${tools:?}/$name"
  attempt "$name" "$version" python3 -m venv "$tools/$name" || return 0
  attempt "$name" "$version" "$tools/$name/bin/pip" install -q --disable-pip-version-check "$@" || return 0
  done_with "$name" "$version"
}

install_peer() {
  case $1 in
    restic) debian restic restic restic ;;
    borg) debian borg borg borgbackup ;;
    casync) debian casync casync casync ;;
    lfs-test-server) lfs_test_server ;;
    rudolfs) rudolfs ;;
    # shellcheck disable=SC2086 # a list of words
    giftless) python giftless "$GIFTLESS" "giftless==$GIFTLESS" $GIFTLESS_NEEDS ;;
    dvc) python dvc "$DVC" "dvc==$DVC" ;;
    *)
      say "no peer is called $1"
      exit 2
      ;;
  esac
}

: >>"$log"
[ $# -gt 0 ] || set -- restic borg casync lfs-test-server rudolfs giftless dvc
for peer; do install_peer "$peer"; done
