# Answer what a target is like now. It changes nothing.
#
# In: APP ID (of the promotion that asks), STORE (the store's folder); rows on
# standard input: "link <path>", "unit <name>", separated by a tab.
# Out: uid= user= systemd= nix= zstd= free= (KiB in the store), live= live_sha=,
# pending=, link=<path><tab><what it points at>, occupied=, unit=<name><tab>
# <systemd's properties>, outcome= (how this promotion's apply ended),
# reverted= (why it went back), stuck= (what could not be put back).
set -eu
state=/var/lib/rel/$APP
tab=$(printf '\t')

echo "uid=$(id -u)"
echo "user=$(id -un)"
[ ! -d /run/systemd/system ] || echo "systemd=yes"
# The exact words go into the refusal where nix is missing or broken.
if nix=$(nix-store --version 2>/dev/null); then
    printf '%s\n' "$nix" | sed -n 's/^/nix=/;1p'
else
    nix-store --version 2>&1 | sed -n 's/^/nix_error=/;1p'
fi
! command -v zstd >/dev/null 2>&1 || echo "zstd=yes"
df -Pk "$STORE" 2>/dev/null | awk 'NR == 2 { print "free=" $4 }'

if [ -e "$state/live/" ]; then
    echo "live=$(basename "$(readlink "$state/live")")"
    sed -n 's/^RELEASE_SHA=/live_sha=/p' "$state/live/manifest.env" | sed 1q
fi
# An armed release that is neither confirmed nor reverted may go back any moment.
for armed in "$state"/releases/*/armed; do
    release=$(dirname "$armed")
    if [ -e "$armed" ] && [ ! -e "$release/confirmed" ] && [ ! -e "$release/reverted" ] &&
        [ "$(cat "$armed")" -ge "$(date +%s)" ]; then
        echo "pending=$(basename "$release")"
    fi
done
mine=$state/releases/$ID
[ ! -e "$mine/result.json" ] || sed 's/^/outcome=/;1q' "$mine/result.json"
[ ! -e "$mine/reverted" ] || sed 's/^/reverted=/;1q' "$mine/reverted"
[ ! -e "$mine/stuck" ] || sed 's/^/stuck=/;1q' "$mine/stuck"

while IFS=$tab read -r kind name; do
    case $kind in
    link)
        if [ -L "$name" ]; then
            printf 'link=%s\t%s\n' "$name" "$(readlink "$name")"
        elif [ -e "$name" ]; then
            printf 'occupied=%s\n' "$name"
        fi
        [ -d "$(dirname "$name")" ] || printf 'no_folder=%s\n' "$(dirname "$name")"
        ;;
    unit)
        printf 'unit=%s\t%s\n' "$name" "$(systemctl show -p LoadState,ActiveState,Type,Result -- "$name" 2>/dev/null | tr '\n' ' ')"
        ;;
    esac
done
