# Answer what a target is like now. It changes nothing.
#
# In: APP ID (of the promotion that asks), STORE (the store's folder), MANIFEST (where
# other scripts read what is live), WHOLE (true: all of the live release); rows on standard input: "link <path>", "unit
# <name>", "folder <path>" (that has to be there), separated by a tab.
# Out: uid= user= systemd= nix= zstd= free= (KiB in the store); live= live_sha=
# since= by=, known=yes (a release was here), recorded=<link><tab><target> of what
# is live, by_hand=<link> that points where no release of ours would have it;
# link=<path><tab><what it points at>, occupied=, no_folder=, unit=<name><tab><systemd's properties>,
# exe=<unit><tab><its main process's binary>, stale=<unit><tab><the same, if
# it is another release's>; pending=, unguarded= (promotions that nothing takes
# back), returned=<promotion><tab><why> of those since the live one that went back;
# begun=yes, outcome= (how this promotion's apply ended), reverted= (why it went
# back), stuck= (what could not be put back), left= (seconds of its window),
# hold=<who holds the target>, epoch= (the one granted last), rolled_back=<commit><tab>
# <the promotion that was>; if WHOLE, of what is live kind=, json= (all but the paths),
# intact=yes.
set -eu

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

holder hold
echo "epoch=$(highest)"
recorded=
if [ -e "$state/live/" ]; then
    echo "live=$(live)"
    rows "$state/live/release" sha | sed 's/^/live_sha=/'
    sed -n "s/^\([^$tab]*\)$tab\(.*\)/since=\1\nby=\2/p" "$state/live/confirmed"
    recorded=$(rows "$state/live/release" link)
    [ -z "$recorded" ] || printf '%s\n' "$recorded" | sed 's/^/recorded=/'
fi
# intact: whether what is live is all there, and kept, and what other scripts read.
intact() {
    if [ ! -f "$MANIFEST" ] || [ "$(cat "$state/live/manifest.env")" != "$(cat "$MANIFEST")" ]; then return 1; fi
    lost=$(rows "$state/live/release" root | while IFS=$tab read -r name path; do
        [ "$(at "/nix/var/nix/gcroots/rel/$APP/$(live)/$name")" = "$path" ] || echo "$name"
    done)
    [ -z "$lost" ] && [ -z "$(xargs nix-store --check-validity --print-invalid <"$state/live/closure" 2>&1)" ]
}
if [ "$WHOLE" = true ] && [ -e "$state/live/" ]; then
    rows "$state/live/release" kind | sed 's/^/kind=/'
    rows "$state/live/release" json | sed 's/^/json=/'
    if intact 2>/dev/null; then echo "intact=yes"; fi
fi
[ ! -e "$state/epoch" ] || echo "known=yes"
# A release that is neither confirmed nor reverted may go back any moment; unless
# it could not be put back, or the machine was restarted, and nothing was there
# to outlast that.
guarded() {
    left "$state/releases/$1" >/dev/null || [ -e "/etc/systemd/system/rel-boot-$APP-$1.timer" ] || [ ! -d /run/systemd/system ] ||
        systemctl list-units --plain --no-legend "rel-guard-$APP-$1-*.timer" | grep -q .
}
for release in "$state"/releases/*/; do
    release=${release%/}
    release=${release##*/}
    if unfinished "$state/releases/$release"; then
        echo "pending=$release"
        guarded "$release" || echo "unguarded=$release"
    fi
    if [ -e "$state/releases/$release/reverted" ] && earlier "$(live)" "$release"; then
        printf 'returned=%s\t%s\n' "$release" "$(sed 1q "$state/releases/$release/reverted")"
    fi
done
for mark in "$state"/releases/*/left; do
    [ ! -e "$mark" ] || printf 'rolled_back=%s\t%s\n' "$(rows "${mark%/left}/release" sha)" "$(basename "${mark%/left}")"
done
if [ -n "$ID" ]; then
    [ ! -e "$dir/begun" ] || echo "begun=yes"
    [ ! -e "$dir/result.json" ] || sed 's/^/outcome=/;1q' "$dir/result.json"
    [ ! -e "$dir/reverted" ] || sed 's/^/reverted=/;1q' "$dir/reverted"
    [ ! -e "$dir/stuck" ] || sed 's/^/stuck=/;1q' "$dir/stuck"
    ! rest=$(left "$dir") || echo "left=$rest"
fi

# A release that was applied and kept, though it is not confirmed, is no one's
# work by hand.
kept=
for begun in "$state"/releases/*/begun; do
    release=$(dirname "$begun")
    [ ! -e "$begun" ] || [ -e "$release/confirmed" ] || kept="$kept
$(rows "$release/release" link)"
done
rows=$(cat)
printf '%s\n' "$recorded" | while IFS=$tab read -r link target; do
    # One that is no longer asked for is no longer our business.
    printf '%s\n' "$rows" | grep -qxF "link$tab$link" || continue
    actual=$(at "$link")
    [ "$actual" = "$target" ] || printf '%s\n' "$kept" | grep -qxF "$link$tab$actual" || printf 'by_hand=%s\n' "$link"
done

# A process whose binary lies where a link of some release led, and not where one
# leads now, was not restarted, or was started by hand.
folder() { sed -n "s|^\($STORE/[^/]*\)/.*|\1|p"; }
once=$(cat "$state"/releases/*/release "$state"/releases/*/previous 2>/dev/null |
    sed -n "s/^link${tab}[^${tab}]*${tab}//p" | folder | sort -u)
today=$(printf '%s\n' "$rows" | sed -n "s/^link${tab}//p" | while read -r link; do at "$link"; done | folder)

printf '%s\n' "$rows" | while IFS=$tab read -r kind name; do
    case $kind in
    folder) [ -d "$name" ] || printf 'no_folder=%s\n' "$name" ;;
    link)
        if [ -L "$name" ]; then
            printf 'link=%s\t%s\n' "$name" "$(readlink "$name")"
        elif [ -e "$name" ]; then
            printf 'occupied=%s\n' "$name"
        fi
        [ -d "$(dirname "$name")" ] || printf 'no_folder=%s\n' "$(dirname "$name")"
        ;;
    unit)
        shown=$(systemctl show -p LoadState,ActiveState,Type,Result,MainPID -- "$name" 2>/dev/null | tr '\n' ' ')
        printf 'unit=%s\t%s\n' "$name" "$shown"
        pid=${shown##*MainPID=}
        exe=$(readlink "/proc/${pid%% *}/exe") || continue
        printf 'exe=%s\t%s\n' "$name" "$exe"
        lies=$(printf '%s\n' "$exe" | folder)
        if [ -n "$lies" ] && printf '%s\n' "$once" | grep -qxF "$lies" && ! printf '%s\n' "$today" | grep -qxF "$lies"; then
            printf 'stale=%s\t%s\n' "$name" "$exe"
        fi
        ;;
    esac
done
