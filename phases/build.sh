# Build all artifacts from the checkout.
#
# In: REPO COMMIT; rows "<name><tab><flake>". Out: built=<name><tab><what nix
# build --json says>, or moved=<head> if the checkout is not what was verified.
set -eu
tab=$(printf '\t')
nix() { command nix --extra-experimental-features 'nix-command flakes' "$@"; }

cd "$REPO"
head=$(git rev-parse HEAD)
if [ "$head" != "$COMMIT" ] || [ -n "$(git status --porcelain --untracked-files=normal)" ]; then
    echo "moved=$head"
    exit 0
fi
rows=$(cat)
set --
while IFS=$tab read -r _ flake; do set -- "$@" "$flake"; done <<EOF
$rows
EOF
nix build --no-link --print-build-logs "$@" >&2 </dev/null
# Asked one by one: with several installables Nix answers in an order of its
# own, sorted by derivation. Everything is built and evaluated by now.
while IFS=$tab read -r name flake; do
    printf 'built=%s\t%s\n' "$name" "$(nix build --no-link --json "$flake" </dev/null)"
done <<EOF
$rows
EOF
