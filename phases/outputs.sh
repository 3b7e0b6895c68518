# What the scripts share that build.
nix() { command nix --extra-experimental-features 'nix-command flakes' "$@"; }

# output SAID: the store path, as path, in what nix build --json says of one artifact: the
# output that is named out, or the only one.
output() {
    outputs=$(printf '%s' "$1" | tr -d ' \n' | sed 's/.*"outputs":{\([^}]*\)}.*/\1/' | tr ',' '\n')
    path=$(printf '%s\n' "$outputs" | sed -n 's/^"out":"\(.*\)"$/\1/p')
    [ -n "$path" ] || path=$(printf '%s\n' "$outputs" | sed -n '1s/^"[^"]*":"\(.*\)"$/\1/p')
}
