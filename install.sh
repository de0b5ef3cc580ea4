#!/bin/sh
# Builds datamon and installs it for this user. Safe to run again; --uninstall undoes it.
#   ./install.sh            install into ~/.local/bin and connect git
#   ./install.sh --demo     try everything in a throw-away folder (--exit: end by itself)
#   ./install.sh --test     build and run the whole test suite (builds two object servers for it, once)
#   ./install.sh --bench    build and measure, beside other people's programs (--help: how)
#   ./install.sh --uninstall
set -eu

NODE_PACKAGE_VERSION=22.23.3
NODE_SHA512_X64=a879f3e6d16c1e88ff58cfae4443558d638d8b9855be6c2b82af00e15efa2a9b95340738fa3c0af31e20c1ba1b13d06d1cd83f00a476e7cdde628acb17f73b9e
NODE_SHA512_ARM64=9770c01d9adeca5a3ea7d4170edb0eae31b625726a5736179c01a621034e50d01170ca694ced9c99ec1540ffb7ead8c99d213e773a4c36d816f9cde8883bd7b4

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
tools="$here/.tools"
log="$tools/install.log"

say() { printf 'install: %s\n' "$*" >&2; }
die() {
  printf 'install: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf '         %s\n' "$2" >&2
  exit 1
}

# Runs a step quietly; on failure shows the end of its log.
step() {
  what=$1
  shift
  if ! "$@" >>"$log" 2>&1; then
    tail -n 20 "$log" >&2
    if tail -n 20 "$log" | grep -Eq 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|CERT|Could not resolve'; then
      die "$what failed: the network cannot be reached" "It is needed once. Connect (proxy, certificates), then run this again; the whole log is $log"
    fi
    die "$what failed" "The whole log is $log"
  fi
}

node_is_new_enough() {
  "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 18) ? 0 : 1)' 2>/dev/null
}

as_root_apt() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1
}

need_git() {
  command -v git >/dev/null 2>&1 && return
  as_root_apt || die "git is missing" "Install it (Debian: sudo apt-get install git), then run this again."
  say "installing git (Debian package)"
  step "apt-get update" apt-get update -q
  step "installing git" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y git
}

need_git_lfs() {
  git lfs version >/dev/null 2>&1 && return
  if as_root_apt; then
    say "installing git-lfs (Debian package)"
    step "apt-get update" apt-get update -q
    step "installing git-lfs" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y git-lfs
  elif command -v brew >/dev/null 2>&1; then
    say "installing git-lfs (Homebrew formula)"
    step "installing git-lfs" brew install git-lfs
  else
    die "git-lfs is missing" "Install it (Debian: sudo apt-get install git-lfs; macOS: brew install git-lfs), then run this again."
  fi
}

# For the tests of the pages alone; without it they check the HTML and say so.
need_chromium() {
  for browser in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$browser" >/dev/null 2>&1; then return; fi
  done
  if ! as_root_apt; then
    say "no Chromium here: the pages are checked as HTML, not in a browser"
    return
  fi
  say "installing chromium (Debian package), to look at the pages with a real browser"
  (apt-get update -q && env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium) >>"$log" 2>&1 ||
    say "chromium could not be installed (see $log): the pages are checked as HTML, not in a browser"
}

# Puts a Node of at least 22.18 first on PATH; brings one into .tools/ where the machine's is older.
need_node() {
  if command -v node >/dev/null 2>&1 && node_is_new_enough node; then return; fi
  if ! { [ -x "$tools/node/bin/node" ] && node_is_new_enough "$tools/node/bin/node"; }; then
    fetch_node
  fi
  PATH="$tools/node/bin:$PATH"
  export PATH
}

need_npm() {
  command -v npm >/dev/null 2>&1 || die "npm is missing" "Install it (Debian: sudo apt-get install npm; macOS: brew install node), then run this again."
}

fetch_node() {
  remedy="Install Node.js 22.18 or newer with npm, then run this again."
  [ "$(uname -s)" = Linux ] || die "this machine's Node.js is missing or older than 22.18" "$remedy"
  case $(uname -m) in
    x86_64 | amd64) arch=x64 sum=$NODE_SHA512_X64 ;;
    aarch64 | arm64) arch=arm64 sum=$NODE_SHA512_ARM64 ;;
    *) die "no Node.js package for $(uname -m)" "$remedy" ;;
  esac
  need_npm
  say "this machine's Node.js is older than 22.18: bringing $NODE_PACKAGE_VERSION (npm package node-linux-$arch) into .tools/, for this project only"
  rm -rf "$tools/node.new"
  mkdir -p "$tools/node.new"
  (cd "$tools/node.new" && step "fetching Node.js" npm pack --silent "node-linux-$arch@$NODE_PACKAGE_VERSION")
  archive="$tools/node.new/node-linux-$arch-$NODE_PACKAGE_VERSION.tgz"
  actual=$(sha512sum "$archive" | cut -d ' ' -f 1)
  [ "$actual" = "$sum" ] || die "the Node.js package is not the one expected (sha512 $actual)"
  step "unpacking Node.js" tar -xzf "$archive" -C "$tools/node.new" --strip-components=1
  rm -f "$archive"
  rm -rf "$tools/node"
  mv "$tools/node.new" "$tools/node"
  node_is_new_enough "$tools/node/bin/node" || die "the fetched Node.js does not run on this machine" "$remedy"
}

