# Answer what a build host has to build: a checkout, and what the flakes in it hold. It
# builds nothing, and writes no lock file; an evaluation leaves a copy of the source in
# the store, as every one does.
#
# In: REPO; PATIENCE (seconds for one evaluation).
# Out: checkout= (yes, none or not-ours), within= (the folder of it that REPO is, if it is
# not the top), origin= (its address), branch= (none, if no branch is checked out), head=;
# nix= or nix_error=; package=<folder><tab><attribute><tab><name><tab><main program><tab>
# <output> (with - for what is not known), binary=<folder><tab><attribute><tab><file in
# bin>, flake_error=<folder><tab><what Nix said>.
set -eu
tab=$(printf '\t')
export GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0
cd "$REPO" 2>/dev/null || { echo "checkout=none" && exit 0; }
said=$(git rev-parse --is-inside-work-tree 2>&1) || case $said in
*'dubious ownership'*) echo "checkout=not-ours" && exit 0 ;;
*) echo "checkout=none" && exit 0 ;;
esac
echo "checkout=yes"
echo "within=$(git rev-parse --show-prefix)"
# An address may have a password in it.
git remote get-url origin 2>/dev/null | sed -n -e 's|//[^/ ]*@|//|g' -e 's/^/origin=/;1p' || true
git symbolic-ref --quiet --short HEAD | sed 's/^/branch=/' || true
git rev-parse --quiet --verify HEAD | sed 's/^/head=/' || true

# ask ...: Nix, in bounded time. What would have to be built to be read is not.
ask() {
    timeout "$PATIENCE" nix --extra-experimental-features 'nix-command flakes' eval --read-only \
        --option allow-import-from-derivation false "$@" </dev/null
}
if system=$(ask --impure --raw --expr builtins.currentSystem 2>&1); then
    # Nix may have warned before.
    system=$(printf '%s\n' "$system" | tail -n 1)
    nix --version 2>/dev/null | sed -n 's/^/nix=/;1p'
else
    printf '%s\n' "$system" | sed -n 's/^/nix_error=/;1p' && exit 0
fi

# A row for each package. One that cannot be evaluated keeps its name.
# shellcheck disable=SC2016 # it is Nix that reads it
rows='packages: let
  try = value: let tried = builtins.tryEval value; in if tried.success then tried.value else "";
  word = value: builtins.replaceStrings [ "\t" "\n" ] [ " " " " ] (builtins.unsafeDiscardStringContext (toString value));
  known = value: if value == "" then "-" else value;
  row = attr: let p = packages.${attr}; in builtins.concatStringsSep "\t" (map (value: known (word (try value))) [
    attr (p.pname or (builtins.parseDrvName (p.name or attr)).name) (p.meta.mainProgram or "") (p.outPath or "")
  ]);
in builtins.concatStringsSep "\n" (map row (builtins.attrNames packages))'
# shellcheck disable=SC2016
names='packages: builtins.concatStringsSep "\n" (map (attr: "${attr}\t-\t-\t-") (builtins.attrNames packages))'

# flake FOLDER: what its packages are.
flake() {
    if said=$(ask --no-write-lock-file --raw "$1#packages.$system" --apply "$rows" 2>/dev/null) ||
        said=$(ask --no-write-lock-file --raw "$1#packages.$system" --apply "$names" 2>/dev/null); then
        printf '%s\n' "$said" | while IFS=$tab read -r attribute name program output; do
            [ -n "$attribute" ] || continue
            printf 'package=%s\t%s\t%s\t%s\t%s\n' "$1" "$attribute" "$name" "$program" "$output"
            binaries "$1" "$attribute" "$output"
        done
    else
        said=$(ask --no-write-lock-file --raw "$1#packages.$system" --apply "$names" 2>&1 >/dev/null) && return
        [ -n "$said" ] || said="no answer within $PATIENCE seconds"
        printf 'flake_error=%s\t%s\n' "$1" "$(printf '%s\n' "$said" | grep -v '^warning:' | tr -s '\n\t ' ' ' | cut -c1-300)"
    fi
}

# binaries FOLDER ATTRIBUTE OUTPUT: what can be run of an output that is there.
binaries() {
    { [ -d "$3/bin" ] && nix-store --check-validity "$3"; } 2>/dev/null || return 0
    for file in "$3"/bin/*; do
        if [ -f "$file" ] && [ -x "$file" ]; then printf 'binary=%s\t%s\t%s\n' "$1" "$2" "${file##*/}"; fi
    done | sed 20q
}

# Of what Git knows: Nix sees no other file of a checkout. All together have three times
# as long as one.
began=$(date +%s)
git -c core.quotePath=true ls-files -- flake.nix '*/flake.nix' | awk -F/ 'NF <= 4' | sed 40q | while read -r file; do
    case $file in
    *[!A-Za-z0-9._/+-]*) continue ;;
    flake.nix) folder=. ;;
    *) folder=./${file%/flake.nix} ;;
    esac
    if [ $(($(date +%s) - began)) -ge $((PATIENCE * 3)) ]; then
        printf 'flake_error=%s\tnot looked at: those before it took too long\n' "$folder"
    else
        flake "$folder"
    fi
done
