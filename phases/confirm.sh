# Make an applied release the confirmed one: compare and swap on its id.
#
# In: APP ID KEEP (how many confirmed releases stay pinned); job rows as
# apply.sh has them. Out: confirmed=yes, or refused= with why it cannot be.
set -eu
umask 077
tab=$(printf '\t')
state=/var/lib/rel/$APP
dir=$state/releases/$ID
exec 9>"$state/apply.lock"
flock -w 60 9 || { echo "refused=another apply is running" && exit 0; }
[ ! -e "$dir/reverted" ] || { sed -e 's/^/refused=it went back: /' -e 1q "$dir/reverted" && exit 0; }
rows=$(cat)
changed=$(printf '%s\n' "$rows" | sed -n "s/^link$tab//p" | while IFS=$tab read -r link target; do
    [ "$(readlink "$link")" = "$target" ] || printf '%s\n' "$link"
done | sed 1q)
[ -z "$changed" ] || { echo "refused=$changed points elsewhere" && exit 0; }

# What is live until now, for an operator who has to take this back.
now=$(readlink "$state/live" || true)
if [ ! -e "$dir/before" ] && [ "$now" != "releases/$ID" ]; then printf '%s\n' "$now" >"$dir/before"; fi
# A revert that fires now waits for the lock, and then finds this file.
date -u +%Y-%m-%dT%H:%M:%SZ >"$dir/confirmed.new"
sync "$dir/confirmed.new"
mv "$dir/confirmed.new" "$dir/confirmed"
rm -f "$dir/armed"
ln -sfn "releases/$ID" "$state/live.new"
mv -fT "$state/live.new" "$state/live"
sync "$dir" "$state"
printf '{"at":"%s","what":"confirmed",%s}\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(printf '%s\n' "$rows" | sed -n "s/^ledger$tab//p")" >>"$state/ledger.jsonl"
[ ! -d /run/systemd/system ] || systemctl stop "rel-expire-$APP-$ID.timer" 2>/dev/null || true

# Unpin what is older than the releases to keep. Ids sort by their time, and
# only promotions older than this one are touched: a newer may be under way.
# A rollback is another promotion of a release that counts already.
kept=0 seen=' '
for old in $(find "$state/releases" -mindepth 1 -maxdepth 1 -type d | sort -r); do
    release=$(sed -n 's/^RELEASE_ID=//p' "$old/manifest.env" 2>/dev/null || true)
    confirmed=
    [ ! -e "$old/confirmed" ] || confirmed=yes
    old=$(basename "$old")
    if [ -n "$confirmed" ]; then
        case $seen in
        *" $release "*) ;;
        *) kept=$((kept + 1)) && seen="$seen$release " ;;
        esac
    fi
    if [ "$old" = "$ID" ] || [ "$(printf '%s\n' "$old" "$ID" | sort | sed 1q)" != "$old" ]; then continue; fi
    if [ -z "$confirmed" ] || [ "$kept" -gt "$KEEP" ]; then
        rm -rf "/nix/var/nix/gcroots/rel/$APP/$old"
    fi
done
echo "confirmed=yes"