# Installs the packages of the lock file; a stamp makes the second run instant.
need_packages() {
  stamp="$here/node_modules/.datamon-stamp"
  wanted="$(cksum <"$here/package-lock.json") $(node --version)"
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return
  # npm empties the folder that a link points to, which other checkouts may be using.
  [ ! -L "$here/node_modules" ] || die "node_modules is a link, and what it points to does not fit package-lock.json" "Remove the link, then run this again: $here/node_modules"
  need_npm
  say "installing npm packages into node_modules/ (no install scripts are run)"
  (cd "$here" && step "npm ci" npm ci --ignore-scripts --no-audit --no-fund --fetch-retry-mintimeout=2000 --fetch-retry-maxtimeout=5000)
  printf '%s' "$wanted" >"$stamp"
}

build() {
  mkdir -p "$tools" || die "$here cannot be written to" "Copy the checkout to a folder of your own."
  : >"$log" || die "$log cannot be written to" "Copy the checkout to a folder of your own."
  need_git
  need_node
  need_git_lfs
  need_packages
  say "building"
  (cd "$here" && step "the build" npm run --silent build)
}

need_home() {
  [ -n "${HOME-}" ] || die "HOME is not set, so there is nowhere to install to" "Set it: HOME=/home/you $0"
}

app_dir() {
  printf '%s/datamon' "${XDG_DATA_HOME:-$HOME/.local/share}"
}

# A launcher names its Node and its program absolutely, so that it works whatever HOME, XDG_* or the working folder say.
write_launcher() {
  file=$1 main=$2 gone=$3
  cat >"$file.new" <<LAUNCHER
#!/bin/sh
# Written by datamon's install.sh; ./install.sh --uninstall removes it.
DATAMON_LAUNCHER='$bin'
export DATAMON_LAUNCHER
node='$app/node'
[ -x "\$node" ] || node=\$(command -v node) || {
$gone
}
exec "\$node" --disable-warning=ExperimentalWarning --disable-warning=MetadataLookupWarning '$app/$main' "\$@"
LAUNCHER
  chmod 755 "$file.new"
  mv "$file.new" "$file"
}

install_for_user() {
  need_home
  build
  app=$(app_dir)
  bin="$HOME/.local/bin"
  case "$app$bin" in *[\'\"\\]*) die "the folder $HOME has a quote or a backslash in its name; datamon cannot be installed there" ;; esac
  say "copying the program to $app"
  rm -rf "$app.new"
  mkdir -p "$app.new" "$bin" || die "$bin or $app cannot be made" "Make them writable for $(id -un), or set HOME to a folder of your own."
  cp -R "$here/dist" "$here/package.json" "$here/package-lock.json" "$app.new/"
  rm -rf "$app.new/dist/test" "$app.new/dist/bench"
  (cd "$app.new" && step "installing the run-time packages" npm ci --omit=dev --ignore-scripts --no-audit --no-fund)
  if [ -x "$tools/node/bin/node" ] && [ "$(command -v node)" = "$tools/node/bin/node" ]; then
    cp "$tools/node/bin/node" "$app.new/node"
  else
    ln -s "$(node -p process.execPath)" "$app.new/node"
  fi
  rm -rf "$app.old"
  [ ! -d "$app" ] || mv "$app" "$app.old"
  mv "$app.new" "$app"
  rm -rf "$app.old"
  write_launcher "$bin/datamon" dist/cli/main.js \
    "  echo 'datamon: Node.js is gone from $app. Run ./install.sh again.' >&2; exit 1"
  write_launcher "$bin/git-lfs-datamon" dist/agent/main.js \
    "  read -r _; printf '%s\\n' '{\"error\":{\"code\":2,\"message\":\"datamon: Node.js is gone from $app. Run ./install.sh again.\"}}'; exit 0"
  "$bin/datamon" install
  say "installed: $bin/datamon, $bin/git-lfs-datamon"
  case ":$PATH:" in
    *":$bin:"*) ;;
    *) say "add it to your PATH:  export PATH=\"$bin:\$PATH\"" ;;
  esac
}

uninstall_for_user() {
  need_home
  app=$(app_dir)
  bin="$HOME/.local/bin"
  if [ -x "$bin/datamon" ]; then "$bin/datamon" uninstall || say "git settings could not all be undone; see above"; fi
  rm -f "$bin/datamon" "$bin/git-lfs-datamon"
  rm -rf "$app" "$app.new" "$app.old"
  # Compiled code, which the uninstalling program itself wrote on its way out.
  rm -rf "${XDG_CACHE_HOME:-$HOME/.cache}/datamon"
  say "removed. Your stores and repositories were not touched."
}

usage() {
  sed -n '2,7s/^# \{0,1\}//p' "$0"
}

command=${1-}
[ $# -eq 0 ] || shift
case $command in
  --demo)
    build
    exec node --disable-warning=ExperimentalWarning "$here/dist/cli/main.js" demo "$@"
    ;;
  --test)
    build
    need_chromium
    cd "$here"
    sh .ci/test-servers
    exec sh .ci/test "$@"
    ;;
  --bench)
    build
    cd "$here"
    case " $* " in
      *' --help '* | *' -h '* | *' --list '* | *' --no-peers '*) ;;
      *) sh bench/peers/install.sh ;;
    esac
    exec node bench/main.ts "$@"
    ;;
  --uninstall) uninstall_for_user ;;
  --help | -h) usage ;;
  '') install_for_user ;;
  *)
    usage >&2
    exit 2
    ;;
esac
